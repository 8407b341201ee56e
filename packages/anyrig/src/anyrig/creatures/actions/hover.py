"""Hovering: beating wings that hold the body in one place."""

from __future__ import annotations

import random

from anyrig.creatures import aerial
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion

able = aerial.able


def act(motion: Motion, rng: random.Random) -> Telling:
    """In place, the body raised, the legs hanging."""
    motion.cyclic = True
    cycles = rng.random() + motion.times / aerial.fitted_period(motion, 1.2)
    motion.shift(up=aerial.clearance(motion) * rng.uniform(1.0, 1.4))
    insect = motion.rig.plan.kind == "hexapod"
    aerial.stretch_out(motion, 1.0, pitch=0.25 if insect else rng.uniform(0.55, 0.85), legs="hang")
    aerial.flap(motion, cycles, 1.15, mean=0.1)
    aerial.trail(motion, cycles)
    return Telling(
        ("hover", "hover in the air", "hover in place", "flap in place"),
        (
            "[the wings beat hard|its wings flap with wide strokes]",
            "[the body hangs upright in the air|the body is raised]"
            if not insect
            else "[the body hangs in the air|it keeps its place in the air]",
            "[the legs dangle|its legs hang down]",
            "[it stays where it is|it bobs with every stroke]",
        ),
        "[is in the air|hangs in the air]",
        paced=False,
        moody=False,
    )
