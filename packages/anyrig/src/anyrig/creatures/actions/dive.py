"""Diving: birds and dragons out of the sky, fish toward the bottom."""

from __future__ import annotations

import random

from anyrig.creatures import aerial, aquatic
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Birds, dragons and fish."""
    return plan.kind in ("bird", "dragon", "fish")


def act(motion: Motion, rng: random.Random) -> Telling:
    """Head first down."""
    if motion.rig.plan.kind == "fish":
        aquatic.cruise(motion, rng, climb=-rng.uniform(0.4, 0.8))
        return Telling(
            ("dive", "swim down", "dive down", "swim toward the bottom"),
            ("[the head points down|it swims head down]", *aquatic.clauses(motion)),
            "[swims with its head down|is under way in the water, head down]",
        )
    aerial.dive(motion, rng)
    return Telling(
        ("dive", "dive out of the sky", "swoop down", "stoop down"),
        (
            "[the wings are drawn in|it half folds its wings]",
            "[it drops head first|the body tips forward and plunges]",
            "[then the wings spread and it levels out|at the end it opens its wings and pulls out]",
        ),
        "[is in the air with spread wings|is flying high]",
        paced=False,
        moody=False,
    )
