"""Dying, each body in its way."""

from __future__ import annotations

import random

from anyrig.creatures import falling
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Everything."""
    return True


def act(motion: Motion, rng: random.Random) -> Telling:
    """From standing or swimming to lying dead."""
    plan = motion.rig.plan
    if plan.kind == "fish":
        return falling.sink(motion, rng)
    if plan.kind == "serpent":
        return falling.writhe(motion, rng)
    if plan.kind in ("hexapod", "octopod"):
        return falling.flip(motion, rng)
    if "upright" in plan.habits:
        return falling.crumple(motion, rng)
    if "sprawls" in plan.habits:
        return falling.slump(motion, rng)
    return falling.topple(motion, rng)
