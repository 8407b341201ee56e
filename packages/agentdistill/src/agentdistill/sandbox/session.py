"""A session: one state that cells change, and that can be forked, kept or dropped."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, TypeVar

from .step import Cell, Node, Step
from .toolbox import Tools, checked
from .types import Error, Limits, Result, SandboxBroken, SandboxClosed, Stop

T = TypeVar("T")
# A replay must not be lost to a machine that is slower now than when the cell ran.
REPLAY_S, REPLAY_TIMES, REPLAY_GRACE_S = 30.0, 4, 10.0


class Source(Protocol):
    """What a session needs of its Sandbox."""

    limits: Limits

    def spawn(self) -> Node:
        """A fresh state; raises SandboxBroken or SandboxClosed."""
        ...

    @property
    def threads(self) -> Executor:
        """Where the async twins wait."""
        ...


@dataclass(frozen=True)
class Done:
    """One executed cell in the log: enough to do it again without the host's tools."""

    number: int
    source: str
    answers: tuple[tuple[bool, str], ...]
    wall_s: float
    stop: Stop

    def again(self, limits: Limits, tools: Tools) -> Cell:
        """The cell to replay. Only one that its deadline ended is held to it: the machine may be slower now."""
        wall = self.wall_s if self.stop is Stop.TIMEOUT else max(REPLAY_S, REPLAY_TIMES * self.wall_s)
        cell = Cell(self.source, self.number, limits, tools, wall, None, self.answers, grace_s=REPLAY_GRACE_S)
        # A short cell may have left more files than allowed, unseen so far; the next long one will be ended for it.
        return replace(cell, scratch_bytes=REPLAY_TIMES * limits.scratch_mb << 20)

    def came_out(self, result: Result) -> bool:
        """Whether a replay ended as the cell did, so far as its state is concerned."""
        cut = {Stop.TIMEOUT, Stop.OUTPUT, Stop.MEMORY}
        return not result.state_lost and (result.stop == self.stop or not {result.stop, self.stop} & cut)


