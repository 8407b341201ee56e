"""Walking backward."""

from __future__ import annotations

import math
import random

from anyrig.creatures.actions import _steady
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has legs."""
    return bool(plan.legs)


def act(motion: Motion, rng: random.Random) -> Telling:
    """Straight back."""
    chosen = _steady.go(motion, "walk", rng, slip=math.pi, pace=0.62)
    motion.look(pitch=0.08)
    return Telling(
        ("walk backward", "step backward", "back away", "retreat backward"),
        (
            "[the feet step backward one by one|short steps carry it backward]",
            "[it keeps looking ahead|the head still faces forward]",
            *_steady.body(motion, chosen)[1:],
        ),
        _steady.standing(motion),
    )
