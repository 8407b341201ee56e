"""Small things the broker and the launcher do to processes and sockets."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket


def send_signal(pidfd: int, number: int) -> None:
    """By pidfd; harmless when the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def allow_forks(pid: int, allowed: bool) -> None:
    """Lift the process limit of a node, or put it back: the fallback where there is no fork gate."""
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_NPROC)
        resource.prlimit(pid, resource.RLIMIT_NPROC, (hard if allowed else 0, hard))
    except (OSError, ValueError):
        pass


def children(beyond: int) -> list[int]:
    """Process numbers of this process's children, from /proc where it is mounted, else by trying numbers."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        pass
    found = []
    for pid in range(2, beyond + 4096):
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            found.append(pid)
        except ChildProcessError:
            continue
    return found


def exactly(sock: socket.socket, size: int) -> bytes:
    """`size` bytes; EOFError at the end."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
