"""An index on disk: written once, by one process, and there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentdistill.errors import InfrastructureError

Write = Callable[[Path], None]


def kept(folder: Path, write: Write, *, resume: bool = False) -> Path:
    """``folder``, which ``write`` fills if it is not there yet; other processes wait until it is.

    ``write`` is given a folder beside it, which takes its name once all is on the disk. What a killed process left
    there is thrown away, or with ``resume`` handed to ``write`` to go on from. Raises InfrastructureError where the
    disk refuses.
    """
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder.with_name(f".{folder.name}.lock")):
                if not folder.is_dir():
                    _fill(folder, write, resume)
    except OSError as e:
        why = f"the search index cannot be kept there ({e.strerror or e})"
        raise InfrastructureError(f"{folder}: {why}; mend that and run the same command again") from e
    return folder


def _fill(folder: Path, write: Write, resume: bool) -> None:
    half = folder.with_name(f"{folder.name}.part")
    if not resume:
        shutil.rmtree(half, ignore_errors=True)
    half.mkdir(exist_ok=True)
    try:
        write(half)
    except BaseException:
        if not resume:
            shutil.rmtree(half, ignore_errors=True)
        raise
    for path in (*half.iterdir(), half):
        _sync(path)
    half.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock file, which goes again with its last holder; wait for whoever holds it."""
    while True:
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                is_current = os.path.samestat(os.fstat(file.fileno()), lock.stat())
            except FileNotFoundError:
                is_current = False
            if not is_current:  # its last holder removed it while this process waited
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return
