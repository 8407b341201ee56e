"""The final answer was graded right. Faults are unscored and never pass."""

from agentdistill.types import Trace


def keep(trace: Trace) -> bool:
    """Whether the trace was scored and is right."""
    return trace.correct is True
