"""The Sandbox, with its broker and its warm template, and the sessions forked from it."""

from __future__ import annotations

import asyncio
import functools
import os
import platform
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from .log import Done, Log, checksum, read_log, write_log
from .portable import PortableBackend
from .step import Cell, CellRun, NodeHandle, Tools, checked
from .types import (
    Capabilities,
    Error,
    Limits,
    Result,
    SandboxBroken,
    SandboxClosed,
    SandboxUnavailable,
    SavedStateError,
    Stop,
)

if TYPE_CHECKING:
    from .forked import ForkedBackend

P = ParamSpec("P")
T = TypeVar("T")
Mode = Literal["auto", "strict", "container", "process"]
_STANDARD = "math random statistics itertools functools collections fractions decimal re json datetime"
MODULES = (*_STANDARD.split(), "numpy", "sympy")


def _twin(
    method: Callable[Concatenate[Session, P], T],
) -> Callable[Concatenate[Session, P], Coroutine[Any, Any, T]]:
    """The async form of a method, which runs on one of the Sandbox's threads."""

    async def later(self: Session, /, *args: P.args, **kwargs: P.kwargs) -> T:
        work = functools.partial(method, self, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._box._executor(), work)

    return later


class Session:
    """One stateful interpreter for untrusted code. Made by `Sandbox.session()`; safe to use from any thread.

    Calls on one session take turns; different sessions run side by side. A state whose process is lost (killed for
    time, crashed) is rebuilt at the next `exec` by replaying the log of the cells that left it alive, with the
    recorded answers of their tools: time and true entropy are the only things a replay may see differently.

    `aexec`, `afork`, `acommit`, `adrop` and `aclose` are the same methods for an event loop. Cancelling one does not
    stop a cell before its deadline.
    """

    def __init__(self, box: Sandbox, limits: Limits, tools: Tools, node: NodeHandle | None = None) -> None:
        self.limits = limits
        self._box = box
        self._tools = checked(tools)
        self._lock = threading.RLock()
        self._kids: weakref.WeakSet[Session] = weakref.WeakSet()
        self._log: list[Done] = []
        self._number = 0
        self._wall_used = self._cpu_used = 0.0
        self._differing: tuple[int, ...] = ()
        self._closed = False
        self._holder = _Holder(node)
        weakref.finalize(self, self._holder.drop)  # a session that is garbage-collected leaves no process

    def exec(self, code: str, *, wall_s: float | None = None) -> Result:
        """Run one cell and wait for it. Never raises for what the code does.

        wall_s: this step's own deadline, if tighter or wider than the session's.
        Raises SandboxClosed when the session was closed, dropped or committed.
        """
        with self._lock:
            self._check()
            wall, cpu = self._left(wall_s)
            if wall <= 0:
                return _without_run(Stop.TIMEOUT, "the session's wall clock is used up")
            if cpu is not None and cpu <= 0:
                return _without_run(Stop.CPU, "the session's CPU seconds are used up")
            problem = self._ensure_live()
            if problem is not None:
                return problem
            self._number += 1
            scratch = self.limits.scratch_mb << 20
            return self._run(Cell(code, self._number, self.limits, self._tools, wall, cpu, scratch))

    def start_soon(self) -> None:
        """Start the process on another thread, ahead of the first `exec`. Harmless at any time."""
        self._box._executor().submit(self._start)

    def _start(self) -> None:
        with self._lock:
            if not self._closed:
                self._ensure_live()

    def fork(self, n: int = 1, *, tools: Sequence[Tools] | None = None) -> list[Session]:
        """`n` sessions with this one's state, namespace, scratch files and random generators included.

        tools: one mapping for each fork, with this session's names, to answer its calls. The forks are independent
        of this session and of each other. A fork that could not be made raises nothing: it is rebuilt by replay when
        first used.
        """
        with self._lock:
            self._check()
            if self._log or self._holder.node is not None:
                self._ensure_live()
            node = self._holder.node
            kids = [self._child(copy) for copy in ([None] * n if node is None else node.fork(n))]
            for kid, own in zip(kids, tools or (), strict=tools is not None):
                kid._tools = checked(own)
            return kids

    def commit(self, child: Session) -> None:
        """Take over the state of `child`, a fork of this session; `child` is closed, the other forks live on."""
        if child is self:
            return
        with self._lock, child._lock:
            self._check()
            child._check()
            if child not in self._kids:
                raise ValueError("commit() takes a session that came from this one's fork()")
            self._holder.drop()
            self._holder.node, child._holder.node = child._holder.node, None
            self._log, self._number = child._log, child._number
            self._wall_used, self._cpu_used = child._wall_used, child._cpu_used
            child._closed = True
            self._kids.discard(child)

    def drop(self) -> None:
        """End this state and its process; its forks live on. Harmless twice."""
        with self._lock:
            self._closed = True
            self._holder.drop()

    def close(self) -> None:
        """Drop this session and all its forks, and theirs. Harmless twice."""
        for kid in list(self._kids):
            kid.close()
        self.drop()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the log of this state to a file, for `Sandbox.restore`: its cells and the answers of their tools.

        Raises OSError; what is at `path` stays as it was then.
        """
        with self._lock:
            self._check()
            used = self._wall_used, self._cpu_used
            write_log(path, Log(tuple(self._log), self._number, *used, self._box.seed, tuple(self._tools)))

    aexec, afork, acommit = _twin(exec), _twin(fork), _twin(commit)
    adrop, aclose = _twin(drop), _twin(close)

    @property
    def pid(self) -> int | None:
        """The host's number of the process that holds the state; None where there is none or it is not known."""
        return None if self._holder.node is None else self._holder.node.pid

    @property
    def differing(self) -> tuple[int, ...]:
        """Numbers of the cells that showed something else in the latest replay of this state than they did first."""
        return self._differing

    @property
    def log(self) -> tuple[str, ...]:
        """The cells whose effects this state holds, in order: its portable snapshot."""
        return tuple(done.source for done in self._log)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _check(self) -> None:
        if self._closed:
            raise SandboxClosed("this session was closed, dropped or committed")

    def _left(self, wall_s: float | None) -> tuple[float, float | None]:
        wall = self.limits.wall_s if wall_s is None else wall_s
        if self.limits.session_wall_s is not None:
            wall = min(wall, self.limits.session_wall_s - self._wall_used)
        cpus = [] if self.limits.cpu_s is None else [self.limits.cpu_s]
        if self.limits.session_cpu_s is not None:
            cpus.append(self.limits.session_cpu_s - self._cpu_used)
        return wall, min(cpus, default=None)

    def _ensure_live(self, *, strict: bool = False) -> Result | None:
        """Make sure that a process holds the state, by replay if need be; else a Result with the reason.

        strict: an exception that the cell did not raise at first, or the other way round, ends the replay.
        """
        node = self._holder.node
        if node is not None:
            if not node.channel.wait(0.0):
                return None
            ended = node.channel.ended()  # else it sent something without an order
            self._holder.drop()
            if not ended:
                return replace(_without_run(Stop.FORGED, "the state spoke out of turn"), state_lost=True)
        try:
            node = self._box._spawn()
        except SandboxBroken as problem:
            return _without_run(Stop.BROKEN, str(problem))
        spare = self._box.limits.memory_mb - self.limits.memory_mb
        if spare > 0:
            node.cut_memory(spare << 20)
        differing = []
        for done in self._log:
            result = CellRun(node, done.replay(self.limits, self._tools)).run()
            if not done.matches(result) or (strict and result.stop is not done.stop):
                node.drop()
                return _without_run(Stop.LOST, f"the state was lost and cell {done.number} could not be replayed")
            if done.differs(result):
                differing.append(done.number)
        self._differing = tuple(differing)
        self._holder.node = node
        return None

    def _run(self, cell: Cell) -> Result:
        node = self._holder.node
        assert node is not None
        step = CellRun(node, cell)
        result = step.run()
        self._wall_used += result.seconds
        self._cpu_used += result.cpu_s
        if result.state_lost:
            self._holder.node = None
        else:
            shown = checksum(result)
            self._log.append(Done(cell.number, cell.source, tuple(step.answers), cell.wall_s, result.stop, shown))
        return result

    def _child(self, node: NodeHandle | None) -> Session:
        child = Session(self._box, self.limits, self._tools, node)
        child._log, child._number = list(self._log), self._number
        child._wall_used, child._cpu_used = self._wall_used, self._cpu_used
        self._kids.add(child)
        return child


