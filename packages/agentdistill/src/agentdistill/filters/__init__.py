"""Filters: which trajectories are worth learning from. One named predicate a file, found by its name.

A filter module has ``keep(trace) -> bool``. Adding one is adding that file; a recipe names the ones it wants.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable, Sequence

from agentdistill.errors import UserError
from agentdistill.types import Trace

__all__ = ["DEFAULT", "filter_traces", "filters", "load_filter"]

DEFAULT = ("right_answer", "no_parse_error", "within_steps")
"""The paper's: the final answer is right, every step parsed, and the episode did not run out of steps."""


def filters() -> tuple[str, ...]:
    """The names of the filters there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def load_filter(name: str) -> Callable[[Trace], bool]:
    """The predicate called ``name``. Raises UserError naming the nearest for an unknown one."""
    if name not in filters():
        near = difflib.get_close_matches(name, filters(), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise UserError(f'no filter is called "{name}"{hint} (there are: {", ".join(filters())})')
    keep: Callable[[Trace], bool] = importlib.import_module(f"{__name__}.{name}").keep
    return keep


def filter_traces(traces: Sequence[Trace], names: Sequence[str] = DEFAULT) -> tuple[list[Trace], dict[str, int]]:
    """The traces that pass every filter, and how many each one rejected (a trace counts for the first that did)."""
    predicates = [(name, load_filter(name)) for name in names]
    kept, counts = [], Counter({"kept": 0, **dict.fromkeys(names, 0)})
    for trace in traces:
        why = next((name for name, keep in predicates if not keep(trace)), None)
        counts[why or "kept"] += 1
        if why is None:
            kept.append(trace)
    return kept, dict(counts)
