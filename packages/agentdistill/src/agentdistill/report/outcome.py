"""What became of one trace, in the words that the report and the terminal share."""

from __future__ import annotations

from enum import StrEnum

from agentdistill.types import EXECUTION_ERRORS, PARSE_ERRORS, End, StepStatus, Trace

PARSE, EXECUTION = "parse", "execution"
ERROR_KINDS = (PARSE, EXECUTION, End.OUT_OF_STEPS.value, End.NO_ANSWER.value, End.OUT_OF_CONTEXT.value)
"""An episode can show several. The first two it may have recovered from; the last three are how it ended."""


class Outcome(StrEnum):
    """The one-word verdict on a trace."""

    RIGHT = "right"
    WRONG = "wrong"
    UNSCORED = "unscored"
    FAULT = "fault"


def outcome(trace: Trace) -> Outcome:
    """``FAULT`` and ``UNSCORED`` never count as wrong: the world failed there, not the model."""
    if trace.end is End.FAULT:
        return Outcome.FAULT
    if trace.score is None:
        return Outcome.UNSCORED
    return Outcome.RIGHT if trace.score.correct else Outcome.WRONG


def step_error(status: StepStatus) -> str | None:
    """``parse`` or ``execution`` for a step that failed, None for one that did not."""
    if status in PARSE_ERRORS:
        return PARSE
    return EXECUTION if status in EXECUTION_ERRORS else None


def error_kinds(trace: Trace) -> tuple[str, ...]:
    """Which of ``ERROR_KINDS`` the episode shows, in that order, each once."""
    seen = {step_error(s.status) for s in trace.steps} | {trace.end.value}
    return tuple(k for k in ERROR_KINDS if k in seen)


def tools_used(trace: Trace) -> tuple[str, ...]:
    """The names of the tools that the episode's code called, each once, in order of first use."""
    return tuple(dict.fromkeys(c.name for s in trace.steps for c in s.tool_calls))
