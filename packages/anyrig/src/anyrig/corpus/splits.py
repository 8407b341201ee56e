"""Which creatures and actions are for teaching, and which are kept for the test.

Bodies are numbered; a body's number and split make its seed, so that no body of one split is in the other. Some kinds
are never taught, and some pairs of kind and action are not, though both are with others.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

from anyrig import creatures
from anyrig.errors import SettingsError

HELD_OUT_KINDS = ("dragon",)
"""Species that are never taught."""
HELD_OUT_PAIRS = (("biped", "jump"), ("bird", "crouch"), ("hexapod", "run"), ("quadruped", "sneak"))
"""Pairs of kind and action that are never taught."""
SPLITS = ("train", "valid", "test")


def seed_of(*parts: object) -> int:
    """A seed that hangs on nothing but ``parts``: the same on every machine and in every order."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


@dataclass(frozen=True, slots=True)
class Selection:
    """What to draw from: ``kinds`` (all but the held-out ones where empty) of a split, by the numbers of their bodies.
    Held-out pairs of kind and action are drawn outside ``"train"`` only.
    """

    split: str = "train"
    kinds: tuple[str, ...] = ()
    seed: int = 0
    bodies: int = 100_000

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise SettingsError(f"a split is one of {', '.join(SPLITS)}, not {self.split!r}")
        unknown = [k for k in self.kinds if k not in creatures.kinds()]
        if unknown:
            raise SettingsError(f"no kind is called {unknown[0]!r}; there are: {', '.join(creatures.kinds())}")

    def body(self, kind: str, number: int) -> creatures.Plan:
        """A body of the split."""
        return creatures.plan(kind, random.Random(seed_of("body", self.split, kind, number)))

    def drawn_kinds(self) -> tuple[str, ...]:
        """The kinds to draw from."""
        return self.kinds or tuple(k for k in creatures.kinds() if k not in HELD_OUT_KINDS)

    def actions(self, plan: creatures.Plan) -> tuple[str, ...]:
        """What ``plan`` can do and may, in this split."""
        able = creatures.actions(plan)
        return able if self.split != "train" else tuple(a for a in able if not held_out(plan.kind, a, ("pair",)))


def held_out(kind: str, action: str, why: Iterable[str] = ("kind", "pair")) -> bool:
    """Whether a creature of ``kind`` that does ``action`` is kept from teaching."""
    return ("kind" in why and kind in HELD_OUT_KINDS) or ("pair" in why and (kind, action) in HELD_OUT_PAIRS)
