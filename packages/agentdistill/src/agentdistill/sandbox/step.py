"""Drive one cell on one node: order, tool calls, reply, by one deadline that only the host keeps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from .channel import Channel, Gone, Late, Oversize
from .inside import wire
from .toolbox import MOST, Call, Tools
from .types import Error, Limits, Result, Stop

LOOK_S = 0.1  # between looks at what a long cell keeps in its scratch folder
_STOPS = tuple(Stop(name) for name in wire.STOPS)
GRACE_S = 0.15  # between the soft deadline, which keeps the state, and the kill, which does not


@dataclass(frozen=True)
class Death:
    """How a node ended, as its parent saw it: nothing here can be forged by model code."""

    reason: str = "the process ended"
    cpu_s: float = 0.0
    peak_memory: int = 0
    by_cpu_limit: bool = False


class Node(Protocol):
    """One live state, seen from the host."""

    channel: Channel

    def wake(self) -> None:
        """Let it run."""
        ...

    def rest(self) -> None:
        """Stop it until the next order."""
        ...

    def kill(self) -> Death:
        """End it; returns once nothing of it is left. Harmless when it is dead already."""
        ...

    def cpu(self) -> float | None:
        """CPU seconds so far by the kernel's count; None where the platform does not tell."""
        ...

    def cut_memory(self, by: int) -> None:
        """Lower the limit on its address space by so many bytes."""
        ...

    def scratch(self) -> int:
        """Bytes of scratch in use; 0 where nobody counts."""
        ...

    def drop(self) -> None:
        """As `kill`, without waiting for the end of it."""
        ...

    def fork(self, n: int) -> Sequence[Node | None]:
        """`n` copies of the state as new nodes; None in place of one that could not be had."""
        ...


@dataclass(frozen=True)
class Cell:
    """One order: the code and everything it may use. `recorded`: tool answers to replay instead of calling."""

    source: str
    number: int
    limits: Limits
    tools: Tools
    wall_s: float
    cpu_s: float | None
    recorded: tuple[tuple[bool, str], ...] | None = None
    grace_s: float = GRACE_S
    scratch_bytes: int | None = None  # None: as the limits say


@dataclass
class Step:
    """Carries one cell through. `answers` holds the tool answers given, for the log."""

    node: Node
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
            return self._refused("SyntaxError", "the code is not valid Unicode")
        try:
            self._send(source)
            self.node.wake()
            result = self._converse()
            self.node.rest()
            if self._seconds() > LOOK_S / 2:
                self._check_scratch()
            return result
        except (Late, TimeoutError):
            return self._killed(Stop.TIMEOUT, f"the cell ran longer than {self.cell.wall_s:g} s")
        except Gone:
            return self._killed(Stop.CRASH, "")
        except Oversize:
            return self._killed(Stop.FORGED, "the reply is longer than allowed")
        except wire.Malformed as problem:
            return self._killed(Stop.FORGED, f"the reply is malformed: {problem}")
        except _OverScratch:
            return self._killed(Stop.SCRATCH, f"the state's files take more than {self.cell.limits.scratch_mb} MB")
        except _OverCpu:
            return self._killed(Stop.CPU, f"the cell used more than {self.cell.cpu_s:g} s of CPU")
        except _TooManyCalls:
            return self._killed(Stop.TOOLS, f"the cell made more than {self.cell.limits.n_tool_calls} tool calls")

    def _send(self, source: bytes) -> None:
        # The soft deadline is the node's own: it ends careless code and keeps its state. The hard one is ours.
        order = wire.ORDER.pack(self.cell.number, self.cell.wall_s, self.cell.limits.output_chars)
        names = "\n".join(self.cell.tools).encode()
        self.node.channel.send(wire.pack(wire.EXEC, [order, source, names]), self._deadline())

    def _deadline(self) -> float:
        return self._began + self.cell.wall_s + self.cell.grace_s + self._in_tools

    def _converse(self) -> Result:
        most = max(MOST, 0) + 64 if self.cell.tools else 0
        most = max(most, 4 * 6 * self.cell.limits.output_chars + 4096)
        while True:
            kind, fields = self._receive(most)
            if kind == wire.REPLY:
                return self._result(fields)
            if kind != wire.CALL or len(fields) != 2:
                raise wire.Malformed(f"frame of kind {kind}")
            self._answer(wire.decode(fields[0]), fields[1])

    def _receive(self, most: int) -> tuple[int, list[bytes]]:
        """The next frame; meanwhile looks at CPU time and scratch, which no frame of the node's could be trusted on."""
        deadline, look = self._deadline(), time.monotonic() + LOOK_S
        while not self.node.channel.wait(min(deadline, look, self._cpu_deadline())):
            now = time.monotonic()
            if now >= deadline:
                raise Late
            if now >= self._cpu_deadline():
                raise _OverCpu
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
        most = self.cell.scratch_bytes
        if self.node.scratch() > (self.cell.limits.scratch_mb << 20 if most is None else most):
            raise _OverScratch

    def _cpu_used(self) -> float:
        now = self.node.cpu()
        return 0.0 if now is None or self._cpu_before is None else now - self._cpu_before

    def _answer(self, name: str, asked: bytes) -> None:
        if len(self.answers) >= self.cell.limits.n_tool_calls:
            raise _TooManyCalls
        began = time.monotonic()
        recorded = self.cell.recorded
        if recorded is not None and len(self.answers) < len(recorded):
            ok, text = recorded[len(self.answers)]
        else:
            ok, text = Call(self.cell.tools, name, asked).run(self.cell.limits.tool_s)
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
        error = Error(kind, message, line if flags & wire.HAS_LINE else None, text) if flags & wire.HAS_ERROR else None
        stop = _STOPS[code]
        if error is None and stop in (Stop.TIMEOUT, Stop.OUTPUT):
            error = _stopped(stop, self.cell)
        return Result(
            output=output,
            value=value if flags & wire.HAS_VALUE else None,
            error=error,
            stop=stop,
            final_answer=final if flags & wire.IS_FINAL else None,
            is_final=bool(flags & wire.IS_FINAL),
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
        why = why or death.reason
        kind = {Stop.TIMEOUT: "TimeoutError", Stop.FORGED: "ProtocolError"}.get(stop, "ProcessLost")
        error = Error(kind, why, None, f"{kind}: {why}")
        used = death.cpu_s - (self._cpu_before or 0.0)
        result = Result(error=error, stop=stop, seconds=seconds, cpu_s=max(0.0, used), state_lost=True)
        return replace(result, peak_memory=death.peak_memory)

    def _refused(self, kind: str, why: str) -> Result:
        return Result(error=Error(kind, why, None, f"{kind}: {why}"), stop=Stop.ERROR, seconds=self._seconds())


class _OverCpu(Exception):
    pass


class _OverScratch(Exception):
    pass


class _TooManyCalls(Exception):
    pass


def _stopped(stop: Stop, cell: Cell) -> Error:
    if stop is Stop.TIMEOUT:
        why = f"the cell ran longer than {cell.wall_s:g} s"
        return Error("TimeoutError", why, None, f"TimeoutError: {why}")
    why = f"the cell printed far more than {cell.limits.output_chars} characters"
    return Error("OutputLimit", why, None, f"OutputLimit: {why}")
