"""What the teacher's collection gave, and what the filters kept of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from agentdistill.report._cells import SEARCH, average, cell, n_calls
from agentdistill.report.outcome import Outcome, outcome
from agentdistill.report.run import Part, Run
from agentdistill.types import Trace


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


def filter_counts(part: Part) -> dict[str, Any]:
    """How many traces were kept, and how many each filter rejected (a count bears the name of its filter)."""
    counts = part.fact("counts")
    if not isinstance(counts, dict) or not counts:
        counts = {"kept": len(part.traces)}
    filters = part.fact("keep")
    return {"name": part.name, "filters": filters if isinstance(filters, list) else [], "counts": counts}


def contaminations(run: Run) -> list[dict[str, Any]]:
    """Training questions that are test questions too: the asked ones' facts, then those of every imported collection.

    The facts are those of :meth:`agentdistill.contamination.Screening.facts`, with the ``part`` of the run they are of.
    """
    found = [("problems", run.contamination), *((f.key, f.fact("contamination")) for f in run.filters)]
    return [{"part": part, **facts} for part, facts in found if isinstance(facts, dict) and facts]
