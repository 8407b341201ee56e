"""What the whole run is about: does a distilled agent reach the next size up distilled with chain of thought?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agentdistill.report._effects import as_dict, finite
from agentdistill.report.run import Part, values_by_problem
from agentdistill.stats import paired_difference, paired_ratio
from agentdistill.stats.shown import points

COT_DISTILL = "cot-distill"
AGENT_DISTILL = "agent-distill"
_SAME_SIZE_BASELINES = (COT_DISTILL, "cot-distill-rag", "agent", "cot")

Values = Mapping[str, Mapping[str, float]]


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
            if _share_a_problem(values[part.name], values[baseline.name]):
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


def _share_a_problem(a: Values, b: Values) -> bool:
    return any(set(a[f]) & set(b.get(f, {})) for f in a)


def _compare(part: Part, baseline: Part, relation: str, values: Mapping[str, Values]) -> dict[str, Any]:
    a, b = values[part.name], values[baseline.name]
    families = sorted(f for f in a if set(a[f]) & set(b.get(f, {})))
    ratio = paired_ratio(a, b)
    return {
        "relation": relation,
        "student": part.student,
        "method": part.method,
        "baseline_student": baseline.student,
        "baseline_method": baseline.method,
        "n_families": len(families),
        **as_dict(paired_difference(a, b)),
        "ratio_interval": None if ratio is None else finite(ratio),
        "families": {f: as_dict(paired_difference({f: a[f]}, {f: b[f]})) for f in families},
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
