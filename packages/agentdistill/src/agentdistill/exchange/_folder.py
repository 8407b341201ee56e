"""Where exports go: into a new folder, so that nothing of the user's is written over."""

from __future__ import annotations

from pathlib import Path

from agentdistill.errors import UserError


def check_new(folder: Path) -> None:
    """Raise UserError where there is something already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already, and not empty")
