"""Frames between host, broker and nodes: kind and length, then a few byte fields. No pickle, nothing that runs code.

A frame is `!BI` (kind, payload length) and a payload: `!B` count of fields, `!I` length of each, then their bytes.
"""

from __future__ import annotations

import builtins
import struct
from collections.abc import Sequence

# Functions keep the builtins they were made with: model code may empty the real ones and the node must still answer.
globals()["__builtins__"] = dict(vars(builtins))

HEADER = struct.Struct("!BI")
MAX_FIELDS = 16
_LENGTHS = [struct.Struct(f"!B{count}I") for count in range(MAX_FIELDS + 1)]

EXEC, ANSWER, FORK, HELLO, REPLY, CALL = 1, 2, 3, 10, 11, 12

# EXEC, first field: cell number, soft deadline in seconds, output limit in characters.
ORDER = struct.Struct("!IdQ")
# REPLY, first field: stop code, flags, line, CPU seconds, peak bytes.
VERDICT = struct.Struct("!BBIdQ")
IS_FINAL, TRUNCATED, HAS_VALUE, HAS_ERROR, HAS_LINE = 1, 2, 4, 8, 16
STOPS = ("ok", "error", "timeout", "memory", "output")


class Malformed(ValueError):
    """The bytes are not a payload."""


def pack(kind: int, fields: Sequence[bytes]) -> bytes:
    """One frame, ready to send."""
    body = b"".join(fields)
    count = len(fields)
    lengths = _LENGTHS[count].pack(count, *map(len, fields))
    return HEADER.pack(kind, len(lengths) + len(body)) + lengths + body


def unpack(payload: bytes) -> list[bytes]:
    """The fields of a payload. Raises Malformed unless the lengths add up exactly; never reads past the end."""
    if not payload or payload[0] >= len(_LENGTHS):
        raise Malformed("no such number of fields")
    shape = _LENGTHS[payload[0]]
    at = shape.size
    if len(payload) < at:
        raise Malformed("cut short")
    lengths = shape.unpack_from(payload)[1:]
    if at + sum(lengths) != len(payload):
        raise Malformed("the lengths do not add up")
    fields = []
    for length in lengths:
        fields.append(payload[at : at + length])
        at += length
    return fields


def encode(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes its escape instead of an error."""
    return text.encode("utf-8", "backslashreplace")


def decode(data: bytes) -> str:
    """Never fails: bytes that are not UTF-8 become U+FFFD."""
    return data.decode("utf-8", "replace")
