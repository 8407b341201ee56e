"""Drawing bodies from archetypes: ranges of numbers around a known animal, and blends of two animals."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from anyrig.creatures.plans import Rest

BLENDED = 0.2  # the share of creatures that are between two archetypes
Range = tuple[float, float]


@dataclass(frozen=True)
class Archetype:
    """Names for an animal, its numbers as ranges, and its words (the choices that are no numbers)."""

    nouns: tuple[str, ...]
    numbers: Mapping[str, Range]
    words: Mapping[str, str]


@dataclass(frozen=True)
class Body:
    """One draw: ``noun``, numbers by name (degrees where they are angles) and words by name."""

    noun: str
    numbers: Mapping[str, float]
    words: Mapping[str, str]

    def __getitem__(self, name: str) -> float:
        return self.numbers.get(name, 0.0)

    def count(self, name: str) -> int:
        """A number as a count."""
        return round(self.numbers.get(name, 0.0))

    def angle(self, name: str) -> float:
        """An angle in radians."""
        return math.radians(self.numbers.get(name, 0.0))

    def likely(self, name: str, rng: random.Random) -> bool:
        """A coin thrown with the probability ``name``."""
        return rng.random() < self.numbers.get(name, 0.0)


def body(archetypes: tuple[Archetype, ...], generic: tuple[str, ...], rng: random.Random) -> Body:
    """A draw from one archetype, or between two of them, which then has a ``generic`` noun and one's words."""
    one = rng.choice(archetypes)
    numbers = _drawn(one, rng)
    if rng.random() >= BLENDED or len(archetypes) < 2:
        return Body(rng.choice(one.nouns), numbers, one.words)
    other = _drawn(rng.choice([a for a in archetypes if a is not one]), rng)
    mix = rng.uniform(0.25, 0.6)
    blend = {name: _between(name, numbers.get(name, 0.0), other.get(name, 0.0), mix) for name in numbers}
    return Body(rng.choice(generic), blend, one.words)


def _between(name: str, a: float, b: float, mix: float) -> float:
    if name == "size":  # sizes span orders of magnitude
        return math.exp((1 - mix) * math.log(a) + mix * math.log(b))
    return (1 - mix) * a + mix * b


def _drawn(archetype: Archetype, rng: random.Random) -> dict[str, float]:
    numbers = {}
    for name, (low, high) in archetype.numbers.items():
        numbers[name] = (
            math.exp(rng.uniform(math.log(low), math.log(high))) if name == "size" else rng.uniform(low, high)
        )
    return numbers


def rest(rng: random.Random, *, arms: float = 0.0, fold: bool = False) -> Rest:
    """A rest pose as rigs come: most near the natural pose, in the world's axes or along the bones.

    ``arms`` is how far (radians) a T pose would raise the arms; ``fold`` whether wings may rest folded.
    """
    ground = rng.random() < 0.3
    return Rest(
        arms=arms * rng.choice((0.0, 0.5, 1.0, 1.0)),
        wings=rng.choice((0.0, 0.0, 0.3, 1.0)) if fold else 0.0,
        legs=rng.choice((0.0, 0.0, 0.0, rng.uniform(0.2, 0.7))),
        level=rng.choice((0.0, 0.0, rng.uniform(0.3, 1.0))),
        frame=rng.choice(("world", "world", "y", "x")),
        ground=ground,
        armature=ground and rng.random() < 0.4,
        tips=rng.random() < 0.7,
        tail_first=rng.random() < 0.35,
    )


def ramp(*degrees: float) -> tuple[float, ...]:
    """Angles in radians."""
    return tuple(math.radians(d) for d in degrees)
