"""From a run folder to ``report.json``, one self-contained ``report.html``, and the published table.

``summarize`` measures, ``render`` and ``markdown`` draw; all are pure functions of their arguments and the run's files.
"""

from __future__ import annotations

from agentdistill.report.figures import ladder_svg
from agentdistill.report.page import page_style, render, write_report
from agentdistill.report.summary import Report, summarize, summarize_seeds
from agentdistill.report.svg import standalone_style
from agentdistill.report.tables import markdown, table

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