class _Holder:
    """Holds the node for the session's finalizer, which must not hold the session."""

    def __init__(self, node: NodeHandle | None) -> None:
        self.node = node

    def drop(self) -> None:
        node, self.node = self.node, None
        if node is not None:
            node.drop()


def _without_run(stop: Stop, why: str) -> Result:
    kind = "TimeoutError" if stop in (Stop.TIMEOUT, Stop.CPU) else "SandboxFailure"
    return Result(error=Error.of(kind, why), stop=stop)


def has_linux_layers() -> bool:
    """Whether everything but the portable weak mode can be tried here: its system call numbers are known."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


class Sandbox:
    """Where untrusted, model-written Python runs, in sessions whose state can be forked.

    mode: "auto" takes the strongest of "strict" (own namespaces and file system, Landlock, seccomp) and "container"
        (Landlock and seccomp) that this machine offers, and raises SandboxUnavailable where it offers neither.
        "process" is WEAK, an ordinary child process with resource limits, and is used only where it is named or with
        `allow_weak=True`.
    limits: what a step and a session may use; a session may be given tighter ones.
    tools: functions of the host that model code may call; JSON in, JSON out, on a thread of their own.
    modules: imported once, in the template that sessions are forked from. Names not installed are skipped.
    seed: of `random`, of numpy's generators and of string hashing in every fresh session.

    Not contained: a hole in the kernel. And code can forge its own reply, so a Result must not be used to grade the
    code that wrote it.
    """

    def __init__(
        self,
        mode: Mode = "auto",
        *,
        limits: Limits | None = None,
        tools: Tools | None = None,
        modules: tuple[str, ...] = MODULES,
        allow_weak: bool = False,
        seed: int = 0,
    ) -> None:
        if mode not in ("auto", "strict", "container", "process"):
            raise ValueError(f"mode must be auto, strict, container or process, not {mode!r}")
        self.limits = limits or Limits()
        self._mode: Mode = mode
        self._tools = checked(tools or {})
        self._modules, self._allow_weak, self.seed = modules, allow_weak, seed
        self._lock = threading.Lock()
        self._backend: ForkedBackend | PortableBackend | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False

    def start(self) -> Capabilities:
        """Start broker and template, once; `session()` does it when needed.

        Raises SandboxUnavailable where the mode cannot be had, SandboxBroken when the template did not start.
        """
        with self._lock:
            if self._closed:
                raise SandboxClosed("this Sandbox was closed")
            if self._backend is None:
                self._backend = self._open()
            return self._backend.capabilities

    def session(self, *, limits: Limits | None = None, tools: Tools | None = None) -> Session:
        """A session with a fresh state, whose process starts with its first cell. `tools` replaces the Sandbox's."""
        self.start()
        return Session(self, limits or self.limits, self._tools if tools is None else tools)

    def restore(
        self, path: str | os.PathLike[str], *, limits: Limits | None = None, tools: Tools | None = None
    ) -> Session:
        """The session that `Session.save` wrote, its cells replayed now, in a sandbox of the same seed.

        Tools that the cells called are not called again; `tools`, or the Sandbox's, answer later calls.
        Raises SavedStateError for a file that is torn or does not fit this sandbox, and where a replay does not end
        as the cell did; `start`'s errors. What the replay showed otherwise is in `Session.differing`.
        """
        saved = read_log(path)
        session = self.session(limits=limits, tools=tools)
        if saved.seed != self.seed:
            raise SavedStateError(f"{path}: saved with the seed {saved.seed}; this sandbox has {self.seed}")
        if missing := sorted(set(saved.tools) - session._tools.keys()):
            raise SavedStateError(f"{path}: saved with the tools {', '.join(missing)}, which are missing here")
        session._log, session._number = list(saved.cells), saved.number
        session._wall_used, session._cpu_used = saved.wall_used, saved.cpu_used
        problem = session._ensure_live(strict=True)
        if problem is None:
            return session
        session.close()
        why = problem.stop.value if problem.error is None else problem.error.message
        raise (SandboxBroken(why) if problem.stop is Stop.BROKEN else SavedStateError(f"{path}: {why}"))

    def close(self) -> None:
        """End every session and the broker. Harmless twice."""
        with self._lock:
            backend, self._backend, self._closed = self._backend, None, True
            threads, self._threads = self._threads, None
        if backend is not None:
            backend.close()
        if threads is not None:
            threads.shutdown(wait=False)

    @property
    def capabilities(self) -> Capabilities:
        """Which layers hold; starts the Sandbox if need be."""
        return self.start()

    async def astart(self) -> Capabilities:
        """As `start`, without blocking the event loop."""
        return await asyncio.to_thread(self.start)

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Sandbox:
        await self.astart()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _spawn(self) -> NodeHandle:
        """A fresh node for a session. Raises SandboxBroken or SandboxClosed."""
        with self._lock:
            if self._backend is None:
                raise SandboxClosed("this Sandbox was closed")
            if self._backend.broken:  # the broker was killed from outside: start another, and sessions replay
                self._backend.close()
                try:
                    self._backend = self._open()
                except SandboxUnavailable as problem:
                    raise SandboxBroken(str(problem)) from None
            backend = self._backend
        return backend.spawn()

    def _executor(self) -> ThreadPoolExecutor:
        """The threads of the sessions' async calls; each waiting cell holds one."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(min(self.limits.n_states, 256), thread_name_prefix="sandbox")
            return self._threads

    def _open(self) -> ForkedBackend | PortableBackend:
        wanted = ["strict", "container"] if self._mode == "auto" else [self._mode]
        if self._mode == "auto" and self._allow_weak:
            wanted.append("process")
        problems = []
        for mode in wanted:
            if not has_linux_layers():
                if mode == "process":
                    return PortableBackend(self.limits, self._modules, self.seed)
                problems.append(f"{mode}: needs Linux on x86-64 or aarch64")
                continue
            from .forked import ForkedBackend  # it cannot be imported on other systems

            try:
                return ForkedBackend(mode, self.limits, self._modules, self.seed)
            except SandboxUnavailable as problem:
                problems.append(str(problem))
        raise SandboxUnavailable(
            f"no {self._mode} sandbox on this machine ({'; '.join(problems)}); "
            "`agentdistill sandbox doctor` says more, mode='process' gives a weak one"
        )
