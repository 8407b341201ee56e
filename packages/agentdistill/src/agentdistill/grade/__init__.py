"""Scorers: functions ``(prediction, answer, aliases) -> Score | bool``, named by a problem's ``kind``."""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill import registry
from agentdistill.types import Score


def grade(kind: str, prediction: str | None, answer: str, aliases: Sequence[str] = ()) -> Score:
    """The verdict of the scorer called ``kind`` on ``prediction``, against ``answer`` or any of ``aliases``.

    Raises UserError for a scorer that does not exist, and InfrastructureError where a scorer's helper cannot start.

    >>> grade("short", "The Eiffel Tower.", "Eiffel tower").correct
    True
    """
    score = registry.load("scorers", kind)
    if prediction is None:
        return Score(correct=False, extracted="", grader=kind, reason="no answer")
    verdict = score(prediction, answer, tuple(aliases))
    return verdict if isinstance(verdict, Score) else Score(bool(verdict), prediction, kind)
