"""Swimming: fish and serpents with waves of the body, four-legged animals with paddling legs."""

from __future__ import annotations

import random

import numpy as np

from anyrig.creatures import aquatic, posture
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import TAU, wave
from anyrig.creatures.gaits import gait
from anyrig.creatures.motion import YAW, Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Fish, serpents, four-legged animals and birds."""
    return plan.kind in ("fish", "serpent", "quadruped", "bird")


def act(motion: Motion, rng: random.Random) -> Telling:
    """Straight on."""
    if motion.rig.legs:
        return _paddle(motion, rng)
    aquatic.cruise(motion, rng)
    verbs = ("swim forward", "swim", "swim along", "cruise through the water")
    return Telling(verbs, aquatic.clauses(motion), "[is under way in the water|swims in open water]")


def _paddle(motion: Motion, rng: random.Random) -> Telling:
    """Legs that reach forward folded and stroke back stretched, under a body that floats."""
    rig, style = motion.rig, motion.style
    motion.cyclic = True
    period = max(0.6, 0.9 * rig.hip_height**0.4) / style.speed
    n = max(1, round(motion.seconds / period))
    cycles = rng.random() + n * motion.progress
    stroke = gait(rig, "trot", rng)
    posture.stance(motion)
    motion.place[:, 1] += rig.hip_height * rng.uniform(0.3, 0.6)
    motion.speed = 0.8 * rig.hip_height * n / motion.seconds
    motion.place[:, 2] += motion.speed * motion.times
    for k in range(len(rig.legs)):
        c = TAU * (cycles - stroke.offsets[k])
        swing = 0.55 * style.energy**0.5 * np.cos(c) - 0.1
        motion.feet.release([k], np.ones(motion.n_frames), stretch=0.78 + 0.14 * np.sin(c), swing=swing)
        motion.feet.pitch[:, k] = motion.feet.toe[:, k] = 0.5 + 0.3 * np.cos(c)
    motion.place[:, 1] += 0.02 * rig.hip_height * wave(2 * cycles)
    motion.trunk(
        (0.02 * wave(2 * cycles), 0.04 * wave(cycles), 0.05 * wave(cycles)),
        (0.0, -0.04 * wave(cycles), -0.05 * wave(cycles)),
    )
    motion.look(pitch=-0.18)
    motion.steady(0.8)
    motion.ripple(rig.tail, YAW, 0.5 * style.energy, cycles, 0.1)
    parts = ["[the legs paddle under the body|its feet stroke backward in turn]",
             "[the head is held up over the water|its head stays up]",
             "[the body floats and rocks gently|no foot touches the ground]"]  # fmt: skip
    if rig.wings:
        parts.append("[the wings stay folded|its wings lie on its back]")
    return Telling(
        ("swim", "swim forward", "paddle forward", "paddle through the water"),
        tuple(parts),
        "[floats in the water|is in the water]",
    )
