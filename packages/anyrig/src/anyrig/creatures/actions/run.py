"""Running: gallops and bounds of four legs, sprints of two, scurrying of many."""

from __future__ import annotations

import random

from anyrig.creatures.actions import _steady
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has legs."""
    return bool(plan.legs)


def act(motion: Motion, rng: random.Random) -> Telling:
    """A run straight on."""
    chosen = _steady.go(motion, "run", rng)
    verbs = {
        "gallop": ("gallop", "gallop forward", "run", "run at a gallop"),
        "bound": ("bound forward", "run in bounds", "run"),
        "hops": ("hop fast", "leap along in great hops", "bound along on two legs"),
        "alternate": ("run", "run forward", "sprint"),
        "amble": ("run heavily", "charge forward", "run"),
    }.get(chosen.pattern, ("scurry", "run", "scuttle forward", "run forward"))
    return Telling(verbs, (_steady.legs(chosen), *_steady.body(motion, chosen)), _steady.standing(motion))
