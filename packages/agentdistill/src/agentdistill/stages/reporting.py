"""Report: everything that a run measured, as JSON for scripts and as one HTML page for people."""

from __future__ import annotations

from pathlib import Path

from agentdistill.progress import Progress


def write_report(folder: Path, progress: Progress) -> Path:
    """Write ``report.json`` and ``report.html`` of a run and return the page."""
    from agentdistill.report import render, summarize
    from agentdistill.store import write_atomic, write_json

    task = progress.task("report", str(folder / "report.html"), 1)
    report = summarize(folder)
    write_json(folder / "report.json", report)
    write_atomic(folder / "report.html", render(report, folder))
    task.done("")
    return folder / "report.html"