class Session:
    """One stateful interpreter for untrusted code. Made by `Sandbox.session()`; safe to use from any thread.

    Calls on one session take turns; different sessions run side by side. A state whose process is lost (killed for
    time, crashed) is rebuilt at the next `exec` by replaying the log of the cells that left it alive, with the
    recorded answers of their tools: time and true entropy are the only things a replay may see differently.
    """

    def __init__(self, source: Source, limits: Limits, tools: Tools, node: Node | None = None) -> None:
        self.limits = limits
        self._source = source
        self._tools = checked(tools)
        self._lock = threading.RLock()
        self._kids: weakref.WeakSet[Session] = weakref.WeakSet()
        self._log: list[Done] = []
        self._number = 0
        self._wall_used = self._cpu_used = 0.0
        self._closed = False
        self._holder = _Holder(node)
        weakref.finalize(self, self._holder.drop)  # a forgotten session leaves no process behind

    def exec(self, code: str, *, wall_s: float | None = None, atomic: bool = False) -> Result:
        """Run one cell and wait for it. Never raises for what the code does.

        wall_s: this step's own deadline, if tighter or wider than the session's. atomic: run the cell on a fork and
        keep it only if the process lives, so that a crash or timeout costs no replay, for the price of a fork.
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
            cell = Cell(code, self._number, self.limits, self._tools, wall, cpu)
            return self._run(cell, atomic)

    def start_soon(self) -> None:
        """Start the process on another thread, so that the first `exec` finds it there. Harmless at any time."""
        self._source.threads.submit(self._start)

    def _start(self) -> None:
        with self._lock:
            if not self._closed:
                self._ensure_live()

    def fork(self, n: int = 1, *, tools: Sequence[Tools] | None = None) -> list[Session]:
        """`n` sessions with this one's state, namespace, scratch files and random generators included.

        tools: one mapping for each, of the same names as this session's, to answer their calls instead of its own.
        They are independent of it and of each other from here on. Never raises for the state's sake: a child that
        could not be forked is rebuilt by replay when first used.
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
        """Drop this session and every fork that descends from it. Harmless twice."""
        for kid in list(self._kids):
            kid.close()
        self.drop()

    @property
    def pid(self) -> int | None:
        """The host's number of the process that holds the state now; None where there is none or it is not known."""
        return getattr(self._holder.node, "pid", None)

    @property
    def log(self) -> tuple[str, ...]:
        """The cells whose effects this state holds, in order: its portable snapshot."""
        return tuple(done.source for done in self._log)

    async def aexec(self, code: str, *, wall_s: float | None = None, atomic: bool = False) -> Result:
        """As `exec`, without blocking the event loop. Cancelling it does not stop the cell before its deadline."""
        return await self._later(lambda: self.exec(code, wall_s=wall_s, atomic=atomic))

    async def afork(self, n: int = 1, *, tools: Sequence[Tools] | None = None) -> list[Session]:
        """As `fork`."""
        return await self._later(lambda: self.fork(n, tools=tools))

    async def acommit(self, child: Session) -> None:
        """As `commit`."""
        await self._later(lambda: self.commit(child))

    async def adrop(self) -> None:
        """As `drop`."""
        await self._later(self.drop)

    async def aclose(self) -> None:
        """As `close`."""
        await self._later(self.close)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _later(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._source.threads, work)

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

    def _ensure_live(self) -> Result | None:
        """Have a process that holds the state; a Result says why that cannot be."""
        node = self._holder.node
        if node is not None:
            if not node.channel.wait(0.0):
                return None
            ended = node.channel.ended()  # it died while nothing was asked of it, or spoke out of turn
            self._holder.drop()
            if not ended:
                return replace(_without_run(Stop.FORGED, "the state spoke out of turn"), state_lost=True)
        try:
            node = self._source.spawn()
        except SandboxBroken as problem:
            return _without_run(Stop.BROKEN, str(problem))
        spare = self._source.limits.memory_mb - self.limits.memory_mb
        if spare > 0:
            node.cut_memory(spare << 20)
        for done in self._log:
            if not done.came_out(Step(node, done.again(self.limits, self._tools)).run()):
                node.drop()
                return _without_run(Stop.LOST, f"the state was lost and cell {done.number} could not be replayed")
        self._holder.node = node
        return None

    def _run(self, cell: Cell, atomic: bool) -> Result:
        node = self._holder.node
        assert node is not None
        trial = node.fork(1)[0] if atomic else None
        step = Step(trial or node, cell)
        result = step.run()
        self._wall_used += result.seconds
        self._cpu_used += result.cpu_s
        if result.state_lost and trial is not None:
            return replace(result, state_lost=False)  # the fork is lost, the state is not
        if result.state_lost:
            self._holder.node = None
            return result
        if trial is not None:
            self._holder.drop()
            self._holder.node = trial
        self._log.append(Done(cell.number, cell.source, tuple(step.answers), cell.wall_s, result.stop))
        return result

    def _child(self, node: Node | None) -> Session:
        child = Session(self._source, self.limits, self._tools, node)
        child._log, child._number = list(self._log), self._number
        child._wall_used, child._cpu_used = self._wall_used, self._cpu_used
        self._kids.add(child)
        return child


class _Holder:
    """Owns the node apart from the session, so that a finalizer can end it."""

    def __init__(self, node: Node | None) -> None:
        self.node = node

    def drop(self) -> None:
        node, self.node = self.node, None
        if node is not None:
            node.drop()


def _without_run(stop: Stop, why: str) -> Result:
    kind = {Stop.TIMEOUT: "TimeoutError", Stop.CPU: "TimeoutError"}.get(stop, "SandboxFailure")
    return Result(error=Error(kind, why, None, f"{kind}: {why}"), stop=stop)
