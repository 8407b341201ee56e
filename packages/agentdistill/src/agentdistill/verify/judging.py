"""Models at work: solutions are sampled and judged, many at once; or one question is answered by the best of several.

Both stages go on from their files (:mod:`agentdistill.batching.resume`): traces beside which the judgements lie, with
what the verifiers wrote, which is what others are distilled from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from agentdistill.batching import Episode, OpenWork, RaySettings, Work, drive, groups_of
from agentdistill.batching.resume import Fault, fault_of, run_missing
from agentdistill.environment import Environment
from agentdistill.errors import DataError, InfrastructureError, RefusedError
from agentdistill.loop import Policy, RolloutSettings, chain_of_thought, rollout
from agentdistill.models import Model
from agentdistill.problems import answer_kind
from agentdistill.progress import Progress, Silent
from agentdistill.prompts import PromptTemplate
from agentdistill.registry import fingerprint
from agentdistill.scorers import may_change, score
from agentdistill.store import (
    digest,
    read_traces,
    repair_jsonl,
    seed_of,
    set_aside,
    write_json,
    write_jsonl,
)
from agentdistill.types import End, Problem, Sampling, Trace, Usage
from agentdistill.verify.beam import BeamSettings, beam_search
from agentdistill.verify.pools import (
    BEGUN,
    SPARE,
    VERIFIERS,
    Check,
    Judged,
    Judgement,
    Note,
    Pool,
    Verdict,
    judge_path,
    put,
    read_judged,
    read_object,
    upgrade,
)
from agentdistill.verify.roles import StepScorer, load_scorer, model_identity
from agentdistill.verify.select import METHODS, Ballots, Listen, Selection, SelectionPolicy, ballots, select
from agentdistill.verify.stopping import StopSettings, stops
from agentdistill.verify.verifiers import NO_QUERY, Kit, Verifier, VerifierSettings, load_verifier

# --- sampling ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """How candidates are drawn: ``n`` a problem, by chain of thought or as an agent; the paper's 64 at 0.8.

    ``n_train`` is how many on the problems that verifiers are distilled on, where that is not ``n``.
    """

    n: int = 64
    n_train: int | None = None
    temperature: float = 0.8
    top_p: float = 1.0
    max_new_tokens: int = 1024
    loop: Literal["cot", "agent"] = "cot"
    max_steps: int = 5


@dataclass(frozen=True, slots=True)
class Beam:
    """A search over steps in place of sampling: its settings, the table of the reward model, what ends a step."""

    settings: BeamSettings
    reward: Mapping[str, Any]
    separator: str


def sample_pools(
    problems: Sequence[Problem],
    settings: SampleSettings,
    template: PromptTemplate,
    model: Callable[[], Model],
    path: Path,
    *,
    environment: Callable[[], AbstractContextManager[Environment]],
    identity: str = "",
    seed: int = 0,
    progress: Progress | None = None,
    ray: RaySettings | None = None,
    on_new: Callable[[], None] = lambda: None,
    beam: Beam | None = None,
) -> list[Pool]:
    """Every problem with its traces, in order, which the file ``path`` of traces holds then. None is run twice.

    ``model`` and ``environment`` are made only if one is missing, in this process or, with ``ray``, in its workers;
    ``identity`` tells the model from others: traces of another model or other settings are set aside, those of other
    problems are kept beside. Where a scorer that is a plug-in has changed since, they are scored again. ``on_new`` is
    called for each that came. A trace that the model's server refused has no answer. Raises InfrastructureError where
    an episode failed twice, ModelError where all were refused; what was sampled is kept, and the same call goes on.
    """
    key = digest([replace(settings, n=0), seed, template.cot("?"), identity])
    asked = [(p, f"{p.id}#{i}") for p in problems for i in range(settings.n)]
    ids = [name for _, name in asked]
    kept = _opened(path, key, {p.kind: fingerprint("scorers", p.kind) for p in problems if may_change(p.kind)})
    done = {name: _asked_now(kept[name, p.question], p) for p, name in asked if (name, p.question) in kept}
    task = (progress or Silent()).task("sample", f"{len(problems)} problems x {settings.n}", len(asked))
    task.advance(len(done))

    def tell(trace: Trace, before: Trace | None) -> None:
        task.advance(int(before is None))
        if trace.end is not End.FAULT:
            on_new()

    work = partial(_sampling, asked, settings, template, model, environment, seed, beam)
    faults = run_missing(ids, done, path, work, fault_of, tell, ray=ray, whole=True)
    task.done(f"{sum(bool(t.correct) for t in done.values()) / max(1, len(asked)):.1%} right")
    found = {**done, **faults}
    write_jsonl(path, [found[name] for name in ids])
    wanted = {(name, p.question) for p, name in asked}
    spare = [t for name, t in kept.items() if name not in wanted]
    if spare or path.with_name(SPARE).exists():
        write_jsonl(path.with_name(SPARE), spare)
    return [Pool(p, tuple(found[f"{p.id}#{i}"] for i in range(settings.n))) for p in problems]


def _opened(path: Path, key: str, by: Mapping[str, str]) -> dict[tuple[str, str], Trace]:
    """The traces that are there, by id and question, spare ones included; those of another key are set aside.

    ``by`` tells, of the kinds of problems whose scorer may change, which it is now.
    """
    upgrade(path.parent)
    note, files = path.with_name(BEGUN), [path.with_name(SPARE), path]
    begun = read_object(note)
    there = [file for file in files if file.exists()]
    if begun and begun.get("key") != key:
        for file in there:
            set_aside(file)
        there, begun = [], {}
    repair_jsonl(path)
    before = begun.get("scorers", {})
    changed = {kind for kind, scorer in by.items() if before.get(kind, scorer) != scorer}
    for file in there if changed else ():  # before the note says so: a kill between them scores once more
        write_jsonl(file, [_scored(t) if t.problem.kind in changed else t for t in read_traces(file)])
    known = {**before, **by}
    write_json(note, {"key": key, "stage": "sample", **({"scorers": known} if known else {})})
    return {(t.id, t.problem.question): t for file in there for t in read_traces(file) if t.end is not End.FAULT}


def _asked_now(trace: Trace, problem: Problem) -> Trace:
    """The trace with its problem as it is now, and where its gold answer or kind is another, with a new score."""
    before, now = trace.problem, replace(trace, problem=problem)
    same = (problem.kind, problem.answer, problem.aliases) == (before.kind, before.answer, before.aliases)
    return now if same else _scored(now)


def _scored(trace: Trace) -> Trace:
    p = trace.problem
    return trace if trace.end is End.FAULT else replace(trace, score=score(p.kind, trace.answer, p.answer, p.aliases))


@asynccontextmanager
async def _sampling(
    asked: Sequence[tuple[Problem, str]],
    settings: SampleSettings,
    template: PromptTemplate,
    make: Callable[[], Model],
    surroundings: Callable[[], AbstractContextManager[Environment]],
    seed: int,
    beam: Beam | None,
) -> AsyncIterator[Work[Trace]]:
    with surroundings() as environment:
        model = make()
        scorer = load_scorer(beam.reward) if beam is not None else None
        try:
            searching = None if beam is None or scorer is None else (beam, scorer)
            yield Work(
                model, [_episode(p, name, settings, template, environment, seed, searching) for p, name in asked]
            )
        finally:
            await model.aclose()


def _episode(
    problem: Problem,
    name: str,
    settings: SampleSettings,
    template: PromptTemplate,
    environment: Environment,
    seed: int,
    searching: tuple[Beam, StepScorer] | None,
) -> Episode[Trace]:
    sampling = Sampling(settings.temperature, settings.top_p, settings.max_new_tokens)
    rollouts = RolloutSettings(settings.max_steps, sampling, seed=seed)
    if searching is not None:
        beam, scorer = searching
        how: dict[str, Any] = {"separator": beam.separator, "seed": seed, "trace_id": name}
        return lambda model: beam_search(model, scorer, problem, template, sampling, beam.settings, **how)
    if settings.loop == "cot":
        return lambda model: chain_of_thought(model, problem, template, rollouts, trace_id=name)
    return lambda model: rollout(model, problem, environment, template, rollouts, trace_id=name)


# --- judging ----------------------------------------------------------------------------------------------------------

Key = tuple[str, int, str]
"""What tells traces apart: see :class:`~agentdistill.verify.pools.Judged`."""


def judge_pools(
    pools: Sequence[Pool],
    settings: VerifierSettings,
    kit: Callable[[], AbstractContextManager[Kit]],
    folder: Path,
    model: Callable[[], Model],
    *,
    seed: int = 0,
    world: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress | None = None,
    ray: RaySettings | None = None,
    on_new: Callable[[], None] = lambda: None,
) -> list[Pool]:
    """The pools with this verifier's judgement on every trace, in place of one by the same name; kept in ``folder``.

    ``kit`` and ``model`` are made only if a judgement is missing there, in this process or, with ``ray``, in its
    workers. Judgements of another verifier, of other settings or of another ``world`` (whatever else judgements depend
    on, as JSON values) are set aside. ``on_new`` is called for each that came. A trace that the verifier's server
    refused has no judgement; a later call asks again. Raises InfrastructureError after repeated infrastructure faults,
    ModelError where all were refused; what was judged is kept.
    """
    known: dict[Key, Judged | Fault] = dict(_opened_judge(folder, settings, seed, world))
    places = [(p.problem, i, t) for p in pools for i, t in enumerate(p.traces)]
    keys = [(p.id, i, digest(t.solution)) for p, i, t in places]
    task = (progress or Silent()).task("judge", f"{settings.name} · {len(places)} candidates", len(places))
    task.advance(sum(key in known for key in keys))

    def tell(result: Judged | Fault, before: Judged | Fault | None) -> None:
        task.advance(int(before is None))
        if isinstance(result, Judged):
            on_new()

    work: OpenWork[Judged | Fault] = partial(_judging, places, settings, kit, model, seed)
    journal = judge_path(folder, settings.name)
    run_missing(keys, known, journal, work, _why, tell, ray=ray, what="judgements", whole=True)
    done = {key: found for key, found in known.items() if isinstance(found, Judged)}
    n_refused = sum(key not in done for key in keys)
    told = _summary([done[key].judgement for key in keys if key in done])
    task.done(told + (f"  {n_refused} refused" if n_refused else ""))
    return [put(p, settings.name, done) for p in pools]


def _why(result: Judged | Fault) -> Fault | None:
    return None if isinstance(result, Judged) else result


def read_journal(folder: Path, verifier: str) -> tuple[VerifierSettings, list[Judged]]:
    """A verifier's settings, and its lines in order. Raises DataError where it is not known, naming file and line."""
    note = read_object(folder / VERIFIERS).get(verifier, {})
    try:
        settings = VerifierSettings.of_kept(note["settings"])
    except (KeyError, TypeError) as e:
        raise DataError(f'{folder / VERIFIERS}: no settings of a verifier "{verifier}" ({e})') from e
    return settings, list(read_judged(judge_path(folder, verifier)).values())


