"""Verifiers at work: every candidate of a file, many at once; and one question answered by the best of several traces.

What a verifier wrote is kept in a journal beside the candidates, one line a candidate: what verifiers are distilled
from, and what an interrupted run goes on from.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from agentdistill.batching import Episode, OpenWork, RaySettings, Work, drive, groups_of, hire
from agentdistill.errors import DataError, InfrastructureError, ModelError, RefusedError
from agentdistill.loop import Policy as Asking
from agentdistill.loop import RolloutSettings
from agentdistill.models import Model
from agentdistill.problems import answer_kind
from agentdistill.progress import Progress, Silent, Task
from agentdistill.store import append_jsonl, digest, from_dict, read_jsonl, repair_jsonl, seed_of, set_aside
from agentdistill.types import End, Problem, Trace, Usage
from agentdistill.verify.candidates import of_trace
from agentdistill.verify.models import model_identity
from agentdistill.verify.select import Ballots, Choice, Listen, Policy, ballots, select
from agentdistill.verify.types import Candidate, Check, Judgement, Pool, Verdict
from agentdistill.verify.verifiers import Kit, Verifier, VerifierSettings, load_verifier


@dataclass(frozen=True, slots=True)
class Judged:
    """A line of a journal: one candidate's judgement and the checks behind it. ``solution`` is its text's hash."""

    problem: str
    candidate: int
    solution: str
    judgement: Judgement
    checks: tuple[Check, ...]

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells candidates apart."""
        return self.problem, self.candidate, self.solution


Fault = InfrastructureError | RefusedError
"""Why a candidate was not judged."""


def judge_pools(
    pools: Sequence[Pool],
    settings: VerifierSettings,
    kit: Callable[[], AbstractContextManager[Kit]],
    journal: Path,
    model: Callable[[], Model],
    *,
    seed: int = 0,
    world: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress | None = None,
    ray: RaySettings | None = None,
) -> list[Pool]:
    """The pools with this verifier's judgement on every candidate, in place of one by the same name.

    ``kit`` and ``model`` are made only if a judgement is missing in the ``journal``, in this process or, with ``ray``,
    in its workers. A journal of another verifier, of other settings or of another ``world`` (whatever else judgements
    depend on, as JSON values) is set aside. A candidate that the verifier's server refused has no judgement; a later
    call asks again. Raises InfrastructureError after repeated infrastructure faults, ModelError where every candidate
    was refused; what was judged is kept.
    """
    done = _opened(journal, settings, seed, world)
    places = [(p, i, c) for p in pools for i, c in enumerate(p.candidates)]
    keys = [(p.id, i, digest(c.solution)) for p, i, c in places]
    missing = {at for at, key in enumerate(keys) if key not in done}
    task = (progress or Silent()).task("judge", f"{settings.name} · {len(places)} candidates", len(places))
    task.advance(len(places) - len(missing))
    if missing:
        work = partial(_work, places, settings, kit, model, seed)
        asyncio.run(_run(work, missing, keys, done, journal, ray, task))
    n_refused = sum(key not in done for key in keys)
    told = _summary([done[key].judgement for key in keys if key in done])
    task.done(told + (f"  {n_refused} refused" if n_refused else ""))

    def judged(p: Pool) -> tuple[Candidate, ...]:
        return tuple(
            _with(c, settings.name, done.get((p.id, i, digest(c.solution)))) for i, c in enumerate(p.candidates)
        )

    return [replace(p, candidates=judged(p)) for p in pools]


def read_journal(path: Path) -> tuple[VerifierSettings, list[Judged]]:
    """Whose journal it is, and its lines in order. Raises DataError naming file and line."""
    settings: VerifierSettings | None = None
    out: dict[tuple[str, int, str], Judged] = {}
    for n, row in read_jsonl(path):
        try:
            if "settings" in row:
                settings = VerifierSettings.of_kept(row["settings"])
            else:
                judged = from_dict(Judged, row)
                out[judged.key] = judged
        except (DataError, TypeError) as e:
            raise DataError(f"{path}:{n}: no line of a verifier's journal ({e})") from e
    if settings is None:
        raise DataError(f"{path}: no journal of a verifier (its settings are missing)")
    return settings, list(out.values())


