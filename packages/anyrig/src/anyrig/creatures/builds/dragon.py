"""Winged dragons: on four legs, or wyverns on two."""

from __future__ import annotations

import random

from anyrig.creatures.builds._legs import mammal, theropod
from anyrig.creatures.builds._ranges import Archetype, Body, body, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Chain, Head, LegPair, Plan, Trunk, Wings

_ARCHETYPES = (
    Archetype(
        ("dragon", "winged dragon", "fire dragon"),
        {"size": (0.5, 2.6), "trunk": (1.25, 1.6), "neck": (0.9, 1.4), "neck_n": (3, 7), "neck_pitch": (42, 66),
         "head": (0.38, 0.5), "head_pitch": (-20, -4), "tail": (1.7, 2.4), "tail_n": (5, 11), "tail_pitch": (-26, -12),
         "spread": (0.17, 0.23), "flex": (0.5, 0.8), "span": (2.2, 3.2), "spine_n": (3, 5), "jaw": (0.9, 0.9),
         "ears": (0, 1.0), "slope": (-4, 10)},
        {"legs": "four"},
    ),
    Archetype(
        ("wyvern", "two-legged dragon"),
        {"size": (0.6, 2.2), "trunk": (0.85, 1.1), "neck": (0.7, 1.1), "neck_n": (3, 6), "neck_pitch": (45, 66),
         "head": (0.36, 0.46), "head_pitch": (-18, -2), "tail": (1.5, 2.1), "tail_n": (5, 10), "tail_pitch": (-14, 2),
         "spread": (0.14, 0.2), "flex": (0.4, 0.6), "span": (2.0, 2.8), "spine_n": (3, 5), "jaw": (0.9, 0.9),
         "ears": (0, 1.0), "slope": (15, 35)},
        {"legs": "two"},
    ),
    Archetype(
        ("drake", "lindworm", "young dragon"),
        {"size": (0.25, 0.8), "trunk": (1.2, 1.5), "neck": (0.55, 0.8), "neck_n": (2, 4), "neck_pitch": (40, 60),
         "head": (0.45, 0.6), "head_pitch": (-20, -5), "tail": (1.4, 1.9), "tail_n": (4, 8), "tail_pitch": (-26, -10),
         "spread": (0.2, 0.26), "flex": (0.6, 0.9), "span": (1.6, 2.2), "spine_n": (3, 4), "jaw": (0.7, 0.7),
         "ears": (0, 1.4), "slope": (-2, 8)},
        {"legs": "four"},
    ),
)  # fmt: skip
_GENERIC = ("winged reptile", "flying monster", "winged beast")


def draw(rng: random.Random) -> Plan:
    """A random winged dragon."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    height = b["size"]
    trunk, spread = b["trunk"] * height, b["spread"] * height
    four = b.words["legs"] == "four"
    neck = b.angle("neck_pitch")
    return Plan(
        kind="dragon",
        noun=b.noun,
        size=height,
        mass=300.0 * trunk * (2.2 * spread) ** 2,
        trunk=Trunk(
            n=max(2, b.count("spine_n")),
            length=trunk,
            pitch=b.angle("slope") * (0.6 if four else 1.0),
            height=height * 1.04,
            root=rng.choice(("hips", "hips", "centre")),
            flex=b["flex"],
        ),
        legs=_legs(four, spread, height, rng),
        neck=Chain(max(2, b.count("neck_n")), b["neck"] * height, neck * 0.8, neck * 1.15),
        head=Head(b["head"] * height, b.angle("head_pitch"), b.likely("jaw", rng), b.count("ears")),
        tail=Chain(
            max(3, b.count("tail_n")),
            b["tail"] * height,
            -0.3 * abs(b.angle("tail_pitch")),
            b.angle("tail_pitch"),
            0.92,
        ),
        wings=_wings(b, height, spread, rng),
        naming=naming(rng),
        rest=rest(rng, fold=True),
    )


def _legs(four: bool, spread: float, height: float, rng: random.Random) -> tuple[LegPair, ...]:
    if not four:
        return (theropod(at=0.0, spread=spread, drop=0.04 * height, rng=rng, home=rng.uniform(0.12, 0.22)),)
    posture = rng.choice(("digitigrade", "digitigrade", "plantigrade"))
    return (
        mammal(posture, front=True, at=1.0, spread=spread, drop=0.12 * height, rng=rng),
        mammal(posture, front=False, at=0.0, spread=spread, drop=0.04 * height, rng=rng),
    )


def _wings(b: Body, height: float, spread: float, rng: random.Random) -> Wings:
    span = b["span"] * height
    fingers = rng.choice((0, 0, 2, 3))
    shares = (0.24, 0.32, 0.44) if rng.random() < 0.75 else (0.2, 0.26, 0.28, 0.26)
    return Wings(
        at=rng.uniform(0.78, 0.95),
        spread=spread * 0.8,
        rise=0.12 * height,
        lengths=tuple(s * span for s in shares),
        fingers=fingers,
        finger_joints=rng.choice((1, 2)),
    )
