"""Report: everything that a run measured, as JSON for scripts and as one HTML page for people."""

from __future__ import annotations

from pathlib import Path

from agentdistill import __version__, report
from agentdistill.progress import Progress
from agentdistill.store import digest, file_digest, write_atomic

_SOURCES = ("recipe.json", "*/*/manifest.json", "*/*/training.json", "*/*/timing.json")


def write_report(folder: Path, progress: Progress) -> Path:
    """Write ``report.json`` and ``report.html`` of a run and return the page."""
    task = progress.task("report", str(folder / "report.html"), 1)
    page = report.write_report(folder)
    write_atomic(_note(folder), _key(folder))
    task.done("")
    return page


def is_reported(folder: Path) -> bool:
    """Whether the report that is there tells of the run as it is now."""
    if not (folder / "report.html").exists() or not (folder / "report.json").exists():
        return False
    note = _note(folder)
    return note.exists() and note.read_text(encoding="utf-8") == _key(folder)


def _note(folder: Path) -> Path:
    return folder / ".report.key"


def _key(folder: Path) -> str:
    found = sorted(p for pattern in _SOURCES for p in folder.glob(pattern))
    return digest([__version__, [[str(p.relative_to(folder)), file_digest(p)] for p in found]])
