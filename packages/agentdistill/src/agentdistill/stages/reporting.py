"""Report: everything that a run measured, as JSON for scripts and as one HTML page for people."""

from __future__ import annotations

from pathlib import Path

from agentdistill import report
from agentdistill.progress import Progress


def write_report(folder: Path, progress: Progress) -> Path:
    """Write ``report.json`` and ``report.html`` of a run and return the page."""
    task = progress.task("report", str(folder / "report.html"), 1)
    page = report.write_report(folder)
    task.done("")
    return page
