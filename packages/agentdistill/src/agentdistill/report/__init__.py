"""From a run folder to ``report.json`` and one self-contained ``report.html``.

``summarize`` measures, ``render`` draws; both are pure functions of their arguments and the files of the run.
"""

from __future__ import annotations

from agentdistill.report._page import page_style, render, write_report
from agentdistill.report._standalone import ladder_svg
from agentdistill.report._summary import Report, summarize

__all__ = ["Report", "ladder_svg", "page_style", "render", "summarize", "write_report"]
