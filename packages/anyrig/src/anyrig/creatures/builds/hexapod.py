"""Six-legged creatures: ants, beetles, mantises, and wasps and flies with wings."""

from __future__ import annotations

import math
import random

from anyrig.creatures.builds._legs import insect
from anyrig.creatures.builds._ranges import Archetype, Body, body, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Arms, Chain, Head, Plan, Trunk, Wings

# size: height of the hips in metres (game creatures: anything from a beetle to a giant ant); lengths relative to it.
_ARCHETYPES = (
    Archetype(
        ("ant", "giant ant", "termite"),
        {"size": (0.06, 0.8), "trunk": (1.3, 1.7), "head": (0.7, 0.9), "head_pitch": (-45, -25), "tail": (1.3, 1.7),
         "tail_n": (1, 3), "tail_pitch": (-10, 10), "thick": (0.28, 0.38), "steep": (0.35, 0.7), "antennae": (1, 3),
         "mandibles": (0.7, 0.7)},
        {},
    ),
    Archetype(
        ("beetle", "cockroach", "bug"),
        {"size": (0.04, 0.5), "trunk": (1.8, 2.6), "head": (0.6, 0.8), "head_pitch": (-30, -10), "tail": (1.4, 2.0),
         "tail_n": (1, 2), "tail_pitch": (-12, -4), "thick": (0.5, 0.7), "steep": (0.0, 0.3), "antennae": (0, 2.4),
         "mandibles": (0.5, 0.5), "wings": (0.2, 0.2), "wing": (3.0, 4.0)},
        {},
    ),
    Archetype(
        ("wasp", "bee", "hornet", "fly"),
        {"size": (0.06, 0.6), "trunk": (1.0, 1.4), "head": (0.55, 0.7), "head_pitch": (-50, -30), "tail": (1.4, 2.2),
         "tail_n": (2, 4), "tail_pitch": (-40, -20), "thick": (0.35, 0.5), "steep": (0.2, 0.5), "antennae": (1, 2.4),
         "mandibles": (0.3, 0.3), "wings": (1, 1), "wing": (2.6, 3.6)},
        {},
    ),
    Archetype(
        ("mantis", "stick insect", "cricket"),
        {"size": (0.08, 0.7), "trunk": (1.6, 2.2), "head": (0.45, 0.6), "head_pitch": (-60, -40), "tail": (1.5, 2.2),
         "tail_n": (2, 4), "tail_pitch": (-10, 5), "thick": (0.2, 0.3), "steep": (0.4, 0.8), "antennae": (1, 3),
         "arms": (0.6, 0.6), "wings": (0.3, 0.3), "wing": (2.4, 3.2), "slope": (10, 30)},
        {},
    ),
)  # fmt: skip
_GENERIC = ("six-legged creature", "insect", "hexapod", "six-legged bug")


def draw(rng: random.Random) -> Plan:
    """A random hexapod."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    height = b["size"]
    trunk, thick = b["trunk"] * height, b["thick"] * height
    slope = b.angle("slope")
    return Plan(
        kind="hexapod",
        noun=b.noun,
        size=height,
        mass=250.0 * (trunk + b["tail"] * height) * (2 * thick) ** 2,
        trunk=Trunk(
            n=rng.choice((2, 2, 3)),
            length=trunk,
            pitch=0.3 * slope,
            height=height * 1.1,
            root=rng.choice(("centre", "hips", "front")),
            flex=0.15,
        ),
        legs=insect(3, rng, span=0.75, thickness=thick * 0.8, steep=b["steep"]),
        neck=Chain(1, 0.2 * height, slope, slope),
        head=_head(b, height, rng),
        tail=Chain(
            max(1, b.count("tail_n")), b["tail"] * height, 0.4 * b.angle("tail_pitch"), b.angle("tail_pitch"), 0.95
        ),
        arms=_arms(b, height, thick) if b.likely("arms", rng) else None,
        wings=_wings(b, height, thick) if b.likely("wings", rng) and b["wing"] > 1.5 else None,
        naming=naming(rng),
        rest=rest(rng, fold=True),
    )


def _head(b: Body, height: float, rng: random.Random) -> Head:
    return Head(
        length=b["head"] * height,
        pitch=b.angle("head_pitch"),
        antennae=b.count("antennae"),
        mandibles=b.likely("mandibles", rng),
    )


def _arms(b: Body, height: float, thick: float) -> Arms:
    reach = 1.1 * height
    return Arms(
        at=1.0, spread=thick * 0.6, rise=-0.1 * height, lengths=(0.5 * reach, 0.5 * reach, 0.1 * reach),
        angles=(math.radians(60), math.radians(140), math.radians(40)), out=math.radians(18),
    )  # fmt: skip


def _wings(b: Body, height: float, thick: float) -> Wings:
    span = b["wing"] * height
    return Wings(at=0.75, spread=thick * 0.5, rise=0.25 * height, lengths=(0.55 * span, 0.45 * span))
