"""Drive one cell on one node: order, tool calls, reply, by one deadline that only the host keeps.

What comes in on the channel was written by hostile code, and so were the arguments of a tool: this module guarantees
their shape, and the tool has to treat them as such.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .inside import wire
from .types import Error, Limits, Result, Stop

Tools = Mapping[str, Callable[..., Any]]
LOOK_S = 0.1  # between checks of a long cell's scratch folder
GRACE_S = 0.15  # between the soft deadline, which keeps the state, and the kill, which does not
_STOPS = tuple(Stop(name) for name in wire.STOPS)


class Gone(Exception):
    """The other side closed the channel or died."""


class ChannelTimeout(Exception):
    """The deadline passed with no whole frame."""


class Oversize(Exception):
    """The frame announced is longer than allowed."""


class Channel(Protocol):
    """Frames to and from one node. `deadline` is in time.monotonic() seconds."""

    def send(self, frame: bytes, deadline: float) -> None:
        """All of it; raises Gone or ChannelTimeout."""

    def wait(self, deadline: float) -> bool:
        """True once something of a frame, or the end, has arrived; False if the deadline came first."""

    def receive(self, deadline: float, most: int) -> tuple[int, list[bytes]]:
        """Kind and fields of the next frame; raises Gone, ChannelTimeout, Oversize or wire.Malformed."""

    def ended(self) -> bool:
        """True if the other side is gone and left nothing to read."""

    def close(self) -> None:
        """Give up the descriptors."""


@dataclass(frozen=True)
class Death:
    """How a node ended, from its parent: model code cannot forge it."""

    reason: str = "the process ended"
    cpu_s: float = 0.0
    peak_memory: int = 0
    by_cpu_limit: bool = False


class NodeHandle:
    """One live state, seen from the host. These methods are enough for a node that can only run cells."""

    channel: Channel
    pid: int | None = None

    def wake(self) -> None:
        """Let it run."""

    def rest(self) -> None:
        """Stop it until the next order."""

    def kill(self) -> Death:
        """End it; returns once nothing of it is left. Harmless when it is dead already."""
        raise NotImplementedError

    def drop(self) -> None:
        """As `kill`, without waiting for the end of it where that is possible."""
        self.kill()

    def cpu(self) -> float | None:
        """CPU seconds so far by the kernel's count; None where the platform does not tell."""
        return None

    def cut_memory(self, by: int) -> None:
        """Lower the limit on its address space by so many bytes."""

    def scratch(self) -> int:
        """Bytes of scratch in use; 0 where they are not counted."""
        return 0

    def fork(self, n: int) -> Sequence[NodeHandle | None]:
        """`n` copies of the state as new nodes; None in place of one that failed."""
        return [None] * n


@dataclass(frozen=True)
class Cell:
    """One order: the code and everything it may use. `recorded`: in a replay, the answers of its
    tools, which are then not called."""

    source: str
    number: int
    limits: Limits
    tools: Tools
    wall_s: float
    cpu_s: float | None
    scratch_bytes: int
    recorded: tuple[tuple[bool, str], ...] | None = None
    grace_s: float = GRACE_S


class _Over(Exception):
    """A limit that the host enforces was passed. Arguments: the stop and the reason."""


