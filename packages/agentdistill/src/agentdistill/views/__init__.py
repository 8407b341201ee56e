"""A run in the terminal. Each view has a function that returns its facts as JSON values and one that prints them."""

from __future__ import annotations

from agentdistill.views.compare import compare, compare_runs
from agentdistill.views.listing import Filters, list_traces, show_run
from agentdistill.views.trace import find_trace, show_trace, trace_facts

__all__ = ["Filters", "compare", "compare_runs", "find_trace", "list_traces", "show_run", "show_trace", "trace_facts"]
