"""The host's side of the Linux sandbox: one broker process, and the states it forks."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future
from typing import Any

from .inside import command, environment, wire
from .step import ChannelTimeout, Death, Gone, NodeHandle, Oversize
from .types import Capabilities, Limits, SandboxBroken, SandboxUnavailable

Answer = Future[tuple[bytes, tuple[int, ...]]]
START_S = 150.0
ANSWER_S = 60.0  # longer than the broker itself waits for a fork
IDLE_S = 0.005  # a state that has had no order for this long is stopped
_FORKS = "fork gate or fork limit"
NEEDED = {
    "strict": ("namespaces", "private root", "seccomp", _FORKS),
    "container": ("landlock", "seccomp", _FORKS),
    "process": (),
}


class SocketChannel:
    """A channel over a stream socket. A frame trickled byte by byte does not put its deadline off.

    `pidfd`: the process on the other end. Its death is noticed by this, not by the end of the stream: its parent may
    hold on to a copy of its socket.
    """

    def __init__(self, sock: socket.socket, pidfd: int) -> None:
        sock.setblocking(False)
        self._pidfd = pidfd
        self._sock = sock
        self._held = b""
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(pidfd, select.POLLIN)
        self._spin = wire.Spin(lambda: self._poll.poll(0))

    def send(self, frame: bytes, deadline: float) -> None:
        """See Channel."""
        view = memoryview(frame)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                ready = select.poll()
                ready.register(self._sock, select.POLLOUT)
                if left <= 0 or not ready.poll(left * 1000):
                    raise ChannelTimeout from None
            except OSError:
                raise Gone from None

    def wait(self, deadline: float) -> bool:
        """See Channel."""
        if self._held or self._poll.poll(0):
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        return self._spin() or bool(self._poll.poll(left * 1000))

    def receive(self, deadline: float, most: int) -> tuple[int, list[bytes]]:
        """See Channel."""
        self._fill(wire.HEADER.size, deadline)
        kind, size = wire.HEADER.unpack_from(self._held)
        if size > most:
            raise Oversize(size)
        whole = wire.HEADER.size + size
        self._fill(whole, deadline)
        payload, self._held = self._held[wire.HEADER.size : whole], self._held[whole:]
        return kind, wire.unpack(payload)

    def _fill(self, size: int, deadline: float) -> None:
        """Have at least `size` bytes in hand."""
        if len(self._held) >= size:
            return
        parts, have = [self._held], len(self._held)
        try:
            while have < size:
                try:
                    # Plain recv: descriptors a node might attach are dropped by the kernel.
                    data = self._sock.recv(max(1 << 16, min(size - have, 1 << 20)))
                except BlockingIOError:
                    wait = deadline - time.monotonic()
                    ready = self._poll.poll(wait * 1000) if wait > 0 else []
                    if not ready:
                        raise ChannelTimeout from None
                    if [fd for fd, _ in ready] == [self._pidfd]:
                        raise Gone from None
                    continue
                except OSError:
                    raise Gone from None
                if not data:
                    raise Gone
                if time.monotonic() > deadline:
                    raise ChannelTimeout
                parts.append(data)
                have += len(data)
        finally:
            self._held = b"".join(parts)

    def ended(self) -> bool:
        """See Channel."""
        if self._held or not self._poll.poll(0):
            return False
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except OSError:  # nothing to read, so it is the pidfd that is ready
            return True

    def close(self) -> None:
        """See Channel."""
        self._sock.close()


class IdleStopper:
    """Stops the processes of idle states, so that none goes on running after its reply.

    Not at once: stopping and waking costs more than a small cell, and the next cell often follows within the delay.
    """

    def __init__(self) -> None:
        self._idle: deque[ForkedNode] = deque()
        self._some = threading.Event()
        self._closed = False
        threading.Thread(target=self._work, name="sandbox-idle-stopper", daemon=True).start()

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


class ForkedNode(NodeHandle):
    """One state, by its own socket and pidfd."""

    def __init__(self, backend: ForkedBackend, number: int, sock: socket.socket, pidfd: int) -> None:
        self._backend, self._number, self._pidfd = backend, number, pidfd
        self.channel = SocketChannel(sock, pidfd)
        with open(f"/proc/self/fdinfo/{pidfd}") as file:
            self.pid: int = next((int(line[4:]) for line in file if line.startswith("Pid:")), -1)
        # The kernel's number for "CPU time of process pid"; see clock_getcpuclockid(3).
        self._clock = (~self.pid << 3) | 2
        self._guard = threading.Lock()
        self._busy = self._stopped = self._queued = False

    def wake(self) -> None:
        """See NodeHandle."""
        with self._guard:
            self._busy = True
            if self._stopped:
                self._signal(signal.SIGCONT)
                self._stopped = False

    def rest(self) -> None:
        """Stop the state soon, unless another order comes first."""
        self._busy = False
        if self._backend.can_signal and not self._queued:
            self._queued = True
            self._backend.stopper.later(self)

    def stop(self) -> None:
        """Stop the process now if it is idle."""
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
        """See NodeHandle."""
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
        """See NodeHandle."""
        return self._backend.used(self._number)

    def fork(self, n: int) -> list[ForkedNode | None]:
        """See NodeHandle."""
        with self._guard:
            children = self._backend.make(self._number, n, rest_parent=self._backend.can_signal)
            self._stopped = self._backend.can_signal  # the broker did it
        return [None if isinstance(child, SandboxBroken) else child for child in children]

    def kill(self) -> Death:
        """End it and wait until it is reaped."""
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


class ForkedBackend:
    """Starts the broker and asks it for states. Safe to use from any thread."""

    def __init__(self, mode: str, limits: Limits, modules: tuple[str, ...], seed: int) -> None:
        """Raises SandboxUnavailable where a layer that `mode` needs does not hold, SandboxBroken if nothing starts."""
        self._lock = threading.Lock()
        self._asked: dict[int, Answer] = {}
        self._deaths: dict[int, Future[Death]] = {}
        self._next = 0
        self._alive = True
        self._last_words = ""  # the broker's own reason for its end
        self._session_cpu = limits.session_cpu_s
        self._reader: threading.Thread | None = None
        self.can_signal = True
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                command("broker", json.dumps(_options(mode, limits, modules, seed)), str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(seed),
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal is the host's to handle
            )
        self.stopper = IdleStopper()
        try:
            self.capabilities = self._hear_ready(mode)
        except BaseException:
            self.close()
            raise
        # The thread must not keep a forgotten backend alive: it holds the socket, not the object.
        self._reader = threading.Thread(target=_read, args=(self._control, weakref.ref(self)), daemon=True)
        self._reader.start()
        weakref.finalize(self, _disconnect, self._control, self.stopper)

    def _hear_ready(self, mode: str) -> Capabilities:
        self._control.settimeout(START_S)
        try:
            _, (text,) = wire.receive(self._control)
        except (OSError, EOFError, struct.error, ValueError) as problem:
            raise SandboxBroken(f"the broker did not start: {problem!r}") from None
        self._control.settimeout(None)
        report: dict[str, Any] = json.loads(text)
        if "problem" in report:
            raise SandboxUnavailable(f"{mode}: {report['problem']}")
        held = " ".join(report["on"])
        lacking = [name for name in NEEDED[mode] if not any(word in held for word in name.split(" or "))]
        if lacking:
            raise SandboxUnavailable(f"{mode}: {', '.join(lacking)} not in force: {'; '.join(report['off'])}")
        note = "WEAK: model code can do what the user can" if mode == "process" else ""
        return Capabilities(mode, ("rlimits", "fork", *report["on"]), tuple(report["off"]), note)

    @property
    def broken(self) -> bool:
        """True once the broker is gone: it makes no more states."""
        return not self._alive

    def spawn(self) -> ForkedNode:
        """A fresh state; raises SandboxBroken."""
        (node,) = self.make(wire.TEMPLATE, 1)
        if isinstance(node, SandboxBroken):
            raise node
        return node

    def make(self, parent: int, n: int, *, rest_parent: bool = False) -> list[ForkedNode | SandboxBroken]:
        """Forks of a state, ordered all at once; in place of one that failed, the broker's reason."""
        flags = wire.REST_PARENT if rest_parent else 0
        orders = []
        for _ in range(n):
            with self._lock:
                self._next += 1
                number = self._next
                self._deaths[number] = Future()
            orders.append((number, self._ask(wire.MAKE, parent, number, flags)))
        return [self._node_of(number, answer) for number, answer in orders]

    def _node_of(self, number: int, answer: Answer) -> ForkedNode | SandboxBroken:
        try:
            _, fds = self._await(answer)
        except SandboxBroken as problem:
            self._deaths.pop(number, None)
            return problem
        return ForkedNode(self, number, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds[0]), fds[1])

    def used(self, number: int) -> int:
        """Bytes in a state's scratch folder."""
        try:
            payload, _ = self._await(self._ask(wire.USED, number))
        except SandboxBroken:
            return 0
        return int(struct.unpack("!Q", payload)[0])

    def kill(self, number: int, *, wait: bool) -> Death:
        """End a state, and wait until it is reaped if asked to."""
        death = self._deaths.get(number)
        if death is None:
            return Death()
        try:
            self._send(wire.KILL, 0, number)
            return death.result(ANSWER_S) if wait else Death()
        except (SandboxBroken, TimeoutError):
            return Death("the broker is gone")
        finally:
            self._deaths.pop(number, None)

    def close(self) -> None:
        """End the broker and with it every state; returns once they are gone."""
        self._alive = False
        _disconnect(self._control, self.stopper)
        try:
            self._process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join()
        self._control.close()

    def _ask(self, kind: int, *numbers: int) -> Answer:
        answer: Answer = Future()
        with self._lock:
            self._next += 1
            request = self._next
            self._asked[request] = answer
        try:
            self._send(kind, request, *numbers)
        except SandboxBroken as problem:
            self._asked.pop(request, None)
            if not answer.done():
                answer.set_exception(problem)
        return answer

    def _await(self, answer: Answer) -> tuple[bytes, tuple[int, ...]]:
        try:
            return answer.result(ANSWER_S)
        except TimeoutError:
            raise SandboxBroken("the broker does not answer") from None

    def _send(self, kind: int, *numbers: int) -> None:
        who = wire.WHO.pack(*(*numbers, 0, 0, 0, 0)[:4])
        try:
            with self._lock:
                if not self._alive:
                    raise SandboxBroken(f"the broker is gone {self._last_words}")
                self._control.sendall(wire.pack(kind, [who]))
        except OSError:
            raise SandboxBroken(f"the broker is gone {self._last_words}") from None

    def _receive(self, kind: int, fields: list[bytes], fds: tuple[int, ...]) -> bool:
        """Handle one frame of the broker; False where it is the last one. Runs on the reading thread."""
        if kind == wire.READY:  # sent a second time only when the broker fails
            self._last_words = json.loads(fields[0]).get("problem", "")
            return False
        if kind == wire.DEAD:
            number, status, cpu, peak = wire.FATE.unpack(fields[1])
            death = self._deaths.get(number)
            if death is not None:
                death.set_result(_death(status, cpu, peak, self._session_cpu))
            return True
        answer = self._asked.pop(struct.unpack("!I", fields[0])[0], None)
        if answer is None:
            for fd in fds:
                os.close(fd)
        elif kind == wire.FAILED:
            answer.set_exception(SandboxBroken(wire.decode(fields[1])))
        else:
            answer.set_result((fields[1], fds))
        return True

    def _fail_all(self) -> None:
        """Release everybody who waits for the broker, which is gone. Runs on the reading thread."""
        with self._lock:
            self._alive = False
        waiting: list[Future[Any]] = [*self._asked.values(), *self._deaths.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(SandboxBroken(f"the broker is gone {self._last_words}"))


def _read(control: socket.socket, owner: weakref.ref[ForkedBackend]) -> None:
    backend = None
    try:
        while True:
            head, fds, _, _ = socket.recv_fds(control, wire.HEADER.size, 2)
            kind, fields = wire.receive(control, head)
            backend = owner()
            if backend is None or not backend._receive(kind, fields, tuple(fds)):
                break
            backend = None
    except (OSError, EOFError, ValueError):
        pass
    backend = owner()
    if backend is not None:
        backend._fail_all()


def _disconnect(control: socket.socket, stopper: IdleStopper) -> None:
    stopper.close()
    with contextlib.suppress(OSError):
        control.shutdown(socket.SHUT_RDWR)


def _options(mode: str, limits: Limits, modules: tuple[str, ...], seed: int) -> dict[str, Any]:
    scratch = limits.scratch_mb << 20
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "mode": mode,
        "modules": modules,
        "seed": seed,
        "memory": limits.memory_mb << 20,
        "scratch": scratch,
        # Scratch lives in memory where there is a private root: all states together get a quarter of it at most.
        "all_scratch": min(scratch * limits.n_states, memory // 4),
        "n_states": limits.n_states,
        "session_cpu": limits.session_cpu_s,
        "folder": tempfile.gettempdir(),
    }


def _death(status: int, cpu: float, peak: int, session_cpu: float | None) -> Death:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Death(f"the process exited with status {code}", cpu, peak)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    spent = session_cpu is not None and cpu >= session_cpu
    return Death(f"the process was ended by {name}", cpu, peak, by_cpu_limit=spent)
