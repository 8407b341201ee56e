"""The bytes of files: atomic writes, size limits, and a FileError of one line for every failure."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from anyrig.errors import FileError

MAX_BYTES = 1 << 30
"""Larger files are refused before they are read."""
MAX_POSES = 20_000_000
"""Frames times joints per file at most; 20 million take about 1.1 GB as rotations and translations."""


def read_bytes(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """The file's content. Raises FileError for a file that is unreadable, empty, or larger than ``max_bytes``."""
    path = Path(path)
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder, not a file")
        size = path.stat().st_size
        if size > max_bytes:
            raise FileError(f"{path} is {_mib(size)}, more than the {_mib(max_bytes)} that a rig may take")
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    if not data:
        raise FileError(f"{path} is empty")
    return data


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes the file atomically. Raises FileError where it cannot be written."""
    path = Path(path)
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            part = Path(file.name)
            file.write(data)
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise FileError(f"{path} cannot be written: {error.strerror or error}") from error


def refuse_too_many_poses(path: str | os.PathLike[str], n_frames: int, n_joints: int) -> None:
    """Raises FileError for a clip that would need too much memory."""
    if n_frames * n_joints > MAX_POSES:
        raise FileError(
            f"{path} asks for {n_frames:,} frames of {n_joints:,} joints, more than {MAX_POSES:,} poses; cut it first"
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
