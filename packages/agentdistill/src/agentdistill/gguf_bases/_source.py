"""A GGUF file from the outside: whether it is one, and hashes of what is made from it. Loads no library."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentdistill.errors import ModelError

TOKENIZER = "tokenizer.json"
_BESIDE = (TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_MAGIC = b"GGUF"
_FORM = "1"  # of the folder: another one where the same file becomes other weights or tokens


def check_magic(path: Path) -> None:
    """Raise ModelError where there is no such file, or one that does not begin as GGUF files do."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        with path.open("rb") as f:
            begins = f.read(len(_MAGIC))
    except OSError as e:
        raise ModelError(f"{path}: {e.strerror or e}") from e
    if begins != _MAGIC:
        raise ModelError(f"{path}: not a GGUF file (it does not begin with the letters GGUF)")


def record_of(path: Path) -> dict[str, Any]:
    """Which file it is: name, size, SHA-256."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": _hash_of(path)}


def digest_of(path: Path) -> str:
    """A hash of everything that a checkpoint folder is made from: the file, and a tokenizer beside it."""
    parts = [_FORM, _hash_of(path)]
    if (path.parent / TOKENIZER).is_file():
        beside = (path.parent / name for name in _BESIDE)
        parts += [f"{p.name} {_hash_of(p)}" for p in beside if p.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _hash_of(path: Path) -> str:
    state = path.stat()
    return _hashed(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _hashed(path: Path, size: int, changed_ns: int) -> str:
    """The SHA-256 of a file, computed once for each state of it."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
