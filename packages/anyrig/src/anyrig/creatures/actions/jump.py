"""Jumping: up, or forward; fish leap out of the water."""

from __future__ import annotations

import random

from anyrig.creatures import aquatic, leaping
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import smooth
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has legs, and fish."""
    return bool(plan.legs) or plan.kind == "fish"


def act(motion: Motion, rng: random.Random) -> Telling:
    """One jump."""
    if motion.rig.plan.kind == "fish":
        return _breach(motion, rng)
    height = motion.rig.hip_height * rng.uniform(0.4, 0.9) * motion.style.energy**0.5
    if "columnar" in motion.rig.plan.habits:
        height *= 0.4
    ahead = rng.random() < 0.55
    leaping.leap(motion, rng, height=height, distance=motion.rig.hip_height * rng.uniform(0.8, 1.8) if ahead else 0.0)
    verbs = (
        ("jump forward", "leap forward", "spring ahead") if ahead else ("jump up", "jump in place", "hop up and land")
    )
    clauses = [
        "[it crouches|the legs bend|the body sinks down]",
        "[the legs push off the ground|all feet leave the ground at once]",
        f"[the body flies {'forward' if ahead else 'up'} with drawn-in legs|the legs are drawn up in the air]",
        "[it lands on its feet and gives with the legs|the knees bend as it lands|bending legs catch the landing]",
    ]
    return Telling(verbs, tuple(clauses), "[stands still|stands on the ground]", paced=False)


def _breach(motion: Motion, rng: random.Random) -> Telling:
    """Up in an arc, head first, and down head first."""
    u, size = motion.progress, motion.rig.plan.size
    aquatic.altitude(motion, rng)
    height = size * rng.uniform(0.7, 1.2)
    x = smooth(u)
    motion.shift(up=4.0 * height * x * (1 - x), forward=2.2 * size * x)
    slope = 1.6 * height * (1 - 2 * x) / size * 1.1
    motion.turn(motion.rig.root, pitch=-1.0 * slope / (1 + abs(slope)) * 1.5)
    beats = max(2, round(motion.seconds / aquatic.beat_period(motion, 1.2)))
    aquatic.undulate(motion, beats * u, 1.0 - 0.7 * smooth(u / 0.3) + 0.4 * smooth((u - 0.75) / 0.25))
    arch = 0.25 * (1 - 2 * smooth((u - 0.3) / 0.4))
    motion.trunk((0.4 * arch, 0, 0), (-0.4 * arch, 0, 0))
    motion.speed = 2.2 * size / motion.seconds
    return Telling(
        ("leap in an arc", "jump out of the water", "leap through the air", "breach"),
        (
            "[it shoots upward head first|the head points up and the body rises]",
            "[the body flies in a high arc|it curves over at the top]",
            "[it comes down head first|the head dips and it dives down again]",
        ),
        "[swims in the water|is under way in the water]",
        paced=False,
    )