def _opened(
    path: Path, settings: VerifierSettings, seed: int, world: Mapping[str, Any]
) -> dict[tuple[str, int, str], Judged]:
    key = digest([{**settings.kept(), "model": model_identity(settings.model)}, seed])
    head = {"key": key, "world": digest(dict(world))}
    repair_jsonl(path)
    if path.exists():
        found = next(read_jsonl(path), (0, {}))[1]
        if found.get("key") != key or found.get("world", head["world"]) != head["world"]:  # old ones tell none
            set_aside(path)
    if not path.exists():
        append_jsonl(path, [{**head, "settings": settings.kept()}])
        return {}
    return {j.key: j for j in read_journal(path)[1]}


def _with(c: Candidate, verifier: str, judged: Judged | None) -> Candidate:
    """The candidate with the judgement, in the place of an earlier one by that verifier."""
    if judged is None:
        return replace(c, judgements=tuple(j for j in c.judgements if j.judge != verifier))
    new = judged.judgement
    if c.judgement(new.judge) is None:
        return replace(c, judgements=(*c.judgements, new))
    return replace(c, judgements=tuple(new if j.judge == new.judge else j for j in c.judgements))


def _episode(
    verifier: Verifier, settings: VerifierSettings, seed: int, pool: Pool, i: int, candidate: Candidate
) -> Episode[Judged | Fault]:
    async def run(model: Model) -> Judged | Fault:
        policy = Asking(model, seed_of(seed, settings.name, pool.id, i), settings.sampling)
        try:
            checks = await verifier.check(policy, pool.problem, candidate)
        except (InfrastructureError, RefusedError) as e:
            return e
        return Judged(pool.id, i, digest(candidate.solution), judgement_of(settings, checks, policy.usage), checks)

    return run


def judgement_of(settings: VerifierSettings, checks: Sequence[Check], usage: Usage) -> Judgement:
    """What the checks of one candidate come to, to be stored with it."""
    return Judgement(
        settings.name,
        settings.role,
        tuple(c.verdict for c in checks if c.verdict is not None),
        tuple(c.score for c in checks if c.score is not None),
        usage.n_prompt_tokens,
        usage.n_new_tokens,
    )


@asynccontextmanager
async def _work(
    places: Sequence[tuple[Pool, int, Candidate]],
    settings: VerifierSettings,
    kit: Callable[[], AbstractContextManager[Kit]],
    make: Callable[[], Model],
    seed: int,
) -> AsyncIterator[Work[Judged | Fault]]:
    with kit() as opened:
        verifier, model = load_verifier(settings, opened), make()
        try:
            yield Work(model, [_episode(verifier, settings, seed, *place) for place in places])
        finally:
            await model.aclose()


async def _run(
    work: OpenWork[Judged | Fault],
    missing: set[int],
    keys: Sequence[tuple[str, int, str]],
    done: dict[tuple[str, int, str], Judged],
    journal: Path,
    ray: RaySettings | None,
    task: Task,
) -> None:
    refused: dict[int, RefusedError] = {}  # not asked again: it would be refused again
    async with hire(work, ray) as crew:
        for _ in range(2):  # other faults get one more try
            breaker = _Breaker(max(8, crew.batch_size))
            left = {at for at in missing if keys[at] not in done and at not in refused}

            def keep(came: Sequence[tuple[int, Any]], left: set[int] = left, b: _Breaker = breaker) -> None:
                # Those that are not left ran again only to keep their batch the same.
                good = [(at, j) for at, j in came if at in left and isinstance(j, Judged)]
                append_jsonl(journal, [j for _, j in good])
                done.update({keys[at]: j for at, j in good})
                new = {at: j for at, j in came if at in left and isinstance(j, RefusedError)}
                refused.update(new)
                task.advance(len(good) + len(new))
                if len(refused) >= _MANY_REFUSED and not done:
                    raise _all_refused(refused)
                for at, j in came:
                    if at not in new:
                        b.saw(j if isinstance(j, InfrastructureError) else None)

            if left:
                await crew.run(left, keep)
            fault = breaker.last
        if fault is not None and any(keys[at] not in done and at not in refused for at in missing):
            raise fault
        if refused and not done:
            raise _all_refused(refused)


