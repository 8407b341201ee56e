"""One forked state as the host holds it, and the thread that puts idle states to rest."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from collections import deque
from typing import Protocol

from .channel import Channel, SocketChannel
from .step import Death
from .types import SandboxBroken

IDLE_S = 0.005  # a state that has had no order for this long is stopped


class Broker(Protocol):
    """What a node needs of the backend."""

    can_signal: bool
    janitor: Janitor

    def make(self, parent: int, n: int, *, rest_parent: bool) -> list[ForkedNode | SandboxBroken]:
        """Forks of a state, or why there is none."""
        ...

    def used(self, number: int) -> int:
        """Bytes in a state's scratch folder."""
        ...

    def kill(self, number: int, *, wait: bool) -> Death:
        """End a state, and wait until it is reaped if asked to."""
        ...


class Janitor:
    """Stops states that have replied and got nothing new to do, so that none can go on working unasked.

    Not at once: stopping and waking costs more than a small cell, and a next cell often follows within the delay.
    """

    def __init__(self) -> None:
        self._idle: deque[ForkedNode] = deque()
        self._some = threading.Event()
        self._closed = False
        threading.Thread(target=self._work, name="sandbox-janitor", daemon=True).start()

    def later(self, node: ForkedNode) -> None:
        """Stop `node` after IDLE_S unless it is busy by then."""
        self._idle.append(node)
        if not self._some.is_set():
            self._some.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._some.set()

    def _work(self) -> None:
        while not self._closed:
            self._some.wait()
            time.sleep(IDLE_S)
            self._some.clear()
            for _ in range(len(self._idle)):
                self._idle.popleft().stop()


class ForkedNode:
    """One state, by its own socket and pidfd."""

    def __init__(self, backend: Broker, number: int, sock: socket.socket, pidfd: int) -> None:
        self._backend, self._number, self._pidfd = backend, number, pidfd
        self.channel: Channel = SocketChannel(sock, pidfd)
        self.pid = _pid(pidfd)
        # The kernel's number for "CPU time of process pid"; see clock_getcpuclockid(3).
        self._clock = (~self.pid << 3) | 2
        self._guard = threading.Lock()
        self._busy = self._stopped = self._queued = False

    def wake(self) -> None:
        """Let it run."""
        with self._guard:
            self._busy = True
            if self._stopped:
                self._signal(signal.SIGCONT)
                self._stopped = False

    def rest(self) -> None:
        """The order is done: stop the state soon, unless another order comes first."""
        self._busy = False
        if self._backend.can_signal and not self._queued:
            self._queued = True
            self._backend.janitor.later(self)

    def stop(self) -> None:
        """For the janitor: stop it now if it is idle."""
        with self._guard:
            self._queued = False
            if not self._busy and not self._stopped and self._pidfd >= 0:
                self._stopped = self._signal(signal.SIGSTOP)

    def _signal(self, number: int) -> bool:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
            return True
        except ProcessLookupError:
            return False
        except PermissionError:  # a host without CAP_KILL over another user
            self._backend.can_signal = False
            return False

    def cpu(self) -> float | None:
        """CPU seconds so far, by the kernel's count."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return None

    def cut_memory(self, by: int) -> None:
        """Lower the limit on its address space, and on its forks', for good."""
        with contextlib.suppress(OSError, ValueError):
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_AS)
            resource.prlimit(self.pid, resource.RLIMIT_AS, (hard - by, hard - by))

    def scratch(self) -> int:
        """Bytes of scratch in use."""
        return self._backend.used(self._number)

    def fork(self, n: int) -> list[ForkedNode | None]:
        """`n` copies of the state; None in place of one that could not be had."""
        with self._guard:
            children = self._backend.make(self._number, n, rest_parent=self._backend.can_signal)
            self._stopped = self._backend.can_signal  # the broker did it
        return [None if isinstance(child, SandboxBroken) else child for child in children]

    def kill(self) -> Death:
        """End it and wait until it is reaped. Harmless twice."""
        return self._end(wait=True)

    def drop(self) -> None:
        """End it; the broker reaps it and removes its files."""
        self._end(wait=False)

    def _end(self, *, wait: bool) -> Death:
        with self._guard:
            if self._pidfd < 0:
                return Death()
            pidfd, self._pidfd = self._pidfd, -1
            with contextlib.suppress(OSError):  # by itself too: the broker may be gone
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        death = self._backend.kill(self._number, wait=wait)
        self.channel.close()
        os.close(pidfd)
        return death


def _pid(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        return next((int(line[4:]) for line in file if line.startswith("Pid:")), -1)
