"""Methods compared by problem: distilled agents with students distilled with chain of thought, of the next size up and
of their own, and a method with and without one change (the first-thought prefix, acting by vote)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentdistill.report.run import (
    EXECUTION,
    PARSE,
    SEARCH,
    Outcome,
    Part,
    StoredRun,
    error_kinds,
    means_by_problem,
    n_calls,
    outcome,
    values_by_problem,
)
from agentdistill.report.stats import Interval, Paired, Values, Weighting, paired_difference, paired_ratio, points
from agentdistill.types import End, Trace, Usage

COT_DISTILL = "cot-distill"
AGENT_DISTILL = "agent-distill"
_SAME_SIZE_BASELINES = (COT_DISTILL, "cot-distill-rag", "agent", "cot")


def is_agent_distilled(method: str) -> bool:
    """True for ``agent-distill`` and its variants (``agent-distill+sag``, …)."""
    return method.startswith(AGENT_DISTILL)


def comparisons(evaluations: Sequence[Part]) -> list[dict[str, Any]]:
    """Every agent-distilled student against CoT distillation of the next size up, then against its own size.

    Differences are in accuracy (0..1), paired by problem, averaged over the families that both were scored on. The
    upper end of a ratio's interval is None where it has none, since the baseline may be at zero.
    """
    students = [p for p in evaluations if p.role != "teacher"]
    values = {p.name: values_by_problem(p.traces) for p in students}
    out = []
    for part in (p for p in students if is_agent_distilled(p.method)):
        for relation, baseline in _baselines(part, students):
            if shared_families(values[part.name], values[baseline.name]):
                out.append(_compare(part, baseline, relation, values))
    return sorted(out, key=lambda c: c["relation"] != "next_size_up")


def _baselines(part: Part, students: Sequence[Part]) -> list[tuple[str, Part]]:
    out = []
    size = part.n_parameters
    if size is not None:
        larger = [(n, p) for p in students if p.method == COT_DISTILL and (n := p.n_parameters or 0) > size]
        if larger:
            out.append(("next_size_up", min(larger, key=lambda pair: pair[0])[1]))
    for method in (*_SAME_SIZE_BASELINES, AGENT_DISTILL):
        for p in students:
            if p.student == part.student and p.method == method and p.name != part.name:
                out.append(("same_size", p))
    return out


def shared_families(a: Values, b: Values) -> list[str]:
    """The families in which both have a value for the same problem."""
    return sorted(f for f in a if set(a[f]) & set(b.get(f, {})))


def _compare(part: Part, baseline: Part, relation: str, values: Mapping[str, Values]) -> dict[str, Any]:
    a, b = values[part.name], values[baseline.name]
    families = shared_families(a, b)
    ratio = paired_ratio(a, b)
    return {
        "relation": relation,
        "student": part.student,
        "method": part.method,
        "baseline_student": baseline.student,
        "baseline_method": baseline.method,
        "n_families": len(families),
        **_as_dict(paired_difference(a, b)),
        "ratio_interval": None if ratio is None else _finite(ratio),
        "families": {f: _as_dict(paired_difference({f: a[f]}, {f: b[f]})) for f in families},
    }


def reading(compared: Sequence[Mapping[str, Any]]) -> str:
    """One plain sentence on what the comparisons show, and on what they do not."""
    against_cot = [c for c in compared if c["baseline_method"] == COT_DISTILL]
    n_pairs = Counter(c["method"] for c in against_cot)
    # Where several agent methods were distilled, the one with most pairs speaks; the plain one where that is a tie.
    method = max(n_pairs, key=lambda m: (n_pairs[m], m == AGENT_DISTILL), default=AGENT_DISTILL)
    against_cot = [c for c in against_cot if c["method"] == method]
    for relation, words in (("next_size_up", "of the next size up"), ("same_size", "of its own size")):
        pairs = [c for c in against_cot if c["relation"] == relation]
        if pairs:
            return _sentence(pairs, words)
    return (
        "This run holds no agent-distilled student with a CoT-distilled student to compare it with, "
        "so it says nothing about the difference between the two."
    )


def _sentence(pairs: Sequence[Mapping[str, Any]], words: str) -> str:
    better = [c for c in pairs if c["difference"]["low"] > 0]
    worse = [c for c in pairs if c["difference"]["high"] < 0]
    unsettled = [c for c in pairs if c not in better and c not in worse]
    n_families = pairs[0]["n_families"]
    average = "" if n_families == 1 else f" on the average of {n_families} families"
    rival = f"the CoT-distilled student {words}{average}"
    if not better:
        parts = [f"No agent-distilled student is shown to beat {rival}"]
    elif len(pairs) == 1:
        parts = [f"The agent-distilled student beats {rival}: {_pair(pairs[0])}"]
    elif len(better) == len(pairs):
        parts = [f"Every agent-distilled student ({len(pairs)} of {len(pairs)}) beats {rival}, {_range(better)}"]
    else:
        beat = "beats" if len(better) == 1 else "beat"
        parts = [f"{len(better)} of {len(pairs)} agent-distilled students {beat} {rival}, {_range(better)}"]
    if unsettled:
        parts.append(f"not settled: {', '.join(_pair(c) for c in unsettled)}")
    if worse:
        parts.append(f"worse: {', '.join(_pair(c) for c in worse)}")
    return "; ".join(parts) + "."


def _pair(c: Mapping[str, Any]) -> str:
    d = c["difference"]
    interval = f"95 % interval {points(d['low'])} to {points(d['high'])}"
    return f"{c['student']} against {c['baseline_student']} {points(d['estimate'])} points ({interval})"


def _range(pairs: Sequence[Mapping[str, Any]]) -> str:
    found = sorted(c["difference"]["estimate"] * 100 for c in pairs)
    if len(found) == 1:
        return f"by {found[0]:.1f} points"
    return f"by {found[0]:.1f} to {found[-1]:.1f} points"


PREFIX = "-prefix"
VOTES = "-sag"


@dataclass(frozen=True, slots=True)
class _Measure:
    """What is looked at in a trace (None: it has none), and what differences of it lie within."""

    of: Callable[[Trace], float | None]
    bounds: tuple[float, float] | None = None
    by_family: bool = True


def prefix_effects(run: StoredRun) -> list[dict[str, Any]]:
    """For every pair NAME and NAME-prefix, collected or evaluated: with the prefix minus without, paired by problem."""
    pairs = [*_pairs(run.collections, PREFIX), *_pairs(run.evaluations, PREFIX)]
    return [e for with_it, without in pairs if (e := _effect(with_it, without, _OF_THE_PREFIX)) is not None]


def vote_effects(run: StoredRun) -> list[dict[str, Any]]:
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
        a, b = means_by_problem(with_it.traces, m.of), means_by_problem(without.traces, m.of)
        families = shared_families(a, b)
        if not families:
            return None
        out[name] = {"overall": _as_dict(paired_difference(a, b, weighting=weighting, bounds=m.bounds))}
        if m.by_family:
            out[name]["families"] = {
                f: _as_dict(paired_difference({f: a[f]}, {f: b[f]}, weighting=weighting, bounds=m.bounds))
                for f in families
            }
    return out


def _as_dict(paired: Paired) -> dict[str, Any]:
    """A paired comparison as it stands in report.json."""
    return asdict(paired) | {"ratio": paired.ratio}


def _finite(interval: Interval) -> dict[str, Any]:
    """An interval as it stands in report.json, where an end that is infinite is None."""
    return {k: v if math.isfinite(v) else None for k, v in asdict(interval).items()}


def _unless_fault(of: Callable[[Trace], float]) -> Callable[[Trace], float | None]:
    return lambda trace: None if outcome(trace) is Outcome.FAULT else float(of(trace))


def _shows(kind: str) -> Callable[[Trace], float | None]:
    return _unless_fault(lambda trace: kind in error_kinds(trace))


_SHARE = (-1.0, 1.0)
_OF_THE_PREFIX: Mapping[str, _Measure] = {
    "accuracy": _Measure(lambda t: t.correct, _SHARE),
    "steps": _Measure(_unless_fault(lambda t: len(t.steps))),
    "searches": _Measure(_unless_fault(lambda t: n_calls(t, SEARCH))),
}
_OF_VOTES: Mapping[str, _Measure] = {
    "accuracy": _Measure(lambda t: t.correct, _SHARE),
    "parse": _Measure(_shows(PARSE), _SHARE),
    "execution": _Measure(_shows(EXECUTION), _SHARE),
    "out_of_steps": _Measure(_shows(End.OUT_OF_STEPS.value), _SHARE),
    "steps": _Measure(_unless_fault(lambda t: len(t.steps)), by_family=False),
    "searches": _Measure(_unless_fault(lambda t: n_calls(t, SEARCH)), by_family=False),
    "new_tokens": _Measure(_unless_fault(lambda t: t.usage.n_new_tokens), by_family=False),
}
