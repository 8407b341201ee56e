"""Frames between host, broker and nodes: kind and length, then a few byte fields. No pickle, nothing that runs code.

A frame is `!BI` (kind, payload length) and a payload of fields: `!H` count, then `!I` length and bytes for each.
"""

from __future__ import annotations

import builtins
import struct
from collections.abc import Sequence

# Functions keep the builtins they were made with: model code may empty the real ones and the node must still answer.
globals()["__builtins__"] = dict(vars(builtins))

HEADER = struct.Struct("!BI")
_COUNT = struct.Struct("!H")
_LENGTH = struct.Struct("!I")

EXEC, ANSWER, FORK, HELLO, REPLY, CALL = 1, 2, 3, 10, 11, 12

# EXEC, first field: cell number, soft deadline in seconds, output limit in characters.
ORDER = struct.Struct("!IdQ")
# REPLY, first field: stop code, flags, line, CPU seconds, peak bytes.
VERDICT = struct.Struct("!BBIdQ")
IS_FINAL, TRUNCATED, HAS_VALUE, HAS_ERROR, HAS_LINE = 1, 2, 4, 8, 16
STOPS = ("ok", "error", "timeout", "memory", "output")

MAX_FIELDS = 16


class Malformed(ValueError):
    """The bytes are not a payload."""


def pack(kind: int, fields: Sequence[bytes]) -> bytes:
    """One frame, ready to send."""
    parts = [_COUNT.pack(len(fields))]
    for field in fields:
        parts.append(_LENGTH.pack(len(field)))
        parts.append(field)
    payload = b"".join(parts)
    return HEADER.pack(kind, len(payload)) + payload


def unpack(payload: bytes) -> list[bytes]:
    """The fields of a payload. Raises Malformed unless the lengths add up exactly; never reads past the end."""
    if len(payload) < _COUNT.size:
        raise Malformed("no field count")
    (count,) = _COUNT.unpack_from(payload)
    if count > MAX_FIELDS:
        raise Malformed("too many fields")
    at, fields = _COUNT.size, []
    for _ in range(count):
        if at + _LENGTH.size > len(payload):
            raise Malformed("cut short")
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size
        if length > len(payload) - at:
            raise Malformed("field runs past the end")
        fields.append(payload[at : at + length])
        at += length
    if at != len(payload):
        raise Malformed("bytes left over")
    return fields


def encode(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes its escape instead of an error."""
    return text.encode("utf-8", "backslashreplace")


def decode(data: bytes) -> str:
    """Never fails: bytes that are not UTF-8 become U+FFFD."""
    return data.decode("utf-8", "replace")
