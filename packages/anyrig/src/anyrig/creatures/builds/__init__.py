"""Kinds of creatures: one file each, found by its name. ``draw(kind, rng)`` asks ``builds/<kind>.py``.

A kind's module holds ``draw(rng) -> Plan``; adding one is adding that file.
"""

from __future__ import annotations

import pkgutil
import random
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from anyrig.creatures.plans import Plan
from anyrig.errors import SettingsError

__all__ = ["draw", "kinds"]


class _Build(Protocol):
    def draw(self, rng: random.Random) -> Plan:
        """A random body plan of this kind."""


@cache
def kinds() -> tuple[str, ...]:
    """The kinds of creatures there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def draw(kind: str, rng: random.Random) -> Plan:
    """A random body plan of ``kind``. Raises SettingsError for a kind that there is not."""
    if kind not in kinds():
        raise SettingsError(f'no kind of creature is called "{kind}"; there are: {", ".join(kinds())}')
    return cast(_Build, import_module(f"anyrig.creatures.builds.{kind}")).draw(rng)
