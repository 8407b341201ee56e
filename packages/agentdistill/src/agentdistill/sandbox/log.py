"""The log of a session: the cells whose effects its state holds, what a replay needs of each, and the log as a file."""

from __future__ import annotations

import json
import os
import re
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .step import Cell, Tools
from .types import Limits, Result, SavedStateError, Stop

# A replay must succeed on a machine that is slower now than when the cell ran.
REPLAY_S, REPLAY_TIMES, REPLAY_GRACE_S = 30.0, 4, 10.0
REPLAY_MOST_S = 1e5  # whatever a file says; what waits for a process takes no more
FORMAT = 1
_ADDRESS = re.compile(r"\b0x[0-9a-f]+")
_CUT = {Stop.TIMEOUT, Stop.OUTPUT, Stop.MEMORY}


@dataclass(frozen=True)
class Done:
    """One executed cell: enough to replay it without the host's tools, and to see whether a replay shows the same."""

    number: int
    source: str
    answers: tuple[tuple[bool, str], ...]
    wall_s: float
    stop: Stop
    shown: int

    def replay(self, limits: Limits, tools: Tools) -> Cell:
        """The cell to replay, with more time than it had, for a slower machine, unless its deadline ended it."""
        wall = self.wall_s if self.stop is Stop.TIMEOUT else max(REPLAY_S, REPLAY_TIMES * self.wall_s)
        wall = min(wall, REPLAY_MOST_S)
        # A short cell may have left more files than allowed, not counted yet: only the next long one is ended for it.
        scratch = REPLAY_TIMES * limits.scratch_mb << 20
        return Cell(self.source, self.number, limits, tools, wall, None, scratch, self.answers, REPLAY_GRACE_S)

    def matches(self, result: Result) -> bool:
        """Whether a replay ended as the cell did, as far as it affects the state."""
        return not result.state_lost and (result.stop == self.stop or not {result.stop, self.stop} & _CUT)

    def differs(self, result: Result) -> bool:
        """Whether a replay shows something else than the cell did. Where a deadline cuts a cell, nobody can say."""
        return self.stop not in _CUT and self.shown != checksum(result)


def checksum(result: Result) -> int:
    """Of what a cell shows: output, value, answer and error. Addresses in it do not count."""
    error = result.error.message if result.error is not None else ""
    text = "\0".join((result.output, result.value or "", result.final_answer or "", error))
    if "0x" in text:
        text = _ADDRESS.sub("0x", text)
    return zlib.crc32(text.encode(errors="replace"))


@dataclass(frozen=True)
class Log:
    """What is saved of a session: its cells, how many were begun, time used, and what a replay needs besides."""

    cells: tuple[Done, ...]
    number: int
    wall_used: float
    cpu_used: float
    seed: int
    tools: tuple[str, ...]


def write_log(path: str | os.PathLike[str], log: Log) -> None:
    """Write the log as JSON, whole or not at all. Raises OSError."""
    to, new = Path(path), Path(f"{path}.new")
    new.write_text(json.dumps({"format": FORMAT, **asdict(log)}) + "\n", encoding="ascii")
    new.replace(to)


def read_log(path: str | os.PathLike[str]) -> Log:
    """The log in a file. Nothing of it is run or unpickled. Raises SavedStateError, also for a torn file."""
    try:
        found = json.loads(Path(path).read_bytes())
        if (version := found.pop("format")) != FORMAT:
            raise ValueError(f"format {version!r}, where this version reads {FORMAT}")
        cells = tuple(_cell(**cell) for cell in found.pop("cells"))
        return _checked(Log(cells=cells, tools=tuple(found.pop("tools")), **found))
    except OSError as problem:
        raise SavedStateError(f"{path}: {problem.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise SavedStateError(f"{path}: torn, or no saved state of a session ({problem})") from None


def _cell(answers: list[tuple[bool, str]], stop: str, **rest: Any) -> Done:
    return Done(answers=tuple((ok, text) for ok, text in answers), stop=Stop(stop), **rest)


def _checked(log: Log) -> Log:
    """The log, if every value has its type: a number of the order to a process, a text that can be sent to it."""
    numbers = [log.number, log.seed, *(n for c in log.cells for n in (c.number, c.shown))]
    seconds = [log.wall_used, log.cpu_used, *(c.wall_s for c in log.cells)]
    sent = [*log.tools, *(text for c in log.cells for _, text in c.answers)]
    flags = [ok for c in log.cells for ok, _ in c.answers]
    if not all(type(n) is int and 0 <= n < 1 << 32 for n in numbers):
        raise ValueError("a number is none, or out of range")
    if not all(type(s) in (int, float) and s >= 0 for s in seconds):
        raise ValueError("a time is none, or out of range")
    if not all(type(t) is str for t in (*sent, *(c.source for c in log.cells))) or not all(
        type(f) is bool for f in flags
    ):
        raise ValueError("a text or a flag is none")
    "\n".join(sent).encode()  # a source may be no valid Unicode: then the cell was a SyntaxError
    return log