def _opened_judge(folder: Path, settings: VerifierSettings, seed: int, world: Mapping[str, Any]) -> dict[Key, Judged]:
    upgrade(folder)
    name, path = settings.name, judge_path(folder, settings.name)
    role = fingerprint("verifiers", settings.role)
    identity = {**settings.kept(), "role": role, "model": model_identity(settings.model)}
    note = {"key": digest([identity, seed]), "world": digest(dict(world)), "settings": settings.kept()}
    notes: dict[str, Note] = read_object(folder / VERIFIERS)
    found = notes.get(name, {})
    fits = found.get("key") == note["key"] and found.get("world", note["world"]) == note["world"]  # old ones tell none
    repair_jsonl(path)
    if path.exists() and not fits:
        aside = set_aside(path)
        if found:
            notes[f"{name}{aside.name.removeprefix(path.name)}"] = {**found, "left_out": True}
    if found.get("left_out"):
        del notes[name]  # it comes last again
    notes[name] = {**note, "world": found["world"]} if fits and "world" in found else note
    write_json(folder / VERIFIERS, notes)
    return read_judged(path) if path.exists() else {}


def _judgement(
    verifier: Verifier, settings: VerifierSettings, seed: int, problem: Problem, i: int, trace: Trace
) -> Episode[Judged | Fault]:
    async def run(model: Model) -> Judged | Fault:
        policy = Policy(model, seed_of(seed, settings.name, problem.id, i), settings.sampling)
        try:
            checks = await verifier.check(policy, problem, trace)
        except (InfrastructureError, RefusedError) as e:
            return e
        return Judged(problem.id, i, digest(trace.solution), judgement_of(settings, checks, policy.usage), checks)

    return run


