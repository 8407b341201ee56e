"""The host's side of the Linux sandbox: one broker process, and the nodes it forks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import weakref
from concurrent.futures import Future
from typing import Any

from .inside import broker, wire
from .inside.boot import command, environment
from .state import ForkedNode, Janitor
from .step import Death
from .types import Capabilities, Limits, SandboxBroken, SandboxUnavailable

Answer = Future[tuple[bytes, tuple[int, ...]]]
START_S = 150.0
ANSWER_S = 60.0  # longer than the broker itself waits for a fork
_FORKS = "fork gate or fork limit"
NEEDED = {
    "strict": ("namespaces", "private root", "seccomp", _FORKS),
    "container": ("landlock", "seccomp", _FORKS),
    "process": (),
}


class ForkedBackend:
    """Starts the broker and asks it for states. Safe to use from any thread."""

    def __init__(self, mode: str, limits: Limits, modules: tuple[str, ...], seed: int) -> None:
        """Raises SandboxUnavailable where a layer that `mode` needs does not hold, SandboxBroken if nothing starts."""
        self._lock = threading.Lock()
        self._asked: dict[int, Answer] = {}
        self._fates: dict[int, Future[Death]] = {}
        self._next = 0
        self._alive = True
        self.epitaph = ""
        self._session_cpu = limits.session_cpu_s
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        options = _options(mode, limits, modules, seed)
        with theirs:
            self._process = subprocess.Popen(
                command("launcher", json.dumps(options), str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(seed),
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal is the host's to handle
            )
        try:
            self.capabilities = self._hear_ready(mode)
        except BaseException:
            self.close()
            raise
        self.can_signal = True
        self.janitor = Janitor()
        # The thread must not keep a forgotten backend alive: it holds the socket, not the object.
        self._reader = threading.Thread(target=_read, args=(self._control, weakref.ref(self)), daemon=True)
        self._reader.start()
        weakref.finalize(self, _hang_up, self._control, self.janitor)

    def _hear_ready(self, mode: str) -> Capabilities:
        self._control.settimeout(START_S)
        try:
            _, size = wire.HEADER.unpack(_exactly(self._control, wire.HEADER.size))
            (text,) = wire.unpack(_exactly(self._control, size))
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
        """True once the broker is gone."""
        return not self._alive

    def spawn(self) -> ForkedNode:
        """A fresh state; raises SandboxBroken."""
        (node,) = self.make(broker.TEMPLATE, 1)
        if isinstance(node, SandboxBroken):
            raise node
        return node

    def make(self, parent: int, n: int, *, rest_parent: bool = False) -> list[ForkedNode | SandboxBroken]:
        """Forks of a state, ordered all at once; the broker's reason in place of one that is not to be had."""
        flags = broker.REST_PARENT if rest_parent else 0
        births = []
        for _ in range(n):
            with self._lock:
                self._next += 1
                number = self._next
                self._fates[number] = Future()
            births.append((number, self._ask(broker.MAKE, parent, number, flags)))
        return [self._born(number, answer) for number, answer in births]

    def _born(self, number: int, answer: Answer) -> ForkedNode | SandboxBroken:
        try:
            _, fds = self._await(answer)
        except SandboxBroken as problem:
            self._fates.pop(number, None)
            return problem
        return ForkedNode(self, number, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds[0]), fds[1])

    def used(self, number: int) -> int:
        """Bytes in a state's scratch folder."""
        try:
            payload, _ = self._await(self._ask(broker.USED, number))
        except SandboxBroken:
            return 0
        return int(struct.unpack("!Q", payload)[0])

    def kill(self, number: int, *, wait: bool) -> Death:
        """End a state, and wait until it is reaped if asked to."""
        fate = self._fates.get(number)
        if fate is None:
            return Death()
        try:
            self._send(broker.KILL, 0, number)
            return fate.result(ANSWER_S) if wait else Death()
        except (SandboxBroken, TimeoutError):
            return Death("the broker is gone")
        finally:
            self._fates.pop(number, None)

    def close(self) -> None:
        """End the broker and with it every state; returns once they are gone."""
        self._alive = False
        janitor = getattr(self, "janitor", None)
        if janitor is not None:
            janitor.close()
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        reader = getattr(self, "_reader", None)
        if reader is not None and reader is not threading.current_thread():
            reader.join()
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
        who = broker.WHO.pack(*(*numbers, 0, 0, 0, 0)[:4])
        try:
            with self._lock:
                if not self._alive:
                    raise SandboxBroken(f"the broker is gone {self.epitaph}")
                self._control.sendall(wire.pack(kind, [who]))
        except OSError:
            raise SandboxBroken(f"the broker is gone {self.epitaph}") from None

    def heard(self, kind: int, request: int, payload: bytes, fds: tuple[int, ...]) -> None:
        """For the reading thread: one frame of the broker's."""
        if kind == broker.DEAD:
            number, status, cpu, peak = broker.FATE.unpack(payload)
            fate = self._fates.get(number)
            if fate is not None:
                fate.set_result(_death(status, cpu, peak, self._session_cpu))
            return
        answer = self._asked.pop(request, None)
        if answer is None:
            for fd in fds:
                os.close(fd)
        elif kind == broker.FAILED:
            answer.set_exception(SandboxBroken(wire.decode(payload)))
        else:
            answer.set_result((payload, fds))

    def lost(self) -> None:
        """For the reading thread: the broker is gone; nobody must wait for it."""
        with self._lock:
            self._alive = False
        waiting: list[Future[Any]] = [*self._asked.values(), *self._fates.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(SandboxBroken(f"the broker is gone {self.epitaph}"))


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


def _hang_up(control: socket.socket, janitor: Janitor) -> None:
    janitor.close()
    with contextlib.suppress(OSError):
        control.shutdown(socket.SHUT_RDWR)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError("the broker closed its end")
        data += more
    return data


def _read(control: socket.socket, owner: weakref.ref[ForkedBackend]) -> None:
    try:
        while True:
            head, fds, _, _ = socket.recv_fds(control, wire.HEADER.size, 2)
            if not head:
                break
            head += _exactly(control, wire.HEADER.size - len(head))
            kind, size = wire.HEADER.unpack(head)
            fields = wire.unpack(_exactly(control, size))
            backend = owner()
            if backend is None:
                break
            if kind == broker.READY:  # only ever sent again as the broker's last word
                backend.epitaph = json.loads(fields[0]).get("problem", "")
                break
            backend.heard(kind, struct.unpack("!I", fields[0])[0], fields[1], tuple(fds))
            del backend
    except (OSError, EOFError, ValueError):
        pass
    backend = owner()
    if backend is not None:
        backend.lost()
