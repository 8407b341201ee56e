"""Scorers: functions ``(prediction, answer, aliases) -> Score | bool``, named by a problem's ``kind``."""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill import registry
from agentdistill.errors import UserError
from agentdistill.types import Score


def score(kind: str, prediction: str | None, answer: str, aliases: Sequence[str] = ()) -> Score:
    """The score that the scorer called ``kind`` gives ``prediction``, against ``answer`` or any of ``aliases``.

    Raises UserError for a scorer that does not exist or fails, and InfrastructureError where its helper cannot start.

    >>> score("short", "The Eiffel Tower.", "Eiffel tower").correct
    True
    """
    scorer = registry.load("scorers", kind)
    if prediction is None:
        return Score(correct=False, extracted="", grader=kind, reason="no answer")
    with registry.running("scorers", kind):
        scored = scorer(prediction, answer, tuple(aliases))
    if scored is None:
        raise UserError(f'scorer "{kind}": returned None, and has to return a bool or a Score')
    return scored if isinstance(scored, Score) else Score(bool(scored), prediction, kind)


def may_change(kind: str) -> bool:
    """Whether the scorer comes from outside of this project: its file or package may be another than it was."""
    return registry.fingerprint("scorers", kind) != kind
