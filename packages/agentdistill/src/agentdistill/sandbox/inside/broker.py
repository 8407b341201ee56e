"""The broker: the parent of every node. It forks, kills, reaps, keeps scratch folders, and never runs model code.

One thread, one loop, over: the host's control socket, the fork gate's listener, the pidfds of nodes, and the sockets of
forks under way. What nodes send it is at most one short frame each, and the kernel says which process sent it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

from . import wire
from .births import Birth, State, answer_gate, hear, is_child
from .processes import allow_forks, children, exactly, send_signal
from .scratch import Scratch, TooMuch

# Orders of the host. Their first field is WHO: request number, state, other state, flags.
READY, MAKE, KILL, USED, MADE, FAILED, DEAD = 20, 21, 22, 23, 24, 25, 26
WHO = struct.Struct("!IIII")
# DEAD: state, wait status, CPU seconds, peak bytes.
FATE = struct.Struct("!IidQ")
TEMPLATE = 0
REST_PARENT = 1
HELLO_S = 5.0  # for a state, which ran model code and may refuse; counted from its latest fork
MOST_UNDER_WAY = 32  # orders before one parent; more would fill its socket, and the broker never waits for a node
TEMPLATE_HELLO_S = 40.0  # the template only ever is slow: many orders wait in turn for it, on a starved machine


class Broker:
    """See the module. `limits_forks`: there is no fork gate, and a process limit is lifted for each order instead."""

    def __init__(self, control: socket.socket, scratch: Scratch, options: dict[str, int], limits_forks: bool) -> None:
        self._control, self._scratch = control, scratch
        self._most, self._n_states = options["scratch"], options["n_states"]
        self._limits_forks = limits_forks
        self._states: dict[int, State] = {}
        self._by_pid: dict[int, State] = {}
        self._births: dict[int, Birth] = {}
        self._poll = select.epoll()
        self._work: dict[int, Callable[[], None]] = {}
        self._last_sweep = 0.0
        self._strays_due = False
        self._waiting: dict[int, deque[tuple[int, int, int, bool]]] = {}  # orders that wait for their turn, by parent
        self._poll.register(control, select.EPOLLIN)

    def adopt(self, pid: int, line: socket.socket, listener: int) -> None:
        """Take the template in as state 0."""
        if listener >= 0:
            self._watch(listener, lambda: answer_gate(listener, self._may_fork))
        self._enter(State(TEMPLATE, pid, os.pidfd_open(pid), line, None))

    def run(self) -> None:
        """Serve until the host goes away or the template dies; every node is dead afterwards."""
        try:
            while TEMPLATE in self._states:
                wait = 1.0 if self._births or len(self._states) > 1 else -1
                for fd, _ in self._poll.poll(wait):
                    if fd == self._control.fileno():
                        self._order()
                    elif fd in self._work:
                        with contextlib.suppress(OSError):  # one state's trouble is not the others'
                            self._work[fd]()
                self._tick()
        except (EOFError, ConnectionError):
            pass  # the host closed its end or died
        finally:
            self._end_all()

    def _watch(self, fd: int, work: Callable[[], None]) -> None:
        self._poll.register(fd, select.EPOLLIN)
        self._work[fd] = work

    def _forget(self, fd: int) -> None:
        self._poll.unregister(fd)
        del self._work[fd]

    def _tick(self) -> None:
        now = time.monotonic()
        for fd, birth in list(self._births.items()):
            if now > birth.until:
                self._fail(fd, birth, "the state did not fork in time")
        if self._strays_due and not self._births:
            self._kill_strays()
        if now > self._last_sweep + 1.0 and len(self._states) > 1:
            self._last_sweep = now
            self._scratch.sweep()

    # Orders of the host

    def _order(self) -> None:
        kind, size = wire.HEADER.unpack(exactly(self._control, wire.HEADER.size))
        (who,) = wire.unpack(exactly(self._control, size))
        request, number, other, flags = WHO.unpack(who)
        if kind == MAKE:
            self._make(request, number, other, bool(flags & REST_PARENT))
        elif kind == KILL and number in self._states:
            self._states[number].dying = True
            send_signal(self._states[number].pidfd, signal.SIGKILL)
        elif kind == USED:
            self._answer(MADE, request, struct.pack("!Q", self._used(number)))

    def _answer(self, kind: int, request: int, payload: bytes, fds: tuple[int, ...] = ()) -> None:
        frame = wire.pack(kind, [struct.pack("!I", request), payload])
        if fds:
            socket.send_fds(self._control, [frame], list(fds))
        else:
            self._control.sendall(frame)

    def _used(self, number: int) -> int:
        self._scratch.sweep()
        state = self._states.get(number)
        if state is None or state.folder is None:
            return 0
        try:
            return self._scratch.used(state.folder)
        except TooMuch:
            return 1 << 62
        except OSError:
            return 0

    def _make(self, request: int, parent: int, number: int, rest: bool) -> None:
        state = self._states.get(parent)
        if state is None:
            return self._answer(FAILED, request, b"the state is gone")
        if not self._has_turn(parent):
            self._waiting.setdefault(parent, deque()).append((request, parent, number, rest))
            return None
        if sum(not other.dying for other in self._states.values()) + len(self._births) > self._n_states:
            return self._answer(FAILED, request, b"n_states live processes are running already")
        try:
            self._order_fork(request, state, number, rest)
        except TooMuch:
            self._answer(FAILED, request, b"the scratch folder is too large or too deep to copy")
        except OSError as problem:
            self._answer(FAILED, request, str(problem).encode())
        return None

    def _has_turn(self, parent: int) -> bool:
        """Whether a fork may be ordered now: no stray is to be looked for, and not too many are under way."""
        under_way = sum(birth.parent.number == parent for birth in self._births.values())
        return not self._strays_due and under_way < MOST_UNDER_WAY

    def _go_on(self, parent: int) -> None:
        """Order the forks of a parent whose turn has come."""
        waiting = self._waiting.pop(parent, deque())
        while waiting and self._has_turn(parent):
            self._make(*waiting.popleft())
        if waiting:
            self._waiting[parent] = waiting

    def _order_fork(self, request: int, state: State, number: int, rest: bool) -> None:
        folder = self._scratch.make()
        fds: list[int] = []
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fds = self._prepare_folder(state, folder)
            mine.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            payload = wire.pack(wire.FORK, [])
            state.line.sendall(payload[: wire.HEADER.size])
            socket.send_fds(state.line, [payload[wire.HEADER.size :]], [theirs.fileno(), *fds])
        except BaseException:
            mine.close()
            self._scratch.remove(folder)
            raise
        finally:
            theirs.close()
            for fd in fds:
                os.close(fd)
        state.credit += 1
        if self._limits_forks:
            allow_forks(state.pid, True)
        send_signal(state.pidfd, signal.SIGCONT)
        self._births[mine.fileno()] = Birth(request, number, state, mine, folder, self._until(state), rest)
        self._watch(mine.fileno(), lambda: self._hello(mine.fileno()))

    @staticmethod
    def _until(parent: State) -> float:
        return time.monotonic() + (TEMPLATE_HELLO_S if parent.number == TEMPLATE else HELLO_S)

    def _prepare_folder(self, state: State, folder: str) -> list[int]:
        """Descriptors for the child: its folder, and its parent's where there are files to find again."""
        if state.folder is None:
            return [self._scratch.open(folder)]
        send_signal(state.pidfd, signal.SIGSTOP)
        copied = self._scratch.copy(state.folder, folder, self._most)
        # The child knows its parent's folder by name; from now on the parent's has another one.
        state.folder = self._scratch.move(state.folder)
        fds = [self._scratch.open(folder)]
        return [*fds, self._scratch.open(state.folder)] if copied else fds

    # Forks under way

    def _may_fork(self, pid: int) -> bool:
        """True where the broker has ordered a fork of this process, once for each order."""
        state = self._by_pid.get(pid)
        if state is None or state.credit <= 0:
            return False
        state.credit -= 1
        return True

    def _hello(self, fd: int) -> None:
        birth = self._births[fd]
        try:
            data, pid = hear(birth.line)
        except BlockingIOError:  # woken for a socket that had this number before
            return None
        except OSError:
            data, pid = b"", 0
        if data != wire.pack(wire.HELLO, []) or not self._newborn(pid):
            return self._fail(fd, birth, "the state refused to fork")
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return self._fail(fd, birth, "the fork died at once")
        self._settle(fd, birth)
        if self._limits_forks:
            allow_forks(pid, False)
        birth.line.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        self._enter(State(birth.number, pid, pidfd, birth.line, birth.folder))
        return self._answer(MADE, birth.request, b"", (birth.line.fileno(), pidfd))

    def _newborn(self, pid: int) -> bool:
        """True if `pid`, by the kernel's word the sender, is a child of the broker that is not accounted for."""
        return pid > 0 and pid not in self._by_pid and is_child(pid)

    def _settle(self, fd: int, birth: Birth) -> None:
        self._forget(fd)
        del self._births[fd]
        self._go_on(birth.parent.number)
        others = [other for other in self._births.values() if other.parent is birth.parent]
        for other in others:  # they wait for their turn, and it has just come nearer
            other.until = self._until(birth.parent)
        if self._limits_forks and not others:
            allow_forks(birth.parent.pid, False)
        if birth.rest_parent and not others and self._states.get(birth.parent.number) is birth.parent:
            send_signal(birth.parent.pidfd, signal.SIGSTOP)

    def _fail(self, fd: int, birth: Birth, why: str) -> None:
        self._settle(fd, birth)
        birth.line.close()
        # One credit for each order still open: the others of this parent are not to suffer.
        pending = sum(other.parent is birth.parent for other in self._births.values())
        birth.parent.credit = min(birth.parent.credit, pending)
        # The parent may have forked and kept quiet about it. The parent itself is kept: it may just have been slow.
        self._strays_due = True
        self._scratch.remove(birth.folder)
        self._answer(FAILED, birth.request, why.encode())

    def _kill_strays(self) -> None:
        """End children that never said HELLO. Only while no fork is under way, for those have not said it either."""
        self._strays_due = False
        known = {state.pid for state in self._states.values()}
        for pid in children(max(known, default=1)):
            if pid not in known:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        for parent in list(self._waiting):
            self._go_on(parent)

    # Life and death

    def _enter(self, state: State) -> None:
        self._states[state.number] = self._by_pid[state.pid] = state
        self._watch(state.pidfd, lambda: self._reap(state))

    def _reap(self, state: State) -> None:
        pid, status, use = os.wait4(state.pid, os.WNOHANG)
        if pid == 0:
            return
        self._forget(state.pidfd)
        del self._states[state.number], self._by_pid[state.pid]
        os.close(state.pidfd)
        state.line.close()
        if state.folder is not None:
            self._scratch.remove(state.folder)
        fate = FATE.pack(state.number, status, use.ru_utime + use.ru_stime, use.ru_maxrss * 1024)
        self._answer(DEAD, 0, fate)

    def _end_all(self) -> None:
        for state in list(self._states.values()):
            send_signal(state.pidfd, signal.SIGKILL)
        for state in list(self._states.values()):
            os.waitpid(state.pid, 0)
        for birth in self._births.values():
            birth.line.close()
        self._scratch.sweep()


def ready(control: socket.socket, report: dict[str, object]) -> None:
    """Tell the host how the start went."""
    control.sendall(wire.pack(READY, [json.dumps(report).encode()]))
