"""From a run folder to ``report.json``, one self-contained ``report.html``, and the published table.

``summarize`` measures, ``render`` and ``markdown`` draw; all are pure functions of their arguments and the run's files.
"""

from __future__ import annotations

from agentdistill.report._markdown import markdown
from agentdistill.report._page import page_style, render, write_report
from agentdistill.report._seeds import summarize_seeds
from agentdistill.report._standalone import ladder_svg, standalone_style
from agentdistill.report._summary import Report, summarize
from agentdistill.report._table import table

__all__ = [
    "Report",
    "ladder_svg",
    "markdown",
    "page_style",
    "render",
    "standalone_style",
    "summarize",
    "summarize_seeds",
    "table",
    "write_report",
]
