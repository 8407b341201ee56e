"""Frames between host, broker and nodes: kind and length, then a few byte fields. No pickle, nothing that runs code.

A frame is `!BI` (kind, payload length) and a payload: `!B` count of fields, `!I` length of each, then their bytes.
"""

from __future__ import annotations

import builtins
import socket
import struct
import time
from collections.abc import Callable, Sequence

# Functions keep the builtins they were made with: model code may empty the real ones and the node must still answer.
globals()["__builtins__"] = dict(vars(builtins))

HEADER = struct.Struct("!BI")
MAX_FIELDS = 16
MAX_JSON = 4 << 20  # bytes of a tool's arguments or of its result
_LENGTHS = [struct.Struct(f"!B{count}I") for count in range(MAX_FIELDS + 1)]

# Between host and node.
EXEC, ANSWER, FORK, HELLO, REPLY, CALL = 1, 2, 3, 10, 11, 12
# EXEC, first field: cell number, soft deadline in seconds, output limit in characters.
ORDER = struct.Struct("!IdQ")
# REPLY, first field: stop code, flags, line, CPU seconds, peak bytes.
VERDICT = struct.Struct("!BBIdQ")
IS_FINAL, TRUNCATED, HAS_VALUE, HAS_ERROR, HAS_LINE = 1, 2, 4, 8, 16
STOPS = ("ok", "error", "timeout", "memory", "output")

# Between host and broker. An order's first field is WHO: request number, state, other state, flags.
READY, MAKE, KILL, USED, MADE, FAILED, DEAD = 20, 21, 22, 23, 24, 25, 26
WHO = struct.Struct("!IIII")
REST_PARENT = 1
# DEAD: state, wait status, CPU seconds, peak bytes.
FATE = struct.Struct("!IidQ")
TEMPLATE = 0  # the state that every session starts from


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


def receive(sock: socket.socket, head: bytes = b"") -> tuple[int, list[bytes]]:
    """Kind and fields of the next frame, of which `head` was read already; waits. Raises EOFError or Malformed."""
    kind, size = HEADER.unpack(head + _exactly(sock, HEADER.size - len(head)))
    return kind, unpack(_exactly(sock, size))


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError("the other side closed its end")
        data += more
    return data


def encode(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes its escape instead of an error."""
    return text.encode("utf-8", "backslashreplace")


def decode(data: bytes) -> str:
    """Never fails: bytes that are not UTF-8 become U+FFFD."""
    return data.decode("utf-8", "replace")


SPIN_S = 100e-6
MOST_SKIPPED = 256
_clock = time.perf_counter


class Spin:
    """Polls for at most SPIN_S before the caller sleeps: being woken takes longer than a small cell.

    `ready()` says, without waiting, whether there is something to read. Where polling was in vain (a long cell, or
    another process on the core that the answer needs), the next calls return at once: 1 of them, then 3, 7, 15 ...
    until one succeeds again.
    """

    def __init__(self, ready: Callable[[], object]) -> None:
        self._ready = ready
        self._skip = self._skipped = 0

    def __call__(self) -> bool:
        """True if something is there to read; False: nothing, sleep now."""
        if self._skipped < self._skip:
            self._skipped += 1
            return False
        self._skipped = 0
        now = began = _clock()
        while now - began < SPIN_S:
            if self._ready():
                self._skip = 0
                return True
            now = _clock()
        self._skip = min(2 * self._skip + 1, MOST_SKIPPED)
        return False
