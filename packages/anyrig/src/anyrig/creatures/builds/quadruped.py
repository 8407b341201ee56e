"""Four-legged animals: from rats to sauropods, on paws, hooves, columns or sprawling."""

from __future__ import annotations

import math
import random

from anyrig.creatures.builds._legs import mammal
from anyrig.creatures.builds._ranges import Archetype, Body, body, rest
from anyrig.creatures.names import naming
from anyrig.creatures.plans import Chain, Head, Plan, Trunk

# size: hip height in metres; trunk, neck, head, tail: lengths relative to it; slope: shoulder over hip height.
_ARCHETYPES = (
    Archetype(
        ("dog", "wolf", "fox", "hound"),
        {"size": (0.3, 0.75), "trunk": (1.0, 1.25), "neck": (0.35, 0.5), "neck_n": (1, 3), "neck_pitch": (35, 58),
         "head": (0.3, 0.4), "head_pitch": (-32, -12), "tail": (0.6, 0.95), "tail_n": (3, 8), "tail_pitch": (-45, 25),
         "slope": (0.98, 1.08), "spread": (0.13, 0.17), "flex": (0.5, 0.8), "spine_n": (3, 5), "ears": (0, 2.4),
         "jaw": (0.6, 0.6)},
        {"posture": "digitigrade"},
    ),
    Archetype(
        ("cat", "lion", "tiger", "leopard"),
        {"size": (0.22, 0.9), "trunk": (1.25, 1.55), "neck": (0.25, 0.36), "neck_n": (1, 2), "neck_pitch": (25, 45),
         "head": (0.24, 0.3), "head_pitch": (-25, -8), "tail": (0.9, 1.25), "tail_n": (4, 9), "tail_pitch": (-60, -15),
         "slope": (0.92, 1.0), "spread": (0.13, 0.17), "flex": (0.8, 1.0), "spine_n": (3, 6), "ears": (0, 1.6),
         "jaw": (0.6, 0.6)},
        {"posture": "digitigrade"},
    ),
    Archetype(
        ("horse", "donkey", "zebra", "mule"),
        {"size": (0.9, 1.5), "trunk": (0.95, 1.1), "neck": (0.62, 0.78), "neck_n": (2, 4), "neck_pitch": (42, 56),
         "head": (0.4, 0.48), "head_pitch": (-58, -40), "tail": (0.5, 0.7), "tail_n": (3, 7), "tail_pitch": (-72, -55),
         "slope": (0.97, 1.04), "spread": (0.12, 0.15), "flex": (0.25, 0.4), "spine_n": (3, 4), "ears": (0, 2.4),
         "jaw": (0.3, 0.3)},
        {"posture": "unguligrade"},
    ),
    Archetype(
        ("deer", "stag", "gazelle", "alpaca"),
        {"size": (0.6, 1.1), "trunk": (0.9, 1.1), "neck": (0.6, 0.85), "neck_n": (2, 4), "neck_pitch": (50, 70),
         "head": (0.3, 0.36), "head_pitch": (-40, -22), "tail": (0.14, 0.25), "tail_n": (1, 3),
         "tail_pitch": (-60, -20), "slope": (0.95, 1.02), "spread": (0.1, 0.14), "flex": (0.4, 0.6),
         "spine_n": (3, 4), "ears": (0, 2.4), "jaw": (0.3, 0.3)},
        {"posture": "unguligrade"},
    ),
    Archetype(
        ("cow", "bull", "bison", "ox"),
        {"size": (0.7, 1.3), "trunk": (1.2, 1.4), "neck": (0.4, 0.52), "neck_n": (1, 3), "neck_pitch": (8, 28),
         "head": (0.38, 0.45), "head_pitch": (-52, -35), "tail": (0.7, 0.9), "tail_n": (3, 7), "tail_pitch": (-80, -65),
         "slope": (0.97, 1.08), "spread": (0.15, 0.19), "flex": (0.15, 0.3), "spine_n": (3, 4), "ears": (0, 1.4),
         "jaw": (0.3, 0.3)},
        {"posture": "unguligrade"},
    ),
    Archetype(
        ("elephant", "mammoth"),
        {"size": (1.4, 2.5), "trunk": (0.9, 1.05), "neck": (0.2, 0.26), "neck_n": (1, 1), "neck_pitch": (18, 32),
         "head": (0.3, 0.36), "head_pitch": (-45, -30), "tail": (0.4, 0.55), "tail_n": (2, 5), "tail_pitch": (-80, -70),
         "slope": (1.0, 1.1), "spread": (0.15, 0.19), "flex": (0.05, 0.15), "spine_n": (2, 4), "ears": (0.6, 2.4),
         "jaw": (0.4, 0.4), "nose_n": (4, 8), "nose": (0.75, 0.9)},
        {"posture": "columnar"},
    ),
    Archetype(
        ("bear", "badger", "panda"),
        {"size": (0.4, 1.0), "trunk": (1.15, 1.4), "neck": (0.3, 0.4), "neck_n": (1, 2), "neck_pitch": (10, 32),
         "head": (0.34, 0.42), "head_pitch": (-28, -12), "tail": (0.08, 0.15), "tail_n": (0, 1.4),
         "tail_pitch": (-50, -30), "slope": (0.98, 1.12), "spread": (0.16, 0.21), "flex": (0.4, 0.6),
         "spine_n": (3, 4), "ears": (0, 1.4), "jaw": (0.6, 0.6)},
        {"posture": "plantigrade"},
    ),
    Archetype(
        ("rat", "mouse", "weasel"),
        {"size": (0.06, 0.16), "trunk": (1.5, 1.9), "neck": (0.28, 0.4), "neck_n": (1, 2), "neck_pitch": (10, 30),
         "head": (0.45, 0.55), "head_pitch": (-22, -5), "tail": (1.3, 1.9), "tail_n": (4, 9), "tail_pitch": (-22, -8),
         "slope": (0.85, 0.95), "spread": (0.2, 0.27), "flex": (0.8, 1.0), "spine_n": (3, 5), "ears": (0, 1.4),
         "jaw": (0.3, 0.3)},
        {"posture": "digitigrade", "gait": "bounds"},
    ),
    Archetype(
        ("lizard", "gecko", "iguana", "salamander"),
        {"size": (0.05, 0.25), "trunk": (2.8, 3.8), "neck": (0.6, 0.9), "neck_n": (1, 2), "neck_pitch": (8, 25),
         "head": (0.75, 0.95), "head_pitch": (-10, 2), "tail": (3.6, 5.2), "tail_n": (5, 12), "tail_pitch": (-8, 0),
         "slope": (0.95, 1.05), "spread": (0.4, 0.5), "flex": (0.9, 1.0), "spine_n": (4, 7), "jaw": (0.5, 0.5)},
        {"posture": "sprawling"},
    ),
    Archetype(
        ("crocodile", "alligator", "monitor lizard"),
        {"size": (0.2, 0.4), "trunk": (3.0, 3.8), "neck": (0.5, 0.7), "neck_n": (1, 2), "neck_pitch": (2, 12),
         "head": (1.2, 1.6), "head_pitch": (-6, 0), "tail": (3.6, 4.6), "tail_n": (6, 12), "tail_pitch": (-8, -3),
         "slope": (0.92, 1.0), "spread": (0.45, 0.55), "flex": (0.7, 0.9), "spine_n": (4, 6), "jaw": (1, 1)},
        {"posture": "sprawling"},
    ),
    Archetype(
        ("long-necked dinosaur", "brontosaurus", "sauropod"),
        {"size": (1.6, 3.0), "trunk": (1.05, 1.3), "neck": (1.2, 1.9), "neck_n": (4, 9), "neck_pitch": (38, 62),
         "head": (0.2, 0.26), "head_pitch": (-28, -10), "tail": (1.6, 2.3), "tail_n": (5, 12), "tail_pitch": (-24, -12),
         "slope": (0.85, 1.1), "spread": (0.18, 0.22), "flex": (0.15, 0.3), "spine_n": (3, 5), "jaw": (0.4, 0.4)},
        {"posture": "columnar"},
    ),
    Archetype(
        ("rhinoceros", "triceratops", "hippopotamus", "boar"),
        {"size": (0.6, 1.5), "trunk": (1.25, 1.5), "neck": (0.25, 0.36), "neck_n": (1, 2), "neck_pitch": (0, 15),
         "head": (0.45, 0.6), "head_pitch": (-32, -18), "tail": (0.3, 0.9), "tail_n": (2, 5), "tail_pitch": (-65, -30),
         "slope": (0.92, 1.04), "spread": (0.18, 0.23), "flex": (0.1, 0.25), "spine_n": (3, 4), "ears": (0, 1.4),
         "jaw": (0.5, 0.5)},
        {"posture": "columnar"},
    ),
)  # fmt: skip
_GENERIC = ("four-legged animal", "quadruped", "four-legged creature", "beast")


