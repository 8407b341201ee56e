"""Report: everything that a run measured, as JSON for scripts and as one HTML page for people."""

from __future__ import annotations

import json
from pathlib import Path

from markupsafe import Markup

from agentdistill import __version__, report
from agentdistill.errors import DataError
from agentdistill.pipeline.run import CONTAMINATION
from agentdistill.progress import Progress
from agentdistill.store import digest, file_digest, write_atomic

VERIFICATION = "verify.json"
"""What ``verify run`` and ``verify curve`` leave in a run's folder."""
_FACTS = ("manifest.json", "training.json", "timing.json")
_SOURCES = (
    "recipe.json",
    CONTAMINATION,
    VERIFICATION,
    *(f"*/*/{name}" for name in _FACTS),
    *(f"rounds/*/*/*/{name}" for name in _FACTS),
)


def write_report(folder: Path, progress: Progress) -> Path:
    """Write ``report.json`` and ``report.html`` of a run and return the page."""
    task = progress.task("report", str(folder / "report.html"), 1)
    page = report.write_report(folder, _sections(folder))
    write_atomic(_note(folder), _key(folder))
    task.done("")
    return page


def _sections(folder: Path) -> dict[str, Markup]:
    """What stands in the report beside the run itself, by the name of its section."""
    path = folder / VERIFICATION
    if not path.exists():
        return {}
    from agentdistill.verify.page import section

    try:
        return {"Verification": section(json.loads(path.read_text(encoding="utf-8"))["curves"])}
    except (ValueError, KeyError, TypeError) as e:
        raise DataError(f"{path}: no curves of verification ({e}); delete it and make it again") from e


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
