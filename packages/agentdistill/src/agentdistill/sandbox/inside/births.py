"""What the broker knows of nodes and of forks under way, and the kernel's word on which process is which.

A node ran model code and may lie. So it is the kernel that says which process asks at the fork gate, which one sent a
hello, and whether that is a child of the broker at all.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

_NOTIF_RECV, _NOTIF_SEND, _NOTIF_BYTES = 0xC0502100, 0xC0182101, 80
_CREDENTIALS = struct.Struct("3i")


@dataclass
class State:
    """A live node, as the broker knows it."""

    number: int
    pid: int
    pidfd: int
    line: socket.socket  # the host's end of its channel; the broker writes FORK orders to it
    folder: str | None
    credit: int = 0
    dying: bool = False


@dataclass
class Birth:
    """A fork that was ordered and has not said HELLO yet."""

    request: int
    number: int
    parent: State
    line: socket.socket
    folder: str
    until: float
    rest_parent: bool


def answer_gate(listener: int, may_fork: Callable[[int], bool]) -> None:
    """A process asks the fork gate: let it fork if `may_fork` says so of its number, which is asked once."""
    notice = bytearray(_NOTIF_BYTES)
    try:
        fcntl.ioctl(listener, _NOTIF_RECV, notice)
        ident, pid = struct.unpack_from("QI", notice)
        # Go on, or EPERM. To go on is safe: the arguments are in registers, not in memory.
        error, flags = (0, 1) if may_fork(pid) else (-1, 0)
        fcntl.ioctl(listener, _NOTIF_SEND, bytearray(struct.pack("Qqii", ident, 0, error, flags)[:24]))
    except OSError:
        pass  # the asker died meanwhile


def hear(line: socket.socket) -> tuple[bytes, int]:
    """What came on the socket of a birth, and its sender's number or 0. Never waits: raises BlockingIOError instead."""
    data, extra, _, _ = line.recvmsg(64, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_DONTWAIT)
    return data, next((_CREDENTIALS.unpack(raw)[0] for _, kind, raw in extra if kind == socket.SCM_CREDENTIALS), 0)


def is_child(pid: int) -> bool:
    """True if `pid` is a child of this process, running or dead; it is not reaped."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    except ChildProcessError:
        return False
