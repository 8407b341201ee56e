"""Every step had a code block that parsed. A step whose code raised is kept: the recovery is worth learning."""

from agentdistill.types import PARSE_ERRORS, Trace


def keep(trace: Trace) -> bool:
    """Whether no step of the trace failed to parse."""
    return not any(step.status in PARSE_ERRORS for step in trace.steps)
