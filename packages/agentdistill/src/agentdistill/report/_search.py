"""What an evaluation searched: queries a question, and how much of what its questions need it was shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from agentdistill.methods import METHODS
from agentdistill.problems import share_shown
from agentdistill.report._cells import SEARCH, n_calls
from agentdistill.report.outcome import Outcome, outcome
from agentdistill.report.run import Part
from agentdistill.stats import mean_interval
from agentdistill.types import Trace


def searched(part: Part) -> dict[str, Any] | None:
    """Searches a question, and recall: the share of a question's supporting passages among those that were found, by
    all of an agent's searches or by the one query that put passages beside the question. Averages over families.

    ``searches`` is None for a method that cannot search of its own, ``recall`` where no question names its supporting
    passages; the whole is None where nothing was searched.
    """
    method = METHODS.get(part.method)
    is_given = method is not None and method.passages
    whole = [t for t in part.traces if outcome(t) is not Outcome.FAULT]
    if not is_given and not any(n_calls(t, SEARCH) for t in whole):
        return None
    shown = _beside if is_given else _found
    return {
        "searches": None if is_given else _interval(whole, lambda t: n_calls(t, SEARCH), None),
        "recall": _interval(
            [t for t in whole if t.problem.supporting],
            lambda t: share_shown(t.problem.supporting, shown(t)),
            (0.0, 1.0),
        ),
    }


def _found(trace: Trace) -> list[str]:
    return [c.result for s in trace.steps for c in s.tool_calls if c.name == SEARCH and c.ok]


def _beside(trace: Trace) -> list[str]:
    return [m.content for m in trace.prompt if m.role == "user"][-1:]  # before it there may be worked examples


def _interval(
    traces: Sequence[Trace], of: Callable[[Trace], float], bounds: tuple[float, float] | None
) -> dict[str, Any] | None:
    """The mean over problems, each of which may have several traces."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for t in traces:
        values[t.problem.family][t.problem.id].append(of(t))
    means = {f: [sum(v) / len(v) for v in problems.values()] for f, problems in values.items()}
    return asdict(mean_interval(means, bounds=bounds)) if means else None