def judgement_of(settings: VerifierSettings, checks: Sequence[Check], usage: Usage) -> Judgement:
    """What the checks of one trace come to, to be stored with it."""
    return Judgement(
        settings.name,
        settings.role,
        tuple(c.verdict for c in checks if c.verdict is not None),
        tuple(c.score for c in checks if c.score is not None),
        usage.n_prompt_tokens,
        usage.n_new_tokens,
    )


@asynccontextmanager
async def _judging(
    places: Sequence[tuple[Problem, int, Trace]],
    settings: VerifierSettings,
    kit: Callable[[], AbstractContextManager[Kit]],
    make: Callable[[], Model],
    seed: int,
) -> AsyncIterator[Work[Judged | Fault]]:
    with kit() as opened:
        verifier, model = load_verifier(settings, opened), make()
        try:
            yield Work(model, [_judgement(verifier, settings, seed, *place) for place in places])
        finally:
            await model.aclose()


def _summary(judgements: Sequence[Judgement]) -> str:
    counts = {v: sum(j.verdicts.count(v) for j in judgements) for v in Verdict}
    return "  ".join(f"{n} {v.value.replace('_', ' ')}" for v, n in counts.items() if n)


# --- while somebody waits ---------------------------------------------------------------------------------------------

T = TypeVar("T")
Solve = Callable[[Model, str], Awaitable[Trace]]
"""Answers the question once; the text tells this try's name, on which its seed hangs."""
TEMPERATURE = 0.8
"""Of the trajectories where the settings sample greedily: they would all be the same."""


