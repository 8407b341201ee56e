"""Limits, results and errors of the sandbox.

    SandboxError
    ├── SandboxUnavailable   this machine does not offer the mode, or only a weak one that was not asked for
    ├── SandboxClosed        a closed Sandbox or a dropped Session was used: a programming error
    ├── SandboxBroken        the broker could not be started
    └── SavedStateError      a saved state cannot be read, or not be restored here

What model code does is never an exception: it is a `Result` whose `stop` says what ended the cell.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SandboxError(Exception):
    """Base of the errors raised to the owner of a sandbox."""


class SandboxUnavailable(SandboxError):
    """The mode is not available here. The message names what is missing and what to do."""


class SandboxClosed(SandboxError):
    """The Sandbox was closed, or the Session dropped or committed, before this call."""


class SandboxBroken(SandboxError):
    """The broker or its template did not start, or died while starting."""


class SavedStateError(SandboxError):
    """A file is no saved state, is torn, or does not fit the sandbox; or its cells cannot be replayed there."""


class Stop(enum.StrEnum):
    """What ended a cell. `Result.state_lost` says whether the state outlived it."""

    OK = "ok"  # ran to its end, or called final_answer
    ERROR = "error"  # an ordinary exception, SystemExit included
    TIMEOUT = "timeout"  # wall clock of the step, or what was left of the session's
    CPU = "cpu"  # CPU seconds of the step, or what was left of the session's
    MEMORY = "memory"  # MemoryError inside, or killed for memory
    OUTPUT = "output"  # far more output than the limit: the cell was ended, not just cut
    SCRATCH = "scratch"  # scratch space used up (where the kernel does not refuse the write by itself)
    TOOLS = "tools"  # more tool calls than allowed
    CRASH = "crash"  # the process died: signal, os._exit, forbidden architecture
    FORGED = "forged"  # the reply broke the protocol: too long, malformed, out of turn
    LOST = "lost"  # the state was gone before the cell began and could not be rebuilt
    BROKEN = "broken"  # the sandbox itself failed; nothing is known of the cell


@dataclass(frozen=True, slots=True)
class Error:
    """An exception of the model's code. `line` and the traceback count lines in the model's own cell, from 1."""

    type: str
    message: str
    line: int | None
    traceback: str

    @classmethod
    def of(cls, kind: str, message: str) -> Error:
        """An error that has no line: what the sandbox itself reports."""
        return cls(kind, message, None, f"{kind}: {message}")


@dataclass(frozen=True, slots=True)
class Result:
    """What one cell gave. All text fields were written by untrusted code: data to show, never to trust or to grade by.

    output: what was printed (stdout and stderr in order), cut at `Limits.output_chars` (then `truncated`)
    value: the last statement as Python shows it (2.0, not np.float64(2.0)), if it is an expression that is not None
    final_answer: text given to `final_answer(x)`: a str as it is, anything else as `value` is; None if not called
    seconds: wall clock of the cell without the time its tools took; cpu_s: CPU seconds
    peak_memory: largest resident size of the process so far, bytes, shared template pages included (0: unknown)
    state_lost: the process is gone; the next exec starts from the state before this cell, rebuilt from the log
    """

    output: str = ""
    value: str | None = None
    final_answer: str | None = None
    error: Error | None = None
    stop: Stop = Stop.OK
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_memory: int = 0
    truncated: bool = False
    state_lost: bool = False

    @property
    def is_final(self) -> bool:
        """Whether the cell called `final_answer`."""
        return self.final_answer is not None

    @property
    def ok(self) -> bool:
        """True when the cell ran to its end."""
        return self.stop is Stop.OK


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step and a session may use; None: no such limit.

    A session may have tighter limits than its Sandbox; a wider `memory_mb` or `scratch_mb` is cut to the Sandbox's.
    """

    wall_s: float = 10.0  # a step; time spent in tools is not counted
    cpu_s: float | None = None  # a step
    memory_mb: int = 512  # address space above what the template already maps
    output_chars: int = 20_000  # kept of a step's output; also caps value, final answer and traceback
    scratch_mb: int = 64  # files of one state
    n_states: int = 512  # live processes of the whole Sandbox; model code itself may start none
    tool_s: float = 30.0  # one tool call
    n_tool_calls: int = 100  # a step
    session_wall_s: float | None = None  # all steps of a session together
    session_cpu_s: float | None = None  # all steps of a session together

    def __post_init__(self) -> None:
        for name in ("wall_s", "memory_mb", "output_chars", "scratch_mb", "n_states", "tool_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"Limits.{name} must be above 0, not {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Which layers hold in a running Sandbox. `mode` is what they add up to: strict, container or process (weak)."""

    mode: str
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    note: str = ""

    @property
    def weak(self) -> bool:
        """True when model code could reach the files and network of the user who runs it."""
        return self.mode == "process"
