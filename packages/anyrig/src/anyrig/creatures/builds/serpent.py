"""Legless crawlers: snakes, cobras, pythons, worms."""

from __future__ import annotations

import random

from anyrig.creatures.builds._ranges import Archetype, body, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Head, Plan, Trunk

# size: the body's length in metres; thick: its radius relative to that.
_ARCHETYPES = (
    Archetype(
        ("snake", "viper", "adder", "rattlesnake"),
        {"size": (0.5, 1.8), "thick": (0.012, 0.02), "head": (0.045, 0.065), "spine_n": (10, 22), "jaw": (0.7, 0.7)},
        {"habit": "coils"},
    ),
    Archetype(
        ("cobra", "mamba"),
        {"size": (1.0, 3.5), "thick": (0.01, 0.015), "head": (0.035, 0.05), "spine_n": (12, 24), "jaw": (0.7, 0.7)},
        {"habit": "rears"},
    ),
    Archetype(
        ("python", "anaconda", "giant serpent"),
        {"size": (2.5, 9.0), "thick": (0.014, 0.024), "head": (0.035, 0.05), "spine_n": (14, 30), "jaw": (0.8, 0.8)},
        {"habit": "coils"},
    ),
    Archetype(
        ("worm", "giant worm"),
        {"size": (0.3, 6.0), "thick": (0.025, 0.045), "head": (0.06, 0.09), "spine_n": (8, 14), "jaw": (0.2, 0.2)},
        {"habit": "plain"},
    ),
)
_GENERIC = ("serpent", "legless creature", "limbless reptile")


def draw(rng: random.Random) -> Plan:
    """A random serpent."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    length = b["size"]
    thick = b["thick"] * length
    return Plan(
        kind="serpent",
        noun=b.noun,
        size=length,
        mass=1000.0 * length * 3.14 * thick**2,
        trunk=Trunk(
            n=max(8, b.count("spine_n")),
            length=length,
            pitch=0.0,
            height=thick,
            root=rng.choice(("hips", "centre", "centre", "front")),
            flex=1.0,
        ),
        head=Head(length * b["head"], 0.0, b.likely("jaw", rng)),
        naming=naming(rng),
        rest=rest(rng),
        habits=frozenset({b.words["habit"]}),
    )