def draw(rng: random.Random) -> Plan:
    """A random quadruped."""
    b = body(_ARCHETYPES, _GENERIC, rng)
    height, posture = b["size"], b.words["posture"]
    spread = b["spread"] * height
    drop = 0.06 * height if posture != "sprawling" else 0.0
    pitch = math.asin(max(-0.3, min(0.3, (b["slope"] - 1.0) / b["trunk"])))
    legs = (
        mammal(posture, front=True, at=1.0, spread=spread * rng.uniform(0.9, 1.05), drop=drop * 2, rng=rng),
        mammal(posture, front=False, at=0.0, spread=spread, drop=drop, rng=rng),
    )
    return Plan(
        kind="quadruped",
        noun=b.noun,
        size=height,
        mass=340.0 * (b["trunk"] * height) * (2.2 * spread) ** 2 + 25.0 * height**3,
        trunk=Trunk(
            n=max(2, b.count("spine_n")),
            length=b["trunk"] * height,
            pitch=pitch,
            height=height + drop,
            root=rng.choice(("hips", "hips", "centre")),
            flex=b["flex"],
        ),
        legs=legs,
        neck=_neck(b, height),
        head=_head(b, height, rng),
        tail=_tail(b, height),
        naming=naming(rng),
        rest=rest(rng),
        habits=_habits(b, rng),
    )


