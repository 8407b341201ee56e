"""Stepping sideways; a crab's way of walking."""

from __future__ import annotations

import math
import random

from anyrig.creatures.actions import _steady
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Two legs, and many."""
    return plan.n_legs in (2, 6, 8) and plan.kind != "bird"


def act(motion: Motion, rng: random.Random) -> Telling:
    """To one side, looking ahead."""
    return sideways(motion, rng, 0.5)


def sideways(motion: Motion, rng: random.Random, pace: float) -> Telling:
    """To the left or the right at a ``pace``, 1 a full walk."""
    sign = rng.choice((1, -1))
    _steady.go(motion, "walk", rng, slip=sign * math.pi / 2, pace=pace)
    way = "left" if sign > 0 else "right"
    return Telling(
        (
            f"sidestep to the {way}",
            f"step sideways to the {way}",
            f"walk sideways to the {way}",
            f"move sideways to the {way}",
        ),
        (
            f"[the legs step to the {way} one after another|the feet reach out to the {way}]",
            "[the body keeps facing forward|it goes on looking ahead]",
        ),
        _steady.standing(motion),
    )
