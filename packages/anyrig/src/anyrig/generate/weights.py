"""Where the weights that ship with the package lie."""

from __future__ import annotations

from pathlib import Path

from anyrig.errors import FileError


def default_weights() -> Path:
    """The model that is used where none is named. Raises FileError where the package came without it."""
    path = Path(__file__).parents[1] / "weights" / "anyrig.safetensors"
    if not path.is_file():
        raise FileError(
            "this installation has no default weights; name some with --weights, or make them with: anyrig train"
        )
    return path
