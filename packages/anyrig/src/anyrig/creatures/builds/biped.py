"""Two-legged creatures: upright people and ogres, level-backed dinosaurs, hopping kangaroos, running birds."""

from __future__ import annotations

import math
import random

from anyrig.creatures.builds._legs import human, theropod
from anyrig.creatures.builds._ranges import Archetype, Body, body, ramp, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Arms, Chain, Head, Plan, Trunk

# Lengths are relative to the hips' height; pitch is the trunk's above the horizontal.
_ARCHETYPES = (
    Archetype(
        ("person", "human", "man", "woman"),
        {"size": (0.75, 1.0), "trunk": (0.55, 0.62), "pitch": (84, 90), "neck": (0.1, 0.14), "neck_n": (1, 2),
         "neck_pitch": (74, 86), "head": (0.2, 0.24), "head_pitch": (55, 75), "spread": (0.09, 0.12),
         "shoulder": (0.19, 0.24), "arm": (0.62, 0.7), "fingers": (0, 5.4), "flex": (0.4, 0.6), "spine_n": (3, 5)},
        {"posture": "human"},
    ),
    Archetype(
        ("ogre", "troll", "giant", "gorilla"),
        {"size": (0.7, 1.8), "trunk": (0.72, 0.9), "pitch": (66, 80), "neck": (0.1, 0.15), "neck_n": (1, 1),
         "neck_pitch": (45, 65), "head": (0.24, 0.3), "head_pitch": (20, 45), "spread": (0.15, 0.2),
         "shoulder": (0.32, 0.42), "arm": (0.9, 1.05), "fingers": (0, 3.4), "flex": (0.3, 0.5), "spine_n": (3, 4),
         "jaw": (0.4, 0.4), "bend": (6, 10)},
        {"posture": "human"},
    ),
    Archetype(
        ("goblin", "imp", "dwarf", "robot"),
        {"size": (0.3, 0.55), "trunk": (0.75, 0.95), "pitch": (76, 88), "neck": (0.1, 0.16), "neck_n": (1, 1),
         "neck_pitch": (60, 80), "head": (0.38, 0.5), "head_pitch": (35, 70), "spread": (0.14, 0.19),
         "shoulder": (0.26, 0.34), "arm": (0.75, 0.9), "fingers": (0, 2.4), "flex": (0.4, 0.6), "spine_n": (2, 4),
         "ears": (0, 1.6), "jaw": (0.3, 0.3), "tail": (0.0, 0.5), "tail_n": (0, 3), "tail_pitch": (-50, 10)},
        {"posture": "human"},
    ),
    Archetype(
        ("tyrannosaurus", "raptor", "dinosaur", "theropod"),
        {"size": (0.5, 2.6), "trunk": (0.75, 0.95), "pitch": (8, 28), "neck": (0.4, 0.55), "neck_n": (2, 4),
         "neck_pitch": (40, 62), "head": (0.4, 0.5), "head_pitch": (-14, 2), "spread": (0.12, 0.17),
         "shoulder": (0.11, 0.15), "arm": (0.28, 0.45), "fingers": (0, 3.4), "flex": (0.3, 0.5), "spine_n": (3, 5),
         "jaw": (0.9, 0.9), "tail": (1.3, 1.7), "tail_n": (4, 10), "tail_pitch": (-10, 8)},
        {"posture": "theropod"},
    ),
    Archetype(
        ("kangaroo", "wallaby"),
        {"size": (0.45, 0.8), "trunk": (0.85, 1.0), "pitch": (40, 58), "neck": (0.25, 0.34), "neck_n": (1, 2),
         "neck_pitch": (60, 75), "head": (0.26, 0.32), "head_pitch": (-15, 5), "spread": (0.1, 0.14),
         "shoulder": (0.12, 0.16), "arm": (0.4, 0.5), "fingers": (0, 1.4), "flex": (0.5, 0.7), "spine_n": (3, 4),
         "ears": (0.6, 2.4), "tail": (1.15, 1.4), "tail_n": (4, 8), "tail_pitch": (-30, -20)},
        {"posture": "theropod", "gait": "hops"},
    ),
    Archetype(
        ("ostrich", "emu", "terror bird"),
        {"size": (0.7, 1.2), "trunk": (0.6, 0.75), "pitch": (12, 26), "neck": (0.7, 1.0), "neck_n": (3, 6),
         "neck_pitch": (68, 84), "head": (0.18, 0.26), "head_pitch": (-12, 0), "spread": (0.11, 0.15),
         "flex": (0.2, 0.3), "spine_n": (2, 3), "jaw": (0.5, 0.5), "tail": (0.25, 0.4), "tail_n": (1, 3),
         "tail_pitch": (-10, 20)},
        {"posture": "theropod"},
    ),
)  # fmt: skip
_GENERIC = ("two-legged creature", "biped", "two-legged monster", "walker on two legs")


def draw(rng: random.Random) -> Plan:
    """A random biped."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    height = b["size"]
    upright = b.words["posture"] == "human"
    spread = b["spread"] * height
    if upright:
        pair = human(spread=spread, rng=rng, bend=max(b["bend"], rng.uniform(6.5, 9)))
    else:
        pair = theropod(at=0.0, spread=spread, drop=0.0, rng=rng, home=rng.uniform(0.02, 0.1))
    trunk = b["trunk"] * height
    return Plan(
        kind="biped",
        noun=b.noun,
        size=height,
        mass=300.0 * trunk * (2.4 * max(spread, 0.7 * b["shoulder"] * height)) ** 2,
        trunk=Trunk(max(2, b.count("spine_n")), trunk, b.angle("pitch"), height, "hips", b["flex"]),
        legs=(pair,),
        neck=_neck(b, height),
        head=Head(b["head"] * height, b.angle("head_pitch"), b.likely("jaw", rng), b.count("ears")),
        tail=_tail(b, height),
        arms=_arms(b, height, upright, rng),
        naming=naming(rng),
        rest=rest(rng, arms=math.radians(80) if upright else 0.0),
        habits=frozenset({"upright"} if upright else {"hops"} if b.words.get("gait") == "hops" else ()),
    )


def _neck(b: Body, height: float) -> Chain:
    pitch = b.angle("neck_pitch")
    curve = 0.25 if b["pitch"] < 35 else 0.0  # level-backed animals carry the neck in an S
    return Chain(max(1, b.count("neck_n")), b["neck"] * height, pitch * (1 - curve), pitch * (1 + curve))


def _tail(b: Body, height: float) -> Chain | None:
    n = b.count("tail_n")
    if n < 1 or b["tail"] < 0.1:
        return None
    return Chain(n, b["tail"] * height, -0.5 * abs(b.angle("tail_pitch")), b.angle("tail_pitch"), 0.92)


def _arms(b: Body, height: float, upright: bool, rng: random.Random) -> Arms | None:
    if b["arm"] < 0.15:
        return None
    length = b["arm"] * height
    fingers = b.count("fingers")
    return Arms(
        at=1.0,
        spread=b["shoulder"] * height,
        rise=0.0 if upright else -0.12 * height,
        lengths=(0.44 * length, 0.40 * length, 0.16 * length),
        angles=ramp(-6, 10, 10) if upright else ramp(-30, 45, 30),
        out=math.radians(10 if upright else 4),
        clavicle=upright and rng.random() < 0.7,
        fingers=fingers,
        finger_joints=rng.choice((1, 2)) if fingers <= 3 else 1,
    )
