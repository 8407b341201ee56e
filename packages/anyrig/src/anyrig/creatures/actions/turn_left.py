"""Turning to the left."""

from __future__ import annotations

import random

from anyrig.creatures.actions._turning import turn
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Everything."""
    return True


def act(motion: Motion, rng: random.Random) -> Telling:
    """On the spot or in a curve."""
    return turn(motion, rng, 1.0)
