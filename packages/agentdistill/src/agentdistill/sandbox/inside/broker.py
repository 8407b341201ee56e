"""The trusted processes: the launcher enters the namespaces and cleans up, the broker is the parent of every node.

host -> launcher -> broker (process 1 of its namespace, where there is one) -> template -> nodes

The broker forks, kills, reaps and keeps scratch folders; it never runs model code. Its one thread polls the host's
control socket, the fork gate's listener, the pidfds of nodes, and the sockets of pending forks. A node sends it at most
one short frame. Since a node may lie, the kernel's word counts for which process asks at the fork gate, which one sent
a HELLO, and whether that one is a child of the broker.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import isolation, template, wire
from .scratch import FolderTooLarge, Scratch, clear

TEMPLATE_S = 120.0  # to start
TEMPLATE_HELLO_S = 40.0  # the template never refuses, but many orders may wait for it on a busy machine
HELLO_S = 5.0  # for a state, which ran model code and may refuse; counted from its last completed fork
MAX_PENDING = 32  # forks of one parent; more would fill its socket, and the broker never waits for a node
_NOTIF_RECV, _NOTIF_SEND, _NOTIF_BYTES = 0xC0502100, 0xC0182101, 80
_CREDENTIALS = struct.Struct("3i")

# --- the launcher ---------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> None:
    """`argv`: JSON of the options, number of the control socket's descriptor."""
    options: dict[str, Any] = json.loads(argv[0])
    control = socket.socket(fileno=int(argv[1]))
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(quiet, fd)
    os.close(quiet)
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    # What a killed broker leaves behind becomes this process's child, not init's.
    isolation.call("prctl", isolation.PR_SET_CHILD_SUBREAPER, 1)
    layers = isolation.Layers()
    folder = None
    try:
        if options["mode"] == "strict":
            if not layers.attempt("namespaces", isolation.enter_namespaces):
                return _report(control, {"problem": "; ".join(layers.off)})
        else:
            folder = tempfile.mkdtemp(prefix="sandbox-", dir=options["folder"])
        if os.fork() == 0:
            try:
                _be_broker(options, control, proc, layers, folder)
            except BaseException as problem:
                with contextlib.suppress(OSError):
                    _report(control, {"problem": f"{type(problem).__name__}: {problem}"})
            finally:
                os._exit(0)
        control.close()
        _await_broker()
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
                clear(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
            shutil.rmtree(folder, ignore_errors=True)
    return None


def _await_broker() -> None:
    """Wait for the broker, then end whatever it left."""
    os.wait()
    me = os.getpid()
    while True:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{me}/task/{me}/children") as file:
            for pid in map(int, file.read().split()):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def _report(control: socket.socket, report: dict[str, object]) -> None:
    """Send the host the outcome of the start."""
    control.sendall(wire.pack(wire.READY, [json.dumps(report).encode()]))


def _be_broker(
    options: dict[str, Any], control: socket.socket, proc: int, layers: isolation.Layers, folder: str | None
) -> None:
    strict, uid = folder is None, isolation.pick_user()
    if folder is None:
        isolation.build_root(options["all_scratch"])
        layers.on.append("private root")
        folder = isolation.SCRATCH
    if options["mode"] != "process" and os.geteuid() == 0 and uid is not None:
        _change_user(layers, folder, uid)
    if strict:
        isolation.drop_capabilities()
    isolation.call("prctl", isolation.PR_SET_PDEATHSIG, signal.SIGKILL)
    isolation.call("prctl", isolation.PR_SET_DUMPABLE, 0)
    store = Scratch(folder)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        # Moves its two descriptors to their places and closes all others; never returns.
        held = [os.dup2(fd, 200 + n) for n, fd in enumerate((theirs.fileno(), proc))]
        for n, fd in enumerate(held):
            os.dup2(fd, template.CHANNEL + n)
        os.closerange(template.PROC + 1, 1 << 16)
        template.run(options, layers, folder)
    theirs.close()
    os.close(proc)
    report, listener = _read_template(mine)
    broker = Broker(control, store, options, "fork limit" in report.get("on", ()))
    broker.adopt(pid, mine, listener)
    _report(control, report)
    if "problem" not in report:
        broker.run()


def _change_user(layers: isolation.Layers, folder: str, uid: int) -> None:
    """Give up root, if Python can still be read without it; the scratch folder gets the new owner."""
    for what, paths in (("Python", isolation.readable()), ("the scratch folder", [os.path.dirname(folder)])):
        if not _public(paths):
            layers.off.append(f"own user (where {what} lies is open to root only)")
            return

    def become_other() -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fchown(fd, uid, uid)
            isolation.change_user(uid)
        finally:
            os.close(fd)

    layers.attempt("own user", become_other)


def _public(paths: list[str]) -> bool:
    """True if any user may pass through to these paths."""
    for path in paths:
        while path != "/":
            if not os.stat(path).st_mode & 0o005 and os.path.exists(path):
                return False
            path = os.path.dirname(path)
    return True


def _read_template(line: socket.socket) -> tuple[dict[str, Any], int]:
    """The template's report, and the fork gate's listener or -1."""
    listener = -1
    line.settimeout(TEMPLATE_S)
    while True:
        try:
            head, fds, _, _ = socket.recv_fds(line, wire.HEADER.size, 1)
            listener = fds[0] if fds else listener
            _, (text,) = wire.receive(line, head)
        except EOFError:
            return {"problem": "the template died while starting"}, listener
        if text != b"listener":
            line.settimeout(None)
            return json.loads(text), listener


# --- the broker -----------------------------------------------------------------------------------------------------


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

    def signal(self, number: int) -> None:
        """By pidfd; harmless when the process is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)


@dataclass
class PendingFork:
    """A fork that was ordered and has not said HELLO yet."""

    request: int
    number: int
    parent: State
    line: socket.socket
    folder: str
    until: float
    rest_parent: bool


class Broker:
    """See the module. `limits_forks`: there is no fork gate, and a process limit is lifted for each order instead."""

    def __init__(self, control: socket.socket, scratch: Scratch, options: dict[str, int], limits_forks: bool) -> None:
        self._control, self._scratch = control, scratch
        self._most, self._n_states = options["scratch"], options["n_states"]
        self._limits_forks = limits_forks
        self._states: dict[int, State] = {}
        self._by_pid: dict[int, State] = {}
        self._pending: dict[int, PendingFork] = {}
        self._poll = select.epoll()
        self._work: dict[int, Callable[[], None]] = {}
        self._last_sweep = 0.0
        self._strays_expected = False
        self._waiting: dict[int, deque[tuple[int, int, int, bool]]] = {}  # orders that wait for their turn, by parent
        self._poll.register(control, select.EPOLLIN)

    def adopt(self, pid: int, line: socket.socket, listener: int) -> None:
        """Take the template in as state 0."""
        if listener >= 0:
            self._watch(listener, lambda: self._answer_gate(listener))
        self._enter(State(wire.TEMPLATE, pid, os.pidfd_open(pid), line, None))

    def run(self) -> None:
        """Serve until the host goes away or the template dies; then end every node."""
        try:
            while wire.TEMPLATE in self._states:
                wait = 1.0 if self._pending or len(self._states) > 1 else -1
                for fd, _ in self._poll.poll(wait):
                    if fd == self._control.fileno():
                        self._order()
                    elif fd in self._work:
                        with contextlib.suppress(OSError):  # a failing state must not stop the others
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
        for fd, fork in list(self._pending.items()):
            if now > fork.until:
                self._fail(fd, fork, "the state did not fork in time")
        if self._strays_expected and not self._pending:
            self._kill_strays()
        if now > self._last_sweep + 1.0 and len(self._states) > 1:
            self._last_sweep = now
            self._scratch.sweep()

    # Orders of the host

    def _order(self) -> None:
        kind, (who,) = wire.receive(self._control)
        request, number, other, flags = wire.WHO.unpack(who)
        if kind == wire.MAKE:
            self._make(request, number, other, bool(flags & wire.REST_PARENT))
        elif kind == wire.KILL and number in self._states:
            self._states[number].dying = True
            self._states[number].signal(signal.SIGKILL)
        elif kind == wire.USED:
            self._answer(wire.MADE, request, struct.pack("!Q", self._used(number)))

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
        except FolderTooLarge:
            return 1 << 62
        except OSError:
            return 0

    def _make(self, request: int, parent: int, number: int, rest: bool) -> None:
        state = self._states.get(parent)
        if state is None:
            return self._answer(wire.FAILED, request, b"the state is gone")
        if not self._has_turn(parent):
            self._waiting.setdefault(parent, deque()).append((request, parent, number, rest))
            return None
        if sum(not other.dying for other in self._states.values()) + len(self._pending) > self._n_states:
            return self._answer(wire.FAILED, request, b"n_states live processes are running already")
        try:
            self._order_fork(request, state, number, rest)
        except FolderTooLarge:
            self._answer(wire.FAILED, request, b"the scratch folder is too large or too deep to copy")
        except OSError as problem:
            self._answer(wire.FAILED, request, str(problem).encode())
        return None

    def _has_turn(self, parent: int) -> bool:
        """Whether a fork may be ordered now: no search for strays is due, and few enough are pending."""
        pending = sum(fork.parent.number == parent for fork in self._pending.values())
        return not self._strays_expected and pending < MAX_PENDING

    def _order_waiting(self, parent: int) -> None:
        """Order the waiting forks of a parent, as many as may be pending."""
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
            _allow_forks(state.pid, True)
        state.signal(signal.SIGCONT)
        self._pending[mine.fileno()] = PendingFork(request, number, state, mine, folder, self._until(state), rest)
        self._watch(mine.fileno(), lambda: self._on_hello(mine.fileno()))

    @staticmethod
    def _until(parent: State) -> float:
        return time.monotonic() + (TEMPLATE_HELLO_S if parent.number == wire.TEMPLATE else HELLO_S)

    def _prepare_folder(self, state: State, folder: str) -> list[int]:
        """Descriptors for the child: its folder, and its parent's where there are files to find again."""
        if state.folder is None:
            return [self._scratch.open(folder)]
        state.signal(signal.SIGSTOP)
        copied = self._scratch.copy(state.folder, folder, self._most)
        # The child knows its parent's folder by name; from now on the parent's has another one.
        state.folder = self._scratch.move(state.folder)
        fds = [self._scratch.open(folder)]
        return [*fds, self._scratch.open(state.folder)] if copied else fds

    # Pending forks

    def _answer_gate(self, listener: int) -> None:
        """Let a clone through, once for each fork that was ordered of the process; EPERM otherwise."""
        notice = bytearray(_NOTIF_BYTES)
        with contextlib.suppress(OSError):  # the asker died meanwhile
            fcntl.ioctl(listener, _NOTIF_RECV, notice)
            ident, pid = struct.unpack_from("QI", notice)
            state = self._by_pid.get(pid)
            error, flags = -1, 0
            if state is not None and state.credit > 0:
                state.credit -= 1
                error, flags = 0, 1  # "continue" is safe: the arguments are in registers, not in memory
            fcntl.ioctl(listener, _NOTIF_SEND, bytearray(struct.pack("Qqii", ident, 0, error, flags)))

    def _on_hello(self, fd: int) -> None:
        fork = self._pending[fd]
        try:
            data, extra, _, _ = fork.line.recvmsg(64, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_DONTWAIT)
        except BlockingIOError:  # woken for a socket that had this number before
            return None
        except OSError:
            data, extra = b"", []
        pid = next((_CREDENTIALS.unpack(raw)[0] for _, kind, raw in extra if kind == socket.SCM_CREDENTIALS), 0)
        # The sender has to be a child of the broker that is no known state.
        if data != wire.pack(wire.HELLO, []) or pid <= 0 or pid in self._by_pid or not _is_child(pid):
            return self._fail(fd, fork, "the state refused to fork")
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return self._fail(fd, fork, "the fork died at once")
        self._finish(fd, fork)
        if self._limits_forks:
            _allow_forks(pid, False)
        fork.line.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        self._enter(State(fork.number, pid, pidfd, fork.line, fork.folder))
        return self._answer(wire.MADE, fork.request, b"", (fork.line.fileno(), pidfd))

    def _finish(self, fd: int, fork: PendingFork) -> None:
        self._forget(fd)
        del self._pending[fd]
        self._order_waiting(fork.parent.number)
        others = [other for other in self._pending.values() if other.parent is fork.parent]
        for other in others:  # they are carried out one after another
            other.until = self._until(fork.parent)
        if self._limits_forks and not others:
            _allow_forks(fork.parent.pid, False)
        if fork.rest_parent and not others and self._states.get(fork.parent.number) is fork.parent:
            fork.parent.signal(signal.SIGSTOP)

    def _fail(self, fd: int, fork: PendingFork, why: str) -> None:
        self._finish(fd, fork)
        fork.line.close()
        # Keep one credit for each order still open, so that the parent's other forks succeed.
        pending = sum(other.parent is fork.parent for other in self._pending.values())
        fork.parent.credit = min(fork.parent.credit, pending)
        # The parent may have forked without a HELLO. It is kept: it may only have been slow.
        self._strays_expected = True
        self._scratch.remove(fork.folder)
        self._answer(wire.FAILED, fork.request, why.encode())

    def _kill_strays(self) -> None:
        """Kill children that never said HELLO. Only while no fork is pending, since those have not said it either."""
        self._strays_expected = False
        known = {state.pid for state in self._states.values()}
        for pid in _children(max(known, default=1)):
            if pid not in known:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        for parent in list(self._waiting):
            self._order_waiting(parent)

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
        fate = wire.FATE.pack(state.number, status, use.ru_utime + use.ru_stime, use.ru_maxrss * 1024)
        self._answer(wire.DEAD, 0, fate)

    def _end_all(self) -> None:
        for state in list(self._states.values()):
            state.signal(signal.SIGKILL)
        for state in list(self._states.values()):
            os.waitpid(state.pid, 0)
        for fork in self._pending.values():
            fork.line.close()
        self._scratch.sweep()


def _allow_forks(pid: int, allowed: bool) -> None:
    """Lift the process limit of a node, or put it back: the fallback where there is no fork gate."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NPROC)
        resource.prlimit(pid, resource.RLIMIT_NPROC, (hard if allowed else 0, hard))


def _is_child(pid: int) -> bool:
    """True if `pid` is a child of this process, running or dead; it is not reaped."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    except ChildProcessError:
        return False


def _children(beyond: int) -> list[int]:
    """Process numbers of this process's children, from /proc where it is mounted, else by trying numbers."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return [pid for pid in range(2, beyond + 4096) if _is_child(pid)]