@dataclass
class CellRun:
    """Runs one cell. `answers` holds the answers of its tools, for the log."""

    node: NodeHandle
    cell: Cell
    answers: list[tuple[bool, str]] = field(default_factory=list)
    _began: float = 0.0
    _in_tools: float = 0.0
    _cpu_before: float | None = None

    def run(self) -> Result:
        """The outcome; kills the node whenever it cannot be trusted to be idle afterwards."""
        self._began = time.monotonic()
        self._cpu_before = self.node.cpu()
        try:
            source = self.cell.source.encode()
        except UnicodeEncodeError:
            error = Error.of("SyntaxError", "the code is not valid Unicode")
            return Result(error=error, stop=Stop.ERROR, seconds=self._seconds())
        try:
            self._send(source)
            self.node.wake()
            result = self._converse()
            self.node.rest()
            if self._seconds() > LOOK_S / 2:
                self._check_scratch()
            return result
        except (ChannelTimeout, TimeoutError):
            return self._killed(Stop.TIMEOUT, _late(self.cell))
        except Gone:
            return self._killed(Stop.CRASH, "")
        except Oversize:
            return self._killed(Stop.FORGED, "the reply is longer than allowed")
        except wire.Malformed as problem:
            return self._killed(Stop.FORGED, f"the reply is malformed: {problem}")
        except _Over as limit:
            return self._killed(*limit.args)

    def _send(self, source: bytes) -> None:
        # The node itself keeps the soft deadline, which ends ordinary code without losing the state; we the hard one.
        order = wire.ORDER.pack(self.cell.number, self.cell.wall_s, self.cell.limits.output_chars)
        names = "\n".join(self.cell.tools).encode()
        self.node.channel.send(wire.pack(wire.EXEC, [order, source, names]), self._deadline())

    def _deadline(self) -> float:
        return self._began + self.cell.wall_s + self.cell.grace_s + self._in_tools

    def _converse(self) -> Result:
        most = max(4 * 6 * self.cell.limits.output_chars + 4096, wire.MAX_JSON + 64 if self.cell.tools else 0)
        while True:
            kind, fields = self._receive(most)
            if kind == wire.REPLY:
                return self._result(fields)
            if kind != wire.CALL or len(fields) != 2:
                raise wire.Malformed(f"frame of kind {kind}")
            self._answer(wire.decode(fields[0]), fields[1])

    def _receive(self, most: int) -> tuple[int, list[bytes]]:
        """The next frame; meanwhile checks CPU time and scratch, which the node cannot be trusted to report."""
        deadline, look = self._deadline(), time.monotonic() + LOOK_S
        while not self.node.channel.wait(min(deadline, look, self._cpu_deadline())):
            now = time.monotonic()
            if now >= deadline:
                raise ChannelTimeout
            if now >= self._cpu_deadline():
                raise _Over(Stop.CPU, f"the cell used more than {self.cell.cpu_s:g} s of CPU")
            if now >= look:
                self._check_scratch()
                look = now + LOOK_S
        return self.node.channel.receive(deadline, most)

    def _cpu_deadline(self) -> float:
        # CPU time does not grow faster than wall time, so nothing is missed by sleeping what is left of it.
        if self.cell.cpu_s is None or self._cpu_before is None:
            return float("inf")
        return time.monotonic() + self.cell.cpu_s - self._cpu_used()

    def _check_scratch(self) -> None:
        if self.node.scratch() > self.cell.scratch_bytes:
            raise _Over(Stop.SCRATCH, f"the state's files take more than {self.cell.limits.scratch_mb} MB")

    def _cpu_used(self) -> float:
        now = self.node.cpu()
        return 0.0 if now is None or self._cpu_before is None else now - self._cpu_before

    def _answer(self, name: str, asked: bytes) -> None:
        limits, n = self.cell.limits, len(self.answers)
        if n >= limits.n_tool_calls:
            raise _Over(Stop.TOOLS, f"the cell made more than {limits.n_tool_calls} tool calls")
        began = time.monotonic()
        recorded = self.cell.recorded
        if recorded is None:
            ok, text = call_tool(self.cell.tools, name, asked, limits.tool_s)
        else:
            ok, text = recorded[n] if n < len(recorded) else (False, json.dumps("not called when the cell first ran"))
        self.answers.append((ok, text))
        self._in_tools += time.monotonic() - began
        frame = wire.pack(wire.ANSWER, [b"ok" if ok else b"error", text.encode()])
        self.node.channel.send(frame, self._deadline())

    def _result(self, fields: list[bytes]) -> Result:
        if len(fields) != 7 or len(fields[0]) != wire.VERDICT.size:
            raise wire.Malformed("a reply of another shape")
        code, flags, line, cpu, peak = wire.VERDICT.unpack(fields[0])
        if code >= len(wire.STOPS) or not 0 <= cpu < 1e9:
            raise wire.Malformed("a reply out of range")
        limit = self.cell.limits.output_chars
        texts = [wire.decode(part)[: limit + 16] if part else "" for part in fields[1:]]
        output, value, final, kind, message, text = texts
        stop, error = _STOPS[code], None
        if flags & wire.HAS_ERROR:
            error = Error(kind, message, line if flags & wire.HAS_LINE else None, text)
        elif stop is Stop.TIMEOUT:
            error = Error.of("TimeoutError", _late(self.cell))
        elif stop is Stop.OUTPUT:
            error = Error.of("OutputLimit", f"the cell printed far more than {limit} characters")
        return Result(
            output=output,
            value=value if flags & wire.HAS_VALUE else None,
            error=error,
            stop=stop,
            final_answer=final if flags & wire.IS_FINAL else None,
            seconds=self._seconds(),
            cpu_s=cpu if self._cpu_before is None else self._cpu_used(),
            peak_memory=peak,
            truncated=bool(flags & wire.TRUNCATED),
        )

    def _seconds(self) -> float:
        return time.monotonic() - self._began - self._in_tools

    def _killed(self, stop: Stop, why: str) -> Result:
        seconds = self._seconds()
        death = self.node.kill()
        if stop is Stop.CRASH and death.by_cpu_limit:
            stop, why = Stop.CPU, "the session used up its CPU seconds"
        kind = {Stop.TIMEOUT: "TimeoutError", Stop.FORGED: "ProtocolError"}.get(stop, "ProcessLost")
        return Result(
            error=Error.of(kind, why or death.reason),
            stop=stop,
            seconds=seconds,
            cpu_s=max(0.0, death.cpu_s - (self._cpu_before or 0.0)),
            peak_memory=death.peak_memory,
            state_lost=True,
        )


