"""Birds that fly: sparrows to eagles, ducks, gulls and herons."""

from __future__ import annotations

import random

from anyrig.creatures.builds._legs import theropod
from anyrig.creatures.builds._ranges import Archetype, Body, body, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Chain, Head, Plan, Trunk, Wings

# size: height of the hips; span: half the wing span; lengths relative to the hips' height.
_ARCHETYPES = (
    Archetype(
        ("sparrow", "robin", "finch", "songbird"),
        {"size": (0.05, 0.12), "trunk": (1.0, 1.3), "pitch": (25, 42), "neck": (0.35, 0.5), "neck_n": (1, 2),
         "neck_pitch": (50, 70), "head": (0.45, 0.6), "head_pitch": (-12, 2), "tail": (0.9, 1.3),
         "tail_pitch": (-22, -5), "tail_n": (1, 2), "span": (2.1, 2.6), "spread": (0.2, 0.26), "jaw": (0.3, 0.3)},
        {"gait": "hops"},
    ),
    Archetype(
        ("crow", "raven", "pigeon", "magpie"),
        {"size": (0.1, 0.22), "trunk": (0.95, 1.2), "pitch": (18, 35), "neck": (0.4, 0.55), "neck_n": (1, 3),
         "neck_pitch": (52, 70), "head": (0.45, 0.55), "head_pitch": (-14, 0), "tail": (0.8, 1.1),
         "tail_pitch": (-18, -5), "tail_n": (1, 2), "span": (2.4, 3.0), "spread": (0.2, 0.26), "jaw": (0.4, 0.4)},
        {},
    ),
    Archetype(
        ("eagle", "hawk", "falcon", "owl"),
        {"size": (0.18, 0.4), "trunk": (0.95, 1.2), "pitch": (35, 55), "neck": (0.3, 0.42), "neck_n": (1, 2),
         "neck_pitch": (58, 76), "head": (0.38, 0.48), "head_pitch": (-20, -5), "tail": (0.7, 1.0),
         "tail_pitch": (-38, -22), "tail_n": (1, 2), "span": (2.9, 3.6), "spread": (0.2, 0.28), "jaw": (0.5, 0.5)},
        {},
    ),
    Archetype(
        ("duck", "goose", "gull", "swan"),
        {"size": (0.1, 0.3), "trunk": (1.2, 1.5), "pitch": (4, 18), "neck": (0.6, 1.2), "neck_n": (2, 5),
         "neck_pitch": (60, 82), "head": (0.5, 0.6), "head_pitch": (-10, 0), "tail": (0.35, 0.5),
         "tail_pitch": (-5, 12), "tail_n": (1, 1), "span": (2.4, 3.2), "spread": (0.24, 0.32), "jaw": (0.4, 0.4)},
        {},
    ),
    Archetype(
        ("heron", "crane", "stork", "flamingo"),
        {"size": (0.4, 0.8), "trunk": (0.6, 0.75), "pitch": (15, 35), "neck": (0.75, 1.05), "neck_n": (3, 6),
         "neck_pitch": (62, 80), "head": (0.3, 0.42), "head_pitch": (-12, 0), "tail": (0.25, 0.35),
         "tail_pitch": (-22, -8), "tail_n": (1, 1), "span": (1.3, 1.7), "spread": (0.09, 0.13), "jaw": (0.4, 0.4)},
        {},
    ),
)  # fmt: skip
_GENERIC = ("bird", "bird", "flying creature")


def draw(rng: random.Random) -> Plan:
    """A random bird."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    height = b["size"]
    trunk, pitch = b["trunk"] * height, b.angle("pitch")
    spread = b["spread"] * height
    # The hips of a bird sit under the middle of its body.
    pair = theropod(at=0.35, spread=spread, drop=0.1 * height, rng=rng, toe=rng.uniform(0.25, 0.4), home=0.05)
    return Plan(
        kind="bird",
        noun=b.noun,
        size=height,
        mass=120.0 * trunk * (2.6 * spread) ** 2,
        trunk=Trunk(max(2, rng.choice((2, 3, 3))), trunk, pitch, height, rng.choice(("hips", "centre")), 0.15),
        legs=(pair,),
        neck=_neck(b, height),
        head=Head(b["head"] * height, b.angle("head_pitch"), b.likely("jaw", rng)),
        tail=Chain(max(1, b.count("tail_n")), b["tail"] * height, b.angle("tail_pitch"), b.angle("tail_pitch")),
        wings=_wings(b, height, trunk, spread, rng),
        naming=naming(rng),
        rest=rest(rng, fold=True),
        habits=frozenset({"hops"} if b.words.get("gait") == "hops" else ()),
    )


def _neck(b: Body, height: float) -> Chain:
    pitch = b.angle("neck_pitch")
    return Chain(max(1, b.count("neck_n")), b["neck"] * height, pitch * 0.75, pitch * 1.2)


def _wings(b: Body, height: float, trunk: float, spread: float, rng: random.Random) -> Wings:
    span = b["span"] * height
    shares = rng.choice(((0.26, 0.32, 0.42), (0.26, 0.32, 0.42), (0.4, 0.6), (0.22, 0.28, 0.28, 0.22)))
    return Wings(at=0.85, spread=spread * 0.9, rise=0.12 * trunk, lengths=tuple(s * span for s in shares))
