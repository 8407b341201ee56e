"""What the teacher's collection gave, and what the first-thought prefix changed in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agentdistill.report._cells import average, cell, n_calls
from agentdistill.report.outcome import Outcome, outcome
from agentdistill.report.run import Part, Run
from agentdistill.stats import Paired, Weighting, paired_difference
from agentdistill.types import Trace

SEARCH = "search"
PREFIX = "-prefix"


def collection(part: Part) -> dict[str, Any]:
    """One collection. Its average weighs by problem: it is the plain share of right traces, as training sees them."""
    return {
        "name": part.name,
        "method": part.method,
        "model": part.traces[0].model if part.traces else part.student,
        "average": average(part.traces, "problem") | _search(part.traces),
        "families": {f: cell(ts) | _search(ts) for f, ts in by_family(part.traces).items()},
    }


def by_family(traces: Sequence[Trace]) -> dict[str, list[Trace]]:
    """Traces grouped by family, families in alphabetical order."""
    groups: dict[str, list[Trace]] = defaultdict(list)
    for t in traces:
        groups[t.problem.family].append(t)
    return {f: groups[f] for f in sorted(groups)}


def _search(traces: Sequence[Trace]) -> dict[str, Any]:
    whole = [t for t in traces if outcome(t) is not Outcome.FAULT]
    never = sum(n_calls(t, SEARCH) == 0 for t in whole)
    n_searches = sum(n_calls(t, SEARCH) for t in whole)
    return {
        "searches_per_episode": n_searches / len(whole) if whole else None,
        "share_without_search": never / len(whole) if whole else None,
        "n_with_prefix": sum(any(s.reply.prefix for s in t.steps) for t in whole),
    }


def prefix_effects(run: Run) -> list[dict[str, Any]]:
    """For every pair NAME and NAME-prefix, collected or evaluated: with the prefix minus without, paired by problem."""
    out = []
    for parts in (run.collections, run.evaluations):
        named = {p.name: p for p in parts}
        for part in parts:
            other = named.get(part.name + PREFIX)
            if other is not None:
                out.append(_prefix_effect(other, part))
    return [effect for effect in out if effect is not None]


def _prefix_effect(with_prefix: Part, without: Part) -> dict[str, Any] | None:
    weighting: Weighting = "problem" if without.stage == "collect" else "family"
    out: dict[str, Any] = {"with": with_prefix.key, "without": without.key, "weighting": weighting}
    for name, (of, bounds) in _MEASURES.items():
        a, b = _values(with_prefix.traces, of), _values(without.traces, of)
        families = sorted(f for f in a if set(a[f]) & set(b.get(f, {})))
        if not families:
            return None
        out[name] = {
            "overall": as_dict(paired_difference(a, b, weighting=weighting, bounds=bounds)),
            "families": {
                f: as_dict(paired_difference({f: a[f]}, {f: b[f]}, weighting=weighting, bounds=bounds))
                for f in families
            },
        }
    return out


def _right(trace: Trace) -> float | None:
    return None if trace.correct is None else float(trace.correct)


def _n_steps(trace: Trace) -> float | None:
    return None if outcome(trace) is Outcome.FAULT else float(len(trace.steps))


def _n_searches(trace: Trace) -> float | None:
    return None if outcome(trace) is Outcome.FAULT else float(n_calls(trace, SEARCH))


Measure = Callable[[Trace], float | None]
_MEASURES: Mapping[str, tuple[Measure, tuple[float, float] | None]] = {
    "accuracy": (_right, (-1.0, 1.0)),
    "steps": (_n_steps, None),
    "searches": (_n_searches, None),
}


def _values(traces: Sequence[Trace], of: Measure) -> dict[str, dict[str, float]]:
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


def filter_counts(part: Part) -> dict[str, Any]:
    """How many traces were kept, and how many each filter rejected (a count bears the name of its filter)."""
    counts = part.fact("counts")
    if not isinstance(counts, dict) or not counts:
        counts = {"kept": len(part.traces)}
    filters = part.fact("keep")
    return {"name": part.name, "filters": filters if isinstance(filters, list) else [], "counts": counts}