def _late(cell: Cell) -> str:
    return f"the cell ran longer than {cell.wall_s:g} s"


def checked(tools: Tools) -> dict[str, Callable[..., Any]]:
    """A copy of `tools`. Raises ValueError for a name model code could not call."""
    for name, tool in tools.items():
        if not name.isidentifier() or not callable(tool):
            raise ValueError(f"tools[{name!r}] must be a callable under a name that is an identifier")
    return dict(tools)


def call_tool(tools: Tools, name: str, asked: bytes, limit_s: float) -> tuple[bool, str]:
    """Run one call from model code on a thread of its own: (ok, JSON text). Never raises, and leaves a late tool."""
    tool = tools.get(name)
    if tool is None:
        return False, json.dumps(f"no tool named {name!r}")
    try:
        args, kwargs = json.loads(asked)
        args, kwargs = list(args), {str(key): value for key, value in kwargs.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False, json.dumps("the arguments are not JSON")
    answers: list[tuple[bool, str]] = []

    def work() -> None:
        try:
            value = tool(*args, **kwargs)
            if inspect.isawaitable(value):
                value = asyncio.run(_within(value, limit_s))
            text = json.dumps(value)
            if len(text) > wire.MAX_JSON:
                raise ValueError(f"the result is longer than {wire.MAX_JSON} bytes")
            answers.append((True, text))
        except BaseException as problem:  # goes to the model, not to the host
            answers.append((False, json.dumps(f"{type(problem).__name__}: {problem}"[:10_000])))

    # A daemon thread: a tool that hangs must not keep the host from exiting.
    thread = threading.Thread(target=work, name="sandbox-tool", daemon=True)
    thread.start()
    thread.join(limit_s)
    return answers[0] if answers else (False, json.dumps(f"{name} took longer than {limit_s:g} s"))


async def _within(value: Any, limit_s: float) -> Any:
    return await asyncio.wait_for(value, limit_s)
