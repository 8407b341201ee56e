"""Swimmers: fish and eels that beat the tail sideways, dolphins and whales that beat it up and down, and rays."""

from __future__ import annotations

import math
import random

from anyrig.creatures.builds._ranges import Archetype, body, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Fins, Head, Plan, Trunk, Wings

# size: length from nose to tail in metres; deep: half the body's height relative to it.
_ARCHETYPES = (
    Archetype(
        ("fish", "goldfish", "perch", "trout"),
        {"size": (0.1, 0.9), "deep": (0.11, 0.17), "head": (0.2, 0.26), "spine_n": (3, 7), "fin": (0.1, 0.16),
         "fin_n": (1, 2), "dorsal": (1, 1), "pelvic": (0.5, 0.5), "jaw": (0.5, 0.5)},
        {"tail": "lobes"},
    ),
    Archetype(
        ("shark", "tuna", "barracuda"),
        {"size": (0.9, 5.0), "deep": (0.08, 0.11), "head": (0.2, 0.25), "spine_n": (4, 8), "fin": (0.16, 0.22),
         "fin_n": (1, 2), "dorsal": (1, 1), "pelvic": (0.7, 0.7), "jaw": (0.9, 0.9)},
        {"tail": "lobes"},
    ),
    Archetype(
        ("eel", "moray", "sea serpent"),
        {"size": (0.5, 6.0), "deep": (0.03, 0.05), "head": (0.09, 0.12), "spine_n": (10, 18), "fin": (0.04, 0.06),
         "fin_n": (1, 1), "pelvic": (0, 0), "jaw": (0.8, 0.8)},
        {"tail": "none", "habit": "eel"},
    ),
    Archetype(
        ("dolphin", "orca", "porpoise"),
        {"size": (1.2, 6.0), "deep": (0.1, 0.13), "head": (0.2, 0.25), "spine_n": (4, 7), "fin": (0.15, 0.2),
         "fin_n": (1, 3), "dorsal": (1, 1), "jaw": (0.7, 0.7)},
        {"tail": "flukes", "habit": "vertical"},
    ),
    Archetype(
        ("whale", "humpback whale"),
        {"size": (5.0, 16.0), "deep": (0.1, 0.14), "head": (0.26, 0.32), "spine_n": (4, 7), "fin": (0.18, 0.3),
         "fin_n": (2, 3), "dorsal": (0.4, 0.6), "jaw": (0.7, 0.7)},
        {"tail": "flukes", "habit": "vertical"},
    ),
    Archetype(
        ("manta ray", "stingray", "ray"),
        {"size": (0.6, 4.0), "deep": (0.05, 0.07), "head": (0.16, 0.2), "spine_n": (4, 7), "span": (0.5, 0.75)},
        {"tail": "none", "habit": "rays"},
    ),
)  # fmt: skip
_GENERIC = ("swimmer", "sea creature", "aquatic animal")


def draw(rng: random.Random) -> Plan:
    """A random swimmer."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    length = b["size"]
    deep = b["deep"] * length
    habit = b.words.get("habit", "lateral")
    rays = habit == "rays"
    fins = Fins(
        pectoral=0 if rays else max(1, b.count("fin_n")),
        length=b["fin"] * length,
        dorsal=b.count("dorsal"),
        pelvic=b.likely("pelvic", rng),
        tail=b.words["tail"],
    )
    return Plan(
        kind="fish",
        noun=b.noun,
        size=length,
        mass=1000.0 * length * 1.6 * deep**2,
        trunk=Trunk(
            n=max(3, b.count("spine_n")),
            length=length * (1 - b["head"]),
            pitch=0.0,
            height=deep * 1.5 + (0.0 if b.words["tail"] != "lobes" else 0.06 * length),
            root=rng.choice(("centre", "front", "front")),
            flex=0.4 if habit == "vertical" else 0.8,
        ),
        head=Head(b["head"] * length, 0.0, b.likely("jaw", rng)),
        wings=_ray_wings(b["span"] * length, rng) if rays else None,
        fins=fins,
        naming=naming(rng),
        rest=rest(rng),
        habits=frozenset({habit}),
    )


def _ray_wings(span: float, rng: random.Random) -> Wings:
    n = rng.choice((2, 3, 3))
    weights = [math.pow(0.85, k) for k in range(n)]
    return Wings(at=0.75, spread=0.1 * span, rise=0.0, lengths=tuple(span * w / sum(weights) for w in weights))
