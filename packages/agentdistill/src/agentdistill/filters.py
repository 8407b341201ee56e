"""Filters: which trajectories are worth learning from. A filter is a function ``(trace) -> bool``.

A recipe names those it wants as ``keep`` in ``[filter]``: built-in ones, or plug-ins (:mod:`agentdistill.registry`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from agentdistill import registry
from agentdistill.types import PARSE_ERRORS, End, Trace

DEFAULT = ("right_answer", "no_parse_error", "within_steps")
"""The paper's: the final answer is right, every step parsed, and the episode did not run out of steps."""


def right_answer(trace: Trace) -> bool:
    """The final answer was scored right. Faults are unscored and never pass."""
    return trace.correct is True


def no_parse_error(trace: Trace) -> bool:
    """Every step had a code block that parsed. A step whose code raised is kept: the recovery is worth learning."""
    return not any(step.status in PARSE_ERRORS for step in trace.steps)


def within_steps(trace: Trace) -> bool:
    """The episode ended by itself, not by running out of steps or of context."""
    return trace.end is End.ANSWERED


def filter_traces(traces: Sequence[Trace], names: Sequence[str] = DEFAULT) -> tuple[list[Trace], dict[str, int]]:
    """The traces that pass every filter, and how many each one rejected (a trace counts for the first that did).

    Raises UserError for a filter that does not exist.
    """
    predicates: list[tuple[str, Callable[[Trace], bool]]] = [(name, registry.load("filters", name)) for name in names]
    kept, counts = [], Counter({"kept": 0, **dict.fromkeys(names, 0)})
    for trace in traces:
        why = next((name for name, keep in predicates if not keep(trace)), None)
        counts[why or "kept"] += 1
        if why is None:
            kept.append(trace)
    return kept, dict(counts)