@dataclass(frozen=True, slots=True)
class VerifiedAnswer:
    """Every trajectory, what was said of each, and the choice among them. ``most`` trajectories were allowed."""

    pool: Pool
    checks: tuple[tuple[Check, ...], ...]
    choice: Selection
    ballots: Ballots
    most: int

    @property
    def trace(self) -> Trace:
        """The trajectory that won; where none did, the first."""
        return self.traces[self.choice.index or 0]

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Every trajectory, in the order of their names."""
        return self.pool.traces

    @property
    def usage(self) -> Usage:
        """What all trajectories and all judgements cost together."""
        total = Usage()
        for trace, said in self.pool.judged:
            total += sum((Usage(1, j.n_prompt_tokens, j.n_new_tokens) for j in said), trace.usage)
        return total


@dataclass(frozen=True, slots=True)
class Choosing:
    """How an answer is chosen while somebody waits: among ``n`` trajectories, each checked by ``verifier`` (None: by
    whoever solves) with what is in ``kit``: by programs, or where answers are words and it can search, by documents.

    ``kind`` says how answers are compared; without it they are themselves looked at (with ``stop``, those of the first
    batch). ``stop``: trajectories come in batches, and no more than the answer needs.
    """

    n: int
    kit: Kit
    verifier: Model | None = None
    kind: str | None = None
    stop: StopSettings | None = None

    def settings(self, own: RolloutSettings) -> RolloutSettings:
        """The settings of each trajectory: an agent's own, but never greedy."""
        if own.sampling.temperature > 0:
            return own
        return replace(own, sampling=replace(own.sampling, temperature=TEMPERATURE))

    async def answer(
        self, model: Model, problem: Problem, solve: Solve, settings: RolloutSettings, seed: int
    ) -> VerifiedAnswer:
        """Sample the trajectories, judge each, and choose the most frequent answer among those that pass.

        A check is as long as a step of the trajectories may be. A trajectory that met a fault has no answer to choose.
        Raises InfrastructureError where judging meets one.
        """
        traces: list[Trace] = []
        judged: list[tuple[Judgement, tuple[Check, ...]]] = []
        rules, checker = SelectionPolicy(filtered="majority"), None
        while True:
            n = self.n if self.stop is None else min(self.n, len(traces) + self.stop.batch)
            new = range(len(traces), n)
            nobody = all(t.answer is None for t in traces)  # so far: then nothing is known of the kind of answers
            traces += await _all(model, [_named(solve, f"{problem.id}#{i}") for i in new])
            if checker is None or nobody:
                problem = replace(problem, kind=self.kind or _kind([t.answer for t in traces if t.answer]))
                checker = self._checker(problem.kind, settings)
                verifier = load_verifier(checker, self.kit)
            judging = [_checking(verifier, checker, problem, i, traces[i], seed) for i in new]
            judged += await _all(self.verifier or model, judging)
            pool = Pool(problem, tuple(traces), tuple((j,) for j, _ in judged))
            seen = ballots(pool, Listen(verifier=checker.name), rules)
            if self.stop is None or stops(self.stop, METHODS["verifier"], seen, rules, self.n, seed):
                choice = select("verifier", seen, rules)
                return VerifiedAnswer(pool, tuple(k for _, k in judged), choice, seen, self.n)

    def _checker(self, kind: str, settings: RolloutSettings) -> VerifierSettings:
        role = "claims" if kind == "short" and self.kit.retriever is not None else "code"
        table = {"model": "local"}  # is loaded already
        return VerifierSettings(name=role, role=role, model=table, max_new_tokens=settings.sampling.max_new_tokens)


