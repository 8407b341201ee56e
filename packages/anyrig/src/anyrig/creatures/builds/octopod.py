"""Eight-legged creatures: spiders, scorpions with pincers and sting, crabs that walk sideways."""

from __future__ import annotations

import math
import random

from anyrig.creatures.builds._legs import insect
from anyrig.creatures.builds._ranges import Archetype, Body, body, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Arms, Chain, Head, Plan, Trunk

_ARCHETYPES = (
    Archetype(
        ("spider", "giant spider", "harvestman"),
        {"size": (0.06, 0.9), "trunk": (0.8, 1.2), "head": (0.4, 0.55), "head_pitch": (-25, -5), "tail": (1.2, 1.7),
         "tail_n": (1, 2), "tail_pitch": (5, 20), "thick": (0.3, 0.4), "steep": (0.5, 1.0), "mandibles": (0.6, 0.6)},
        {"tail": "abdomen"},
    ),
    Archetype(
        ("tarantula", "wolf spider"),
        {"size": (0.06, 0.6), "trunk": (1.2, 1.6), "head": (0.5, 0.65), "head_pitch": (-25, -10), "tail": (1.6, 2.0),
         "tail_n": (1, 2), "tail_pitch": (-5, 10), "thick": (0.45, 0.6), "steep": (0.25, 0.5), "mandibles": (0.8, 0.8)},
        {"tail": "abdomen"},
    ),
    Archetype(
        ("scorpion", "giant scorpion"),
        {"size": (0.06, 0.7), "trunk": (2.0, 2.8), "head": (0.5, 0.7), "head_pitch": (-10, 0), "tail": (4.0, 5.2),
         "tail_n": (5, 8), "tail_pitch": (10, 25), "thick": (0.4, 0.55), "steep": (0.1, 0.35), "arm": (2.6, 3.4),
         "mandibles": (0.3, 0.3)},
        {"tail": "sting"},
    ),
    Archetype(
        ("crab", "giant crab"),
        {"size": (0.06, 0.6), "trunk": (1.0, 1.4), "head": (0.35, 0.5), "head_pitch": (10, 40), "thick": (0.8, 1.1),
         "steep": (0.2, 0.55), "arm": (2.0, 2.8), "tail": (0.4, 0.6), "tail_pitch": (-10, 0), "tail_n": (0, 0.4)},
        {"tail": "abdomen", "gait": "sideways"},
    ),
)  # fmt: skip
_GENERIC = ("eight-legged creature", "octopod", "eight-legged monster", "arachnid")


def draw(rng: random.Random) -> Plan:
    """A random octopod."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    height = b["size"]
    trunk, thick = b["trunk"] * height, b["thick"] * height
    habits = {name for name in (b.words.get("gait"), b.words["tail"]) if name in ("sideways", "sting")}
    return Plan(
        kind="octopod",
        noun=b.noun,
        size=height,
        mass=250.0 * (trunk + 0.5 * b["tail"] * height) * (2 * thick) ** 2,
        trunk=Trunk(2, trunk, 0.0, height * 1.1, rng.choice(("centre", "hips", "front")), 0.1),
        legs=insect(4, rng, span=0.7, thickness=thick * 0.8, steep=b["steep"]),
        neck=None,
        head=Head(b["head"] * height, b.angle("head_pitch"), mandibles=b.likely("mandibles", rng)),
        tail=_tail(b, height, "sting" in habits),
        arms=_pincers(b, height, thick) if b["arm"] > 1.2 else None,
        naming=naming(rng),
        rest=rest(rng),
        habits=frozenset(habits),
    )


def _tail(b: Body, height: float, sting: bool) -> Chain | None:
    n = b.count("tail_n")
    if n < 1:
        return None
    # A scorpion carries its tail up and over its back.
    end = math.radians(195) if sting else b.angle("tail_pitch")
    return Chain(n, b["tail"] * height, b.angle("tail_pitch"), end, 0.95)


def _pincers(b: Body, height: float, thick: float) -> Arms:
    reach = b["arm"] * height
    return Arms(
        at=1.0, spread=thick * 0.7, rise=-0.1 * height, lengths=(0.38 * reach, 0.36 * reach, 0.26 * reach),
        angles=(math.radians(85), math.radians(95), math.radians(88)), out=math.radians(40), fingers=2, pincer=True,
    )  # fmt: skip