_MANY_REFUSED = 100


def _all_refused(refused: Mapping[int, RefusedError]) -> ModelError:
    return ModelError(f"{next(iter(refused.values()))}; every candidate so far was refused")


class _Breaker:
    """Gives up when nothing but faults comes back."""

    def __init__(self, limit: int) -> None:
        self.n, self._limit = 0, limit
        self.last: InfrastructureError | None = None

    def saw(self, fault: InfrastructureError | None) -> None:
        """Raise where this is one fault in a row too many; None is a judgement."""
        if fault is None:
            self.n = 0
            return
        self.n, self.last = self.n + 1, fault
        if self.n >= self._limit:
            raise InfrastructureError(f"{fault}; what was judged is kept, run the same command to go on")


def _summary(judgements: Sequence[Judgement]) -> str:
    counts = {v: sum(j.verdicts.count(v) for j in judgements) for v in Verdict}
    return "  ".join(f"{n} {v.value.replace('_', ' ')}" for v, n in counts.items() if n)


T = TypeVar("T")
Solve = Callable[[Model, str], Awaitable[Trace]]
"""Answers the question once; the text tells this try's name, on which its seed hangs."""
TEMPERATURE = 0.8
"""Of the trajectories where the settings sample greedily: they would all be the same."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Every trajectory, what was said of each, and the choice among them."""

    pool: Pool
    traces: tuple[Trace, ...]
    checks: tuple[tuple[Check, ...], ...]
    choice: Choice
    ballots: Ballots

    @property
    def trace(self) -> Trace:
        """The trajectory that won; where none did, the first."""
        return self.traces[self.choice.index or 0]

    @property
    def usage(self) -> Usage:
        """What all trajectories and all judgements cost together."""
        total = Usage()
        for trace, c in zip(self.traces, self.pool.candidates, strict=True):
            total += trace.usage
            for j in c.judgements:
                total += Usage(1, j.n_prompt_tokens, j.n_new_tokens)
        return total


@dataclass(frozen=True, slots=True)
class Choosing:
    """How an answer is chosen while somebody waits: among ``n`` trajectories, each checked by ``verifier`` (None: by
    whoever solves) with what is in ``kit``: by programs, or where answers are words and it can search, by documents.

    ``kind`` says how answers are compared; without it they are themselves looked at.
    """

    n: int
    kit: Kit
    verifier: Model | None = None
    kind: str | None = None

    def settings(self, own: RolloutSettings) -> RolloutSettings:
        """The settings of each trajectory: an agent's own, but never greedy."""
        if own.sampling.temperature > 0:
            return own
        return replace(own, sampling=replace(own.sampling, temperature=TEMPERATURE))

    async def answer(
        self, model: Model, problem: Problem, solve: Solve, settings: RolloutSettings, seed: int
    ) -> Answered:
        """As :func:`answer`; a check is as long as a step of the trajectories may be."""
        traces = await _solved(model, problem, solve, self.n)
        kind = self.kind or _kind([t.answer for t in traces if t.answer])
        role = "facts" if kind == "short" and self.kit.retriever is not None else "code"
        table = {"model": "local"}  # is loaded already
        checker = VerifierSettings(name=role, role=role, model=table, max_new_tokens=settings.sampling.max_new_tokens)
        return await _chosen(self.verifier or model, replace(problem, kind=kind), traces, checker, self.kit, seed=seed)


def _kind(answers: Sequence[str]) -> str:
    """``math`` where most answers are numbers or formulas: then 1/2 is 0.5."""
    n_math = sum(answer_kind([a]) == "math" for a in answers)
    return "math" if 2 * n_math > len(answers) else "short"


