"""What one change to a method does: the first-thought prefix, acting by vote. With it minus without it, by problem."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentdistill.report._cells import SEARCH, n_calls
from agentdistill.report.outcome import EXECUTION, PARSE, Outcome, error_kinds, outcome
from agentdistill.report.run import Part, Run
from agentdistill.stats import Interval, Paired, Weighting, paired_difference
from agentdistill.types import End, Trace, Usage

PREFIX = "-prefix"
VOTES = "-sag"


@dataclass(frozen=True, slots=True)
class _Measure:
    """What is looked at in a trace (None: it has none), and what differences of it lie within."""

    of: Callable[[Trace], float | None]
    bounds: tuple[float, float] | None = None
    by_family: bool = True


def prefix_effects(run: Run) -> list[dict[str, Any]]:
    """For every pair NAME and NAME-prefix, collected or evaluated: with the prefix minus without, paired by problem."""
    pairs = [*_pairs(run.collections, PREFIX), *_pairs(run.evaluations, PREFIX)]
    return [e for with_it, without in pairs if (e := _effect(with_it, without, _OF_THE_PREFIX)) is not None]


def vote_effects(run: Run) -> list[dict[str, Any]]:
    """For every evaluation NAME and NAME-sag: acting by vote minus acting on one sample, paired by problem.

    ``parse``, ``execution`` and ``out_of_steps`` are shares of episodes that show that kind of error. ``candidates``
    were sampled for the votes, ``candidates_spared`` were not since the vote was settled.
    """
    out = []
    for with_votes, without in _pairs(run.evaluations, VOTES):
        effect = _effect(with_votes, without, _OF_VOTES)
        if effect is not None:
            usage = sum((t.usage for t in with_votes.traces), Usage())
            names = {"student": without.student, "method": without.method, "role": without.role}
            counts = {"candidates": usage.n_candidates, "candidates_spared": usage.n_spared}
            out.append({**names, **effect, **counts})
    return out


def _pairs(parts: Sequence[Part], suffix: str) -> list[tuple[Part, Part]]:
    """Parts that differ in the suffix alone: with it, and without."""
    named = {p.name: p for p in parts}
    return [(named[p.name + suffix], p) for p in parts if p.name + suffix in named]


def _effect(with_it: Part, without: Part, measures: Mapping[str, _Measure]) -> dict[str, Any] | None:
    """None where no problem has the measure in both."""
    weighting: Weighting = "problem" if without.stage == "collect" else "family"
    out: dict[str, Any] = {"with": with_it.key, "without": without.key, "weighting": weighting}
    for name, m in measures.items():
        a, b = _values(with_it.traces, m.of), _values(without.traces, m.of)
        families = sorted(f for f in a if set(a[f]) & set(b.get(f, {})))
        if not families:
            return None
        out[name] = {"overall": as_dict(paired_difference(a, b, weighting=weighting, bounds=m.bounds))}
        if m.by_family:
            out[name]["families"] = {
                f: as_dict(paired_difference({f: a[f]}, {f: b[f]}, weighting=weighting, bounds=m.bounds))
                for f in families
            }
    return out


def _values(traces: Sequence[Trace], of: Callable[[Trace], float | None]) -> dict[str, dict[str, float]]:
    """Family -> problem -> mean of a measure over its traces, leaving out the traces that have none."""
    lists: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for t in traces:
        value = of(t)
        if value is not None:
            lists[t.problem.family][t.problem.id].append(value)
    return {f: {p: sum(v) / len(v) for p, v in problems.items()} for f, problems in lists.items()}


def as_dict(paired: Paired) -> dict[str, Any]:
    """A paired comparison as it stands in report.json."""
    return asdict(paired) | {"ratio": paired.ratio}


def finite(interval: Interval) -> dict[str, Any]:
    """An interval as it stands in report.json, where an end that is infinite is None."""
    return {k: v if math.isfinite(v) else None for k, v in asdict(interval).items()}


def _right(trace: Trace) -> float | None:
    return None if trace.correct is None else float(trace.correct)


def _unless_fault(of: Callable[[Trace], float]) -> Callable[[Trace], float | None]:
    return lambda trace: None if outcome(trace) is Outcome.FAULT else float(of(trace))


def _shows(kind: str) -> Callable[[Trace], float | None]:
    return _unless_fault(lambda trace: kind in error_kinds(trace))


_SHARE = (-1.0, 1.0)
_OF_THE_PREFIX: Mapping[str, _Measure] = {
    "accuracy": _Measure(_right, _SHARE),
    "steps": _Measure(_unless_fault(lambda t: len(t.steps))),
    "searches": _Measure(_unless_fault(lambda t: n_calls(t, SEARCH))),
}
_OF_VOTES: Mapping[str, _Measure] = {
    "accuracy": _Measure(_right, _SHARE),
    "parse": _Measure(_shows(PARSE), _SHARE),
    "execution": _Measure(_shows(EXECUTION), _SHARE),
    "out_of_steps": _Measure(_shows(End.OUT_OF_STEPS.value), _SHARE),
    "steps": _Measure(_unless_fault(lambda t: len(t.steps)), by_family=False),
    "searches": _Measure(_unless_fault(lambda t: n_calls(t, SEARCH)), by_family=False),
    "new_tokens": _Measure(_unless_fault(lambda t: t.usage.n_new_tokens), by_family=False),
}
