"""Trotting: the middle gait; people jog, pacers pace."""

from __future__ import annotations

import random

from anyrig.creatures.actions import _steady
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has two or four legs."""
    return 0 < plan.n_legs <= 4


def act(motion: Motion, rng: random.Random) -> Telling:
    """A trot straight on."""
    chosen = _steady.go(motion, "trot", rng)
    verbs = {
        "alternate": ("jog", "jog forward", "trot forward"),
        "hops": ("hop along", "hop forward", "hop"),
        "lateral pairs": ("pace", "trot at a pace", "trot forward"),
    }.get(chosen.pattern, ("trot", "trot forward", "trot along"))
    return Telling(verbs, (_steady.legs(chosen), *_steady.body(motion, chosen)), _steady.standing(motion))
