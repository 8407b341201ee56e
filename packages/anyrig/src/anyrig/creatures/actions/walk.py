"""Walking: the slowest gait, some feet always on the ground."""

from __future__ import annotations

import random

from anyrig.creatures.actions import _steady
from anyrig.creatures.actions.sidestep import sideways
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has legs."""
    return bool(plan.legs)


def act(motion: Motion, rng: random.Random) -> Telling:
    """A walk straight on; a crab's goes sideways."""
    if "sideways" in motion.rig.plan.habits:
        return sideways(motion, rng, 0.9)
    chosen = _steady.go(motion, "walk", rng)
    crawls = "sprawls" in motion.rig.plan.habits or len(motion.rig.legs) > 4
    verbs = (
        ("crawl forward", "walk forward", "walk", "creep along")
        if crawls
        else ("walk forward", "walk", "stroll", "walk on")
    )
    return Telling(verbs, (_steady.legs(chosen), *_steady.body(motion, chosen)), _steady.standing(motion))
