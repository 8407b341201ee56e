"""GGUF files as bases: dequantised once into a checkpoint folder that everything else can read.

The folder lies in the cache, ``$AGENTDISTILL_CACHE``, by default ``agentdistill`` in ``$XDG_CACHE_HOME`` or
``~/.cache``. Its name holds a hash of the file, and of the tokenizer's files that lie beside it if there are any; its
bytes are the same whenever the same versions make it anew, and ``gguf.json`` in it says what it was made from.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentdistill.errors import InfrastructureError
from agentdistill.gguf_bases._source import check_magic, digest_of, record_of

__all__ = ["cache_folder", "folder_for", "n_parameters", "record_of", "tokenizer_of"]

Say = Callable[[str], None]


def cache_folder() -> Path:
    """Where dequantised files are kept. It need not exist."""
    own = os.environ.get("AGENTDISTILL_CACHE")
    if own:
        return Path(own) / "gguf"
    general = os.environ.get("XDG_CACHE_HOME")
    return (Path(general) if general else Path.home() / ".cache") / "agentdistill" / "gguf"


def folder_for(path: Path, say: Say | None = None) -> Path:
    """The checkpoint folder of a GGUF file, made now if it is not there; ``say`` is told of that, in one line.

    Raises ModelError for a file that cannot be dequantised, of which then nothing is left, and InfrastructureError
    where the cache cannot be written.
    """
    check_magic(path)
    path = path.absolute()  # not where a link leads to: files in caches are named by hashes
    folder = cache_folder() / f"{path.stem}-{digest_of(path)[:16]}"
    if folder.is_dir():
        return folder
    from agentdistill.gguf_bases._convert import convert
    from agentdistill.gguf_bases._file import GgufFile

    file = GgufFile(path)
    if say is not None:
        say(f"{path.name}: dequantised once, into {folder}")
    try:
        with _alone(folder.parent):
            if not folder.is_dir():
                _make(folder, lambda place: convert(file, place, record_of(path)))
    except OSError as e:
        why = f"cannot be written: {e.strerror or e}"
        raise InfrastructureError(f"{folder}: {why}; AGENTDISTILL_CACHE names another place for it") from e
    return folder


def tokenizer_of(path: Path) -> Any:
    """The tokenizer of a GGUF file: the one beside it, else its own. Raises ModelError. Nothing is written."""
    from agentdistill.gguf_bases._file import GgufFile
    from agentdistill.gguf_bases._tokenizer import build_tokenizer

    return build_tokenizer(GgufFile(path.absolute()))


def n_parameters(path: Path) -> int:
    """How many weights a GGUF file holds. Raises ModelError where it cannot be read."""
    from agentdistill.gguf_bases._file import GgufFile

    return GgufFile(path).n_numbers


def _make(folder: Path, write: Callable[[Path], None]) -> None:
    """A whole folder or none: what is half written has another name, and goes when it fails or the next one comes."""
    half = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    try:
        write(half)
        half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Until this is done, other processes wait: a file is dequantised once, however many ask for it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
