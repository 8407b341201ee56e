"""Graders: one file each, found by its name. ``grade(kind, …)`` asks ``grade/<kind>.py``.

A grader module holds ``grade(prediction, answer, aliases) -> Score``; adding one is adding that file.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from agentdistill.errors import UserError
from agentdistill.types import Score

__all__ = ["Grader", "grade", "kinds"]


class Grader(Protocol):
    """What a grader module is."""

    def grade(self, prediction: str | None, answer: str, aliases: Sequence[str]) -> Score:
        """Judge one prediction; ``None`` means that no answer was given."""


def kinds() -> tuple[str, ...]:
    """The names of the graders there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def grade(kind: str, prediction: str | None, answer: str, aliases: Sequence[str] = ()) -> Score:
    """The verdict of the grader called ``kind`` on ``prediction``, against ``answer`` or any of ``aliases``.

    Raises UserError for a kind that has no grader, and InfrastructureError where a grader's helper cannot start.

    >>> grade("short", "The Eiffel Tower.", "Eiffel tower").correct
    True
    """
    grader = _grader(kind)
    if prediction is None:
        return Score(correct=False, extracted="", grader=kind, reason="no answer")
    return grader.grade(prediction, answer, tuple(aliases))


@cache
def _grader(kind: str) -> Grader:
    if kind not in kinds():
        raise UserError(f'no grader is called "{kind}"; there are: {", ".join(kinds())}')
    return cast(Grader, import_module(f"agentdistill.grade.{kind}"))
