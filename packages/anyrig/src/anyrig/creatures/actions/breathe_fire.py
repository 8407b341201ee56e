"""A dragon's breath."""

from __future__ import annotations

import random

from anyrig.creatures import standing
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import spans, track
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Dragons with a mouth that opens."""
    return plan.kind == "dragon" and plan.head is not None and plan.head.jaw


def act(motion: Motion, rng: random.Random) -> Telling:
    """Rears the neck back, thrusts it forward, sweeps the open mouth from side to side."""
    rig, u = motion.rig, motion.progress
    standing.ready(motion, 0.6, wings=0.75)
    start = rng.uniform(0.28, 0.36)
    back = spans(u, (0.04, start - 0.04), (start - 0.04, start + 0.06))
    blow = spans(u, (start - 0.02, start + 0.1), (0.78, 0.96))
    sweep = rng.choice((1, -1)) * track(u, (start, 0.0), (start + 0.18, 0.45), (0.72, -0.45), (0.92, 0.0))
    height = rig.hip_height
    motion.bend(rig.neck, pitch=-0.75 * back + 0.8 * blow, yaw=0.7 * sweep)
    motion.turn(rig.head, pitch=0.5 * back - 0.55 * blow, yaw=0.5 * sweep)
    motion.open_jaw(1.2 * blow)
    motion.heave(0.0, 0.08 * height * back - 0.1 * height * blow)
    motion.shift(forward=height * (0.12 * blow - 0.1 * back))
    motion.bend(rig.tail, yaw=-0.5 * sweep, pitch=0.15 * blow)
    for wing in rig.wings:
        motion.turn(wing.joints[0], roll=wing.side * (0.35 * back + 0.2 * blow))
    return Telling(
        ("breathe fire", "spit fire", "blow fire from its mouth", "attack with its fiery breath"),
        (
            "[the neck rears back as it draws breath|it pulls its head far back]",
            "[the head shoots forward with wide open jaws|the mouth opens wide and thrusts ahead]",
            "[the head sweeps from side to side|it swings its open mouth across]",
        ),
        "[stands on the ground with half-folded wings|stands its ground]",
        paced=False,
    )
