"""Being hit: a flinch and a recovery."""

from __future__ import annotations

import random

from anyrig.creatures import standing
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import track
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has legs."""
    return bool(plan.legs)


def act(motion: Motion, rng: random.Random) -> Telling:
    """A blow from the front or from one side."""
    rig, u = motion.rig, motion.progress
    standing.ready(motion, 0.6)
    at = rng.uniform(0.12, 0.25)
    jolt = (
        track(u, (at, 0.0), (at + 0.1, 1.0), (at + 0.28, -0.25), (at + 0.45, 0.12), (0.92, 0.0))
        * motion.style.energy**0.5
    )
    side = rng.choice((0, 1, -1))
    height = rig.hip_height
    if side:
        motion.shift(left=-side * 0.14 * height * jolt, up=-0.05 * height * abs(jolt))
        motion.trunk((0, 0, -side * 0.12 * jolt), (0, -side * 0.12 * jolt, -side * 0.22 * jolt))
        motion.look(yaw=-side * 0.55 * jolt, roll=-side * 0.3 * jolt)
        motion.bend(rig.tail, yaw=side * 0.5 * jolt)
        name = "left" if side > 0 else "right"
        where = f"[the body is knocked away from the {name}|a blow from the {name} jolts the body]"
    else:
        motion.shift(forward=-0.16 * height * jolt, up=-0.06 * height * abs(jolt))
        motion.tilt(-0.14 * jolt)
        motion.trunk((0, 0, 0), (-0.15 * jolt, 0, 0))
        motion.look(pitch=-0.5 * jolt)
        motion.bend(rig.tail, pitch=-0.4 * jolt)
        where = "[the body is knocked back|a blow from the front jolts the body]"
    for arm in rig.arms:
        motion.turn(arm.joints[0], roll=arm.side * 0.5 * abs(jolt), pitch=-0.3 * abs(jolt))
        motion.turn(arm.joints[1], pitch=-0.6 * abs(jolt))
    motion.open_jaw(0.6 * abs(jolt))
    return Telling(
        ("get hit", "flinch from a hit", "be hit and recover", "take a blow"),
        (
            where,
            "[the head is thrown aside|the head jerks]" if side else "[the head is thrown back|the head jerks up]",
            "[the feet hold their ground|its feet stay planted]",
            "[then it finds its balance again|it recovers its stance]",
        ),
        "[stands still|stands on its feet]",
        paced=False,
        moody=False,
    )
