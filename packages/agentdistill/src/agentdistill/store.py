"""Files on disk: dataclasses as JSON, append-only JSONL that survives a kill, atomic writes and content hashes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
import types
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast

from agentdistill.errors import DataError, InfrastructureError, UserError
from agentdistill.types import Trace

T = TypeVar("T")
LOCK_WAIT_S = 5.0
"""A killed run's children end within moments; whoever holds a lock for longer is at work."""


def to_dict(value: Any) -> Any:
    """A dataclass as plain JSON values; fields that hold their default are left out to keep files small."""
    if is_dataclass(value) and not isinstance(value, type):
        out = {}
        for f in fields(value):
            item = getattr(value, f.name)
            if f.name != "version" and item == f.default:
                continue
            out[f.name] = to_dict(item)
        return out
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [to_dict(v) for v in value]
    if isinstance(value, dict):
        return {k: to_dict(v) for k, v in value.items()}
    return value


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_dict(cls: type[T], data: Any) -> T:
    """The inverse of :func:`to_dict`. Raises DataError naming the field that does not fit."""
    if not isinstance(data, dict):
        raise DataError(f"expected an object for {cls.__name__}, got {type(data).__name__}")
    hints = _hints(cast(Any, cls))
    unknown = set(data) - set(hints)
    if unknown:
        raise DataError(f"{cls.__name__} has no field {sorted(unknown)[0]!r}")
    try:
        return cls(**{k: _decode(hints[k], v, f"{cls.__name__}.{k}") for k, v in data.items()})
    except TypeError as e:
        raise DataError(f"{cls.__name__}: {e}") from e


def _decode(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (inner,) = [a for a in typing.get_args(hint) if a is not type(None)]
        return _decode(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise DataError(f"{where}: expected a list, got {type(value).__name__}")
        item = typing.get_args(hint)[0]
        return tuple(_decode(item, v, where) for v in value)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise DataError(f"{where}: {value!r} is not one of {', '.join(map(str, typing.get_args(hint)))}")
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return from_dict(cast("type[Any]", hint), value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            raise DataError(f"{where}: {value!r} is not a {hint.__name__}") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise DataError(f"{where}: expected {hint.__name__}, got {type(value).__name__}")
    return value


def dumps(value: Any) -> str:
    """One line of JSON, the same bytes for the same value. Half a surrogate pair is escaped, so it can be encoded."""
    return _json(to_dict(value), separators=(",", ":"))


def _json(value: Any, **style: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, **style)
    return text if text.isascii() or _encodable(text) else json.dumps(value, **style)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the disk refuses is the world's fault, told with the file's name."""
    try:
        yield
    except OSError as e:
        why = f"cannot be written: {e.strerror or e}"
        raise InfrastructureError(f"{path}: {why}; fix that and run the same command to go on") from e


def append_jsonl(path: Path, values: Iterable[Any]) -> None:
    """Append one line each, flushed and synced, so that a killed process loses at most the line being written.

    Raises InfrastructureError where the disk refuses; the file is then as it was before.
    """
    data = "".join(dumps(v) + "\n" for v in values).encode()
    if not data:
        return
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as f:
            size = f.seek(0, os.SEEK_END)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[f.write(rest) :]
                os.fsync(f.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    f.truncate(size)
                raise


def repair_jsonl(path: Path) -> int:
    """Cut off a torn last line (no newline) left by a kill. Returns the number of bytes dropped."""
    if not path.exists():
        return 0
    with path.open("rb+") as f:
        data = f.read()
        keep = data.rfind(b"\n") + 1
        if keep < len(data):
            f.truncate(keep)
        return len(data) - keep


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(line number, object)``. Raises DataError naming file and line for what is not a JSON object."""
    try:
        f = path.open(encoding="utf-8-sig")
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    with f:
        try:
            for n, line in enumerate(f, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as e:
                    raise DataError(f"{path}:{n}: not JSON ({e.msg} at column {e.colno})") from e
                except (ValueError, RecursionError) as e:
                    raise DataError(f"{path}:{n}: a number too long, or nested too deeply") from e
                if not isinstance(row, dict):
                    raise DataError(f"{path}:{n}: expected an object, got {type(row).__name__}")
                yield n, row
        except UnicodeDecodeError as e:
            raise DataError(f"{path}: not UTF-8 text ({e.reason} at byte {e.start})") from e


def read_traces(path: Path) -> list[Trace]:
    """Every trace of a file, in order. Raises DataError naming file and line."""
    out = []
    for n, row in read_jsonl(path):
        try:
            out.append(from_dict(Trace, row))
        except DataError as e:
            raise DataError(f"{path}:{n}: {e}") from e
    return out


def write_atomic(path: Path, data: str | bytes) -> None:
    """Replace ``path`` in one step: a reader, or a run after a kill, sees the old file or the new one, never half.

    Raises InfrastructureError where the disk refuses; the old file is then still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as f:
                f.write(data.encode() if isinstance(data, str) else data)
                f.flush()
                os.fsync(f.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold the lock file ``path``, which stands for ``what``. Raises UserError while another process holds it."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UserError(f"{what}: another process is working there; wait for it or end it") from None
                time.sleep(0.05)
        yield


def set_aside(path: Path) -> Path:
    """Rename a file or folder to the first free ``NAME.old-N`` and return that: it may have been expensive to make."""
    n = 1
    while (aside := path.with_name(f"{path.name}.old-{n}")).exists():
        n += 1
    return path.rename(aside)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left half done anywhere below ``folder``, whose lock the caller holds."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_jsonl(path: Path, values: Iterable[Any]) -> None:
    """Replace a whole JSONL file atomically."""
    write_atomic(path, "".join(dumps(v) + "\n" for v in values))


def json_text(value: Any) -> str:
    """Indented JSON for people, the same bytes for the same value."""
    return _json(to_dict(value), indent=2) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically by :func:`json_text`."""
    write_atomic(path, json_text(value))


def digest(value: Any) -> str:
    """A short content hash of any JSON-able value or dataclass, independent of key order."""
    text = json.dumps(to_dict(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def seed_of(*parts: object) -> int:
    """A seed that depends on nothing but ``parts``: the same on every machine and in every order."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def file_digest(path: Path) -> str:
    """The content hash of a file, or of every file below a folder with their relative names."""
    h = hashlib.sha256()
    paths = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for p in paths:
        h.update(str(p.relative_to(path)).encode())
        with p.open("rb") as f:
            while chunk := f.read(1 << 20):
                h.update(chunk)
    return h.hexdigest()[:16]
