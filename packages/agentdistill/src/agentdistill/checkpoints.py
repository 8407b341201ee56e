"""Where weights lie: a folder, a hub name, or ``tinyworld:SIZE`` for the ladder that ships with the package."""

from __future__ import annotations

from pathlib import Path

from agentdistill.errors import ModelError

LADDER = "tinyworld:"


def shipped() -> tuple[str, ...]:
    """The names of the ladder's models, smallest first."""
    folder = _folder()
    names = [p.name for p in folder.iterdir() if (p / "config.json").exists()] if folder.is_dir() else []
    return tuple(sorted(names, key=lambda n: float(n.rstrip("M")) if n.rstrip("M").replace(".", "").isdigit() else 1e9))


def _folder() -> Path:
    return Path(__file__).parent / "tinyworld" / "weights"


def locate(name: str) -> str:
    """The path or hub name behind ``name``. Raises ModelError for a size that the ladder does not have."""
    if not name.startswith(LADDER):
        return name
    size = name.removeprefix(LADDER)
    if size not in shipped():
        raise ModelError(f'no model is called "{name}"; the ladder has: {", ".join(LADDER + s for s in shipped())}')
    return str(_folder() / size)