async def answer(
    model: Model,
    problem: Problem,
    solve: Solve,
    n: int,
    settings: VerifierSettings,
    kit: Kit,
    *,
    verifier: Model | None = None,
    policy: Policy | None = None,
    seed: int = 0,
) -> Answered:
    """Sample ``n`` trajectories, judge each, and choose the most frequent answer among those that pass.

    ``verifier`` judges, by default the model itself. A trajectory that met a fault has no answer to choose. Raises
    InfrastructureError where judging meets one.
    """
    traces = await _solved(model, problem, solve, n)
    return await _chosen(verifier or model, problem, traces, settings, kit, policy=policy, seed=seed)


async def _solved(model: Model, problem: Problem, solve: Solve, n: int) -> list[Trace]:
    return await _all(model, [_named(solve, f"{problem.id}#{i}") for i in range(n)])


async def _chosen(
    model: Model,
    problem: Problem,
    traces: Sequence[Trace],
    settings: VerifierSettings,
    kit: Kit,
    *,
    policy: Policy | None = None,
    seed: int = 0,
) -> Answered:
    candidates = tuple(of_trace(t) if t.end is not End.FAULT else Candidate("") for t in traces)
    pool = Pool(problem, candidates, traces[0].model)
    verifier = load_verifier(settings, kit)

    def checking(i: int, c: Candidate) -> Callable[[Model], Awaitable[tuple[Candidate, tuple[Check, ...]]]]:
        async def check(m: Model) -> tuple[Candidate, tuple[Check, ...]]:
            asking = Asking(m, seed_of(seed, settings.name, problem.id, i), settings.sampling)
            try:
                checks = await verifier.check(asking, problem, c) if c.answer is not None else ()
            except RefusedError:  # one candidate's words: the others are judged
                checks = ()
            return replace(c, judgements=(judgement_of(settings, checks, asking.usage),)), checks

        return check

    judged = await _all(model, [checking(i, c) for i, c in enumerate(pool.candidates)])
    pool = replace(pool, candidates=tuple(c for c, _ in judged))
    rules = policy or Policy(filtered="majority")
    seen = ballots(pool, Listen(verifier=settings.name), rules)
    return Answered(pool, tuple(traces), tuple(k for _, k in judged), select("verifier", seen, rules), seen)


def _named(solve: Solve, name: str) -> Callable[[Model], Awaitable[Trace]]:
    return lambda m: solve(m, name)


async def _all(model: Model, work: Sequence[Callable[[Model], Awaitable[T]]]) -> list[T]:
    """Every result, in order, as many side by side as the model takes."""
    done: dict[int, T] = {}
    await drive(model, groups_of(model, work, range(len(work))), done.__setitem__)
    return [done[i] for i in range(len(work))]


def facts(found: Answered) -> dict[str, Any]:
    """The choice and every candidate as JSON values."""
    chosen = found.choice
    return {
        "answer": None if chosen.index is None else found.pool.candidates[chosen.index].answer,
        "chosen": chosen.index,
        "reason": chosen.reason,
        "fallback": chosen.fallback,
        "candidates": [
            {"answer": c.answer, "verdicts": [k.verdict for k in checks], "weight": w, "trace": t.id}
            for c, checks, w, t in zip(found.pool.candidates, found.checks, chosen.weights, found.traces, strict=True)
        ],
    }


def explain(found: Answered) -> list[str]:
    """Why one won: a line for each trajectory, the winner's with a star, and one for the choice."""
    lines = []
    for i, (c, checks) in enumerate(zip(found.pool.candidates, found.checks, strict=True)):
        mark = "*" if i == found.choice.index else " "
        counts = Counter(k.verdict.value.replace("_", " ") for k in checks if k.verdict is not None)
        verdicts = ", ".join(f"{n} {name}" for name, n in counts.items()) or "not judged"
        weight = found.choice.weights[i]
        told = "out" if weight is None else f"weight {weight:g}"
        answered = "no answer" if c.answer is None else " ".join(c.answer.split())[:80]
        lines.append(f"{mark} {i + 1}. {answered}  [{verdicts}; {told}]")
    return [*lines, f"  chosen: {found.choice.reason}"]
