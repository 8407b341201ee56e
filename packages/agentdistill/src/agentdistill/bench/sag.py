"""What acting by vote costs beside its samples, and what stopping early saves. Ratios with intervals, from one run.

Three ways act on the same problems in turn: one sample a step, N samples with a vote, N with a vote that stops sampling
once it is settled. Reported are

- the wall clock of voting over that of generating the very samples it voted on: forks, sandbox, search, tally and all;
- the share of the N samples that stopping early spared, and what it did to the accuracy, problem by problem.

Batches of episodes are what is resampled for the first, problems for the others. The model is a student: a folder of
weights that a run trained (``runs/NAME/train/0.3M--agent-distill``), or one that ships with the package, which was not
distilled yet and so is right about nothing. Weights this small make the cost of voting look as bad as it can.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agentdistill.driver import drive, groups_of
from agentdistill.environment import Environment
from agentdistill.errors import UserError
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models import Model, load_model
from agentdistill.prompts import load_style
from agentdistill.stats import Interval, mean_interval, paired_difference, paired_ratio
from agentdistill.types import Consistency, End, Problem, Request, Sample, Sampling, Trace

COST_TARGET = 1.3
SPARED_TARGET = 1 / 3
ONE, FULL, ADAPTIVE = "one", "full", "adaptive"
_AT_LEAST_1 = ("problems", "samples", "rounds", "batch", "steps", "tokens")
_LEFT_OUT = 1  # rounds that only warm up


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0. Raises UserError for weights that are not there."""
    parser = argparse.ArgumentParser(prog="agentdistill bench sag", description=str(__doc__).splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--student", default="tinyworld:0.3M", help="a folder of weights, or tinyworld:SIZE")
    parser.add_argument("--problems", type=int, default=4, help="problems of each of TinyWorld's families (default 4)")
    parser.add_argument("--samples", type=int, default=8, help="candidates of a step (default 8)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each way runs, every time seeded anew (2)")
    parser.add_argument("--batch", type=int, default=8, help="episodes that run together (default 8)")
    parser.add_argument("--steps", type=int, default=6, help="steps of an episode at most (default 6)")
    parser.add_argument("--tokens", type=int, default=160, help="tokens of a step at most (default 160)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or auto")
    parser.add_argument("--mode", default="auto", help="the sandbox's mode (default auto)")
    options = parser.parse_args(argv)
    if min(getattr(options, name) for name in _AT_LEAST_1) < 1:
        raise UserError("bench sag: every number has to be at least 1")
    result = _on_tinyworld(options)
    print(json.dumps(result) if options.json else _said(result))
    return 0


def _on_tinyworld(options: argparse.Namespace) -> dict[str, Any]:
    from agentdistill.checkpoints import locate
    from agentdistill.retrieval import build_retriever
    from agentdistill.tasks.tinyworld import corpus, problems
    from agentdistill.tools.search import search_tool

    path = locate(options.student)
    model = load_model("local", path=path, name=options.student, device=options.device, batch_size=options.batch)
    tools = [search_tool(build_retriever("bm25", corpus()), 3)]
    settings = RolloutSettings(max_steps=options.steps, sampling=Sampling(max_new_tokens=options.tokens))
    with Environment(tools, mode=options.mode) as environment:
        made = problems(f"test:{options.problems}")
        return measure(model, environment, made, options.samples, options.rounds, settings)


def _said(result: Mapping[str, Any]) -> str:
    cost, saved = result["cost"], result["spared"]
    right = "   ".join(f"{way} {a['estimate']:.1%}" for way, a in result["accuracy"].items())
    change = result["accuracy_change"]
    return "\n".join(
        (
            f"acting by vote, {result['model']}, {result['n_problems']} problems x {result['rounds']} rounds, "
            f"{result['n_samples']} samples a step",
            f"  wall clock / generation alone  {cost['estimate']:.2f} ({cost['low']:.2f} to {_upper(cost)})   "
            f"target at most {COST_TARGET}",
            f"  samples spared                 {saved['estimate']:.1%} ({saved['low']:.1%} to {saved['high']:.1%})   "
            f"target at least {SPARED_TARGET:.0%}",
            f"  right with stopping - without  {change['estimate'] * 100:+.1f} points "
            f"({change['low'] * 100:+.1f} to {change['high'] * 100:+.1f})",
            f"  wall clock stopping / without  {result['seconds']['adaptive'] / result['seconds']['full']:.2f}",
            f"  right                          {right}",
        )
    )


def _upper(interval: Mapping[str, Any]) -> str:
    return "…" if interval["high"] is None else f"{interval['high']:.2f}"


class _Timed:
    """A model of this process that keeps the time spent generating."""

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size, self.lockstep = model.name, model.batch_size, model.lockstep
        self.context_length = model.context_length
        self.seconds = 0.0
        self._model = model

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        started = time.perf_counter()
        try:
            return await self._model.generate(requests)
        finally:
            self.seconds += time.perf_counter() - started

    async def aclose(self) -> None:
        await self._model.aclose()


@dataclass(slots=True)
class _Way:
    """What one way of acting gave: every trace with its round, every batch's seconds, in all and generating."""

    traces: list[tuple[int, Trace]] = field(default_factory=list)
    whole: dict[str, float] = field(default_factory=dict)
    generating: dict[str, float] = field(default_factory=dict)

    def mean(self, of: Callable[[Trace], float]) -> dict[str, dict[str, float]]:
        """Family -> problem -> mean over rounds of what ``of`` gives."""
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _, t in self.traces:
            found[t.problem.family][t.problem.id].append(of(t))
        return {f: {p: sum(v) / len(v) for p, v in problems.items()} for f, problems in found.items()}


def measure(
    model: Model,
    environment: Environment,
    problems: Sequence[Problem],
    n_samples: int = 8,
    rounds: int = 2,
    settings: RolloutSettings = RolloutSettings(),  # noqa: B008  frozen
    style: str = "tiny",
) -> dict[str, Any]:
    """Run every way ``rounds`` times over the problems, after a round on the first batch that is not counted.

    Returns JSON values. Raises RuntimeError where an episode ends in a fault: its time would mean nothing.
    """
    votes = Consistency(n=n_samples)
    ways = {
        ONE: None,
        FULL: Consistency(votes.n, votes.temperature, votes.top_p, adaptive=False),
        ADAPTIVE: votes,
    }
    found = {name: _Way() for name in ways}
    for r in range(-_LEFT_OUT, rounds):
        for name, vote in ways.items():
            some = problems[: model.batch_size] if r < 0 else problems
            how = RolloutSettings(settings.max_steps, settings.sampling, seed=max(r, 0), consistency=vote)
            asyncio.run(_run(model, environment, some, how, style, _Way() if r < 0 else found[name], r))
    return _result(model, found, n_samples, rounds, len(problems))


async def _run(
    model: Model,
    environment: Environment,
    problems: Sequence[Problem],
    settings: RolloutSettings,
    style: str,
    way: _Way,
    round_: int,
) -> None:
    """One round of one way, batch by batch."""
    timed, said = _Timed(model), load_style(style)

    def episode(problem: Problem) -> Callable[[Model], Awaitable[Trace]]:
        return lambda m: rollout(m, problem, environment, said, settings)

    def keep(_: int, trace: Trace) -> None:
        if trace.end is End.FAULT:
            raise RuntimeError(f"the episode {trace.id} failed: {trace.fault}")
        way.traces.append((round_, trace))

    episodes = [episode(p) for p in problems]
    size = max(1, model.batch_size)
    for n, start in enumerate(range(0, len(episodes), size)):
        part = episodes[start : start + size]
        timed.seconds, started = 0.0, time.perf_counter()
        await drive(timed, groups_of(timed, part, range(len(part))), keep)
        place = f"{round_}/{n}"
        way.whole[place], way.generating[place] = time.perf_counter() - started, timed.seconds


def _result(model: Model, found: Mapping[str, _Way], n_samples: int, rounds: int, n_problems: int) -> dict[str, Any]:
    right = {name: way.mean(lambda t: float(bool(t.correct))) for name, way in found.items()}
    full, adaptive = found[FULL], found[ADAPTIVE]
    return {
        "model": model.name,
        "n_problems": n_problems,
        "n_samples": n_samples,
        "rounds": rounds,
        "targets": {"cost": COST_TARGET, "spared": SPARED_TARGET},
        "cost": _cost(full),
        "cost_adaptive": _cost(adaptive),
        "spared": asdict(_spared(adaptive)),
        "accuracy": {n: asdict(mean_interval({f: list(v.values()) for f, v in r.items()})) for n, r in right.items()},
        "accuracy_change": asdict(paired_difference(right[ADAPTIVE], right[FULL]).difference),
        "seconds": {name: sum(way.whole.values()) for name, way in found.items()},
        "generating_s": {name: sum(way.generating.values()) for name, way in found.items()},
        "new_tokens": {name: sum(t.usage.n_new_tokens for _, t in way.traces) for name, way in found.items()},
        "candidates": {name: sum(t.usage.n_candidates for _, t in way.traces) for name, way in found.items()},
        "same_steps": _same_steps(full, adaptive),
    }


def _cost(way: _Way) -> dict[str, Any]:
    """Wall clock over generation alone, batches resampled."""
    longest = max(way.whole.values())
    ratio = paired_ratio({"batches": way.whole}, {"batches": way.generating}, bounds=(0.0, longest))
    assert ratio is not None, "generating took no time at all"
    high = ratio.high if ratio.high != float("inf") else None
    return {**asdict(ratio), "high": high}


def _spared(way: _Way) -> Interval:
    """The share of the samples that were not drawn since the vote was settled, problems resampled."""
    drawn = way.mean(lambda t: float(t.usage.n_candidates))
    possible = way.mean(lambda t: float(t.usage.n_candidates + t.usage.n_spared))
    most = max(v for problems in possible.values() for v in problems.values())
    share = paired_ratio(drawn, possible, weighting="problem", bounds=(0.0, most))
    assert share is not None, "nothing was voted on"
    return Interval(1 - share.estimate, max(0.0, 1 - share.high), min(1.0, 1 - share.low), share.n)


def _same_steps(full: _Way, adaptive: _Way) -> float:
    """The share of episodes in which stopping early changed no step. Another batch can round a logit otherwise."""
    said = {(r, t.problem.id): [s.reply.content for s in t.steps] for r, t in full.traces}
    same = [said[r, t.problem.id] == [s.reply.content for s in t.steps] for r, t in adaptive.traces]
    return sum(same) / len(same)


if __name__ == "__main__":
    sys.exit(main())
