"""What a reader makes of a row: a draft of a trajectory, or the reason why it is left out."""

from __future__ import annotations

from dataclasses import dataclass

from agentdistill.types import Problem, ToolCall

Notes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the model: a thought and code, or a whole chain of thought where ``code`` is None.

    ``observation`` and ``calls`` are what was observed and which tools were called, where that is stored; otherwise
    the code is run.
    """

    thought: str
    code: str | None = None
    observation: str | None = None
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A trajectory before it is put into a style's words. ``notes`` are those of :class:`~agentdistill.types.Trace`.

    ``answer`` is the answer where the turns are not run; a trajectory that is run gives its own.
    """

    problem: Problem
    model: str
    turns: tuple[Turn, ...]
    notes: Notes = ()
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that gives no trajectory. ``reason`` is the same text for all rows of its kind."""

    where: str
    reason: str
