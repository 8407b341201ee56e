"""One question, several trajectories, one of them chosen: verification while somebody waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from agentdistill.driver import drive, groups_of
from agentdistill.errors import RefusedError
from agentdistill.loop import Policy as Asking
from agentdistill.loop import RolloutSettings
from agentdistill.models import Model
from agentdistill.problems import answer_kind
from agentdistill.store import seed_of
from agentdistill.types import End, Problem, Trace, Usage
from agentdistill.verify.candidates import of_trace
from agentdistill.verify.evidence import Ballots, Judges, Policy, ballots
from agentdistill.verify.judges import JudgeSettings, Kit, load_judge
from agentdistill.verify.judging import judgement_of
from agentdistill.verify.select import Choice, select
from agentdistill.verify.types import Candidate, Check, Pool

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
        judge = JudgeSettings(name=role, role=role, model=table, max_new_tokens=settings.sampling.max_new_tokens)
        return await _chosen(self.verifier or model, replace(problem, kind=kind), traces, judge, self.kit, seed=seed)


def _kind(answers: Sequence[str]) -> str:
    """``math`` where most answers are numbers or formulas: then 1/2 is 0.5."""
    n_math = sum(answer_kind([a]) == "math" for a in answers)
    return "math" if 2 * n_math > len(answers) else "short"


async def answer(
    model: Model,
    problem: Problem,
    solve: Solve,
    n: int,
    settings: JudgeSettings,
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
    verifier: Model,
    problem: Problem,
    traces: Sequence[Trace],
    settings: JudgeSettings,
    kit: Kit,
    *,
    policy: Policy | None = None,
    seed: int = 0,
) -> Answered:
    candidates = tuple(of_trace(t) if t.end is not End.FAULT else Candidate("") for t in traces)
    pool = Pool(problem, candidates, traces[0].model)
    judge = load_judge(settings, kit)

    def checking(i: int, c: Candidate) -> Callable[[Model], Awaitable[tuple[Candidate, tuple[Check, ...]]]]:
        async def check(m: Model) -> tuple[Candidate, tuple[Check, ...]]:
            asking = Asking(m, seed_of(seed, settings.name, problem.id, i), settings.sampling)
            try:
                checks = await judge.check(asking, problem, c) if c.answer is not None else ()
            except RefusedError:  # one candidate's words: the others are judged
                checks = ()
            return replace(c, judgements=(judgement_of(settings, checks, asking.usage),)), checks

        return check

    judged = await _all(verifier, [checking(i, c) for i, c in enumerate(pool.candidates)])
    pool = replace(pool, candidates=tuple(c for c, _ in judged))
    rules = policy or Policy(filtered="majority")
    seen = ballots(pool, Judges(verifier=settings.name), rules)
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
