"""The episode ended by itself, not by running out of steps or of context."""

from agentdistill.types import End, Trace


def keep(trace: Trace) -> bool:
    """Whether the episode came to an answer within its limits."""
    return trace.end is End.ANSWERED