def _neck(b: Body, height: float) -> Chain:
    pitch = b.angle("neck_pitch")
    return Chain(max(1, b.count("neck_n")), b["neck"] * height, pitch * 0.85, pitch * 1.1)


def _head(b: Body, height: float, rng: random.Random) -> Head:
    nose = b.count("nose_n")
    return Head(
        length=b["head"] * height,
        pitch=b.angle("head_pitch"),
        jaw=b.likely("jaw", rng),
        ears=b.count("ears"),
        nose=Chain(nose, b["nose"] * height, math.radians(-70), math.radians(-95), 0.9) if nose >= 3 else None,
    )


def _tail(b: Body, height: float) -> Chain | None:
    n = b.count("tail_n")
    if n < 1:
        return None
    pitch = b.angle("tail_pitch")
    # A tail hangs from the rump in a bow; a reptile's lies nearly level and must stay above the ground.
    return Chain(n, b["tail"] * height, -0.35 * abs(pitch), pitch, 0.93)


def _habits(b: Body, rng: random.Random) -> frozenset[str]:
    habits = set()
    if b.words.get("gait") == "bounds" or (b["flex"] > 0.75 and rng.random() < 0.25):
        habits.add("bounds")
    if b["trunk"] < 1.08 and rng.random() < 0.25:
        habits.add("paces")
    if b.words["posture"] == "columnar":
        habits.add("columnar")
    if b.words["posture"] == "sprawling":
        habits.add("sprawls")
    return frozenset(habits)
