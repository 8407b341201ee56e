"""Actions: one file each, found by its name. ``act(name, motion, rng)`` asks ``actions/<name>.py``.

An action's module holds ``able(plan) -> bool``, whether a body can do it, and ``act(motion, rng) -> Telling``, which
fills the motion and says what it did; adding one is adding that file.
"""

from __future__ import annotations

import pkgutil
import random
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan

__all__ = ["able", "act", "names"]


class _Action(Protocol):
    def able(self, plan: Plan) -> bool:
        """Whether a body can do it."""

    def act(self, motion: Motion, rng: random.Random) -> Telling:
        """Fills ``motion``; returns what there is to say of it."""


@cache
def names() -> tuple[str, ...]:
    """All actions, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def able(name: str, plan: Plan) -> bool:
    """Whether the action ``name`` is one for the body ``plan``."""
    return _action(name).able(plan)


def act(name: str, motion: Motion, rng: random.Random) -> Telling:
    """Fills ``motion`` with the action ``name``."""
    return _action(name).act(motion, rng)


@cache
def _action(name: str) -> _Action:
    return cast(_Action, import_module(f"anyrig.creatures.actions.{name}"))
