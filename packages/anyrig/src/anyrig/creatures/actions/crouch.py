"""Crouching down and getting up again."""

from __future__ import annotations

import random

from anyrig.creatures import standing
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import spans
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has legs."""
    return bool(plan.legs)


def act(motion: Motion, rng: random.Random) -> Telling:
    """Down on planted feet, a wait, and mostly up again."""
    rig, u = motion.rig, motion.progress
    standing.ready(motion, 0.7)
    up = rng.random() < 0.6
    down = spans(u, (0.08, 0.4), (0.68, 0.95)) if up else spans(u, (0.1, 0.55), (2.0, 3.0))
    deep = (0.34 if "columnar" not in rig.plan.habits else 0.16) * rng.uniform(0.8, 1.15)
    motion.shift(up=-deep * rig.hip_height * down)
    if "upright" in rig.plan.habits:
        motion.tilt(0.25 * down)
        motion.trunk((0, 0, 0), (0.35 * down, 0, 0))
        motion.shift(forward=-0.08 * rig.hip_height * down)
        motion.look(pitch=-0.4 * down)
        for arm in rig.arms:
            motion.turn(arm.joints[0], pitch=-0.5 * down)
            motion.turn(arm.joints[1], pitch=-0.6 * down)
    motion.look(pitch=0.15 * down)
    last = (
        "[it stays down|then it waits, crouched]" if not up else "[then it rises again|after a while it straightens up]"
    )
    return Telling(
        ("crouch down", "duck", "crouch")
        if not up
        else ("crouch and rise", "duck down and get up", "crouch down for a moment"),
        (
            "[the legs fold|the knees bend]",
            "[the body sinks toward the ground|the trunk comes down]",
            "[the feet stay planted|its feet do not move]",
            last,
        ),
        "[stands still|stands on its feet]",
        paced=False,
    )