def _kind(answers: Sequence[str]) -> str:
    """``math`` where most answers are numbers or formulas: then 1/2 is 0.5."""
    n_math = sum(answer_kind([a]) == "math" for a in answers)
    return "math" if 2 * n_math > len(answers) else "short"


def _checking(
    verifier: Verifier, settings: VerifierSettings, problem: Problem, i: int, trace: Trace, seed: int
) -> Callable[[Model], Awaitable[tuple[Judgement, tuple[Check, ...]]]]:
    async def check(model: Model) -> tuple[Judgement, tuple[Check, ...]]:
        asking = Policy(model, seed_of(seed, settings.name, problem.id, i), settings.sampling)
        try:
            checks = await verifier.check(asking, problem, trace) if trace.answer is not None else ()
        except RefusedError:  # one candidate's words: the others are judged
            checks = ()
        return judgement_of(settings, checks, asking.usage), checks

    return check


def _named(solve: Solve, name: str) -> Callable[[Model], Awaitable[Trace]]:
    return lambda m: solve(m, name)


async def _all(model: Model, work: Sequence[Callable[[Model], Awaitable[T]]]) -> list[T]:
    """Every result, in order, as many side by side as the model takes."""
    done: dict[int, T] = {}
    await drive(model, groups_of(model, work, range(len(work))), done.__setitem__)
    return [done[i] for i in range(len(work))]


def facts(found: VerifiedAnswer) -> dict[str, Any]:
    """The choice and every candidate as JSON values."""
    chosen = found.choice
    return {
        "answer": None if chosen.index is None else found.traces[chosen.index].answer,
        "chosen": chosen.index,
        "sampled": len(found.traces),
        "most": found.most,
        "reason": chosen.reason,
        "fallback": chosen.fallback,
        "candidates": [
            {
                "answer": t.answer,
                "verdicts": [k.verdict for k in checks],
                "weight": w,
                "trace": t.id,
                **({"claims": claims} if (claims := _claims(checks)) else {}),
            }
            for t, checks, w in zip(found.traces, found.checks, chosen.weights, strict=True)
        ],
    }


def _claims(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """The claims that were looked up, each with its query and the documents that came of it."""
    asked = [c for c in checks if c.query]
    return [
        {"claim": c.detail, "verdict": c.verdict, "query": c.query, "reply": c.reply, "documents": list(c.documents)}
        for c in asked
    ]


def explain(found: VerifiedAnswer) -> list[str]:
    """Why one won: a line for each trajectory, the winner's with a star, one for each of its claims, and the choice."""
    lines = []
    for i, (t, checks) in enumerate(zip(found.traces, found.checks, strict=True)):
        mark = "*" if i == found.choice.index else " "
        counts = Counter(k.verdict.value.replace("_", " ") for k in checks if k.verdict is not None)
        verdicts = ", ".join(f"{n} {name}" for name, n in counts.items()) or "not judged"
        weight = found.choice.weights[i]
        told = "out" if weight is None else f"weight {weight:g}"
        answered = "no answer" if t.answer is None else " ".join(t.answer.split())[:80]
        lines.append(f"{mark} {i + 1}. {answered}  [{verdicts}; {told}]")
        lines += [f"      {_told(c)}" for c in checks if c.query]
    stopped = f" (stopped after {len(found.traces)} of {found.most})" if len(found.traces) < found.most else ""
    return [*lines, f"  chosen: {found.choice.reason}{stopped}"]


_RULED = {Verdict.TRUE: "supported", Verdict.FALSE: "contradicted"}


def _told(check: Check) -> str:
    """A claim in one line: what was found, the query with the titles of its documents, or what was computed."""
    told = f"{_ruled(check)}: {' '.join(check.detail.split())[:100]}"
    if check.query == NO_QUERY:
        return told
    if check.code:
        return f"{told}  (computed {check.documents[0] if check.documents else f'nothing by {check.code}'})"
    titles = "; ".join(d.partition(": ")[0][:40] for d in check.documents) or "nothing"
    return f'{told}  (searched "{check.query[:60]}", found {titles})'


def _ruled(check: Check) -> str:
    return "not judged" if check.verdict is None else _RULED.get(check.verdict, check.verdict.replace("_", " "))
