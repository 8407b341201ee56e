"""Swimming up."""

from __future__ import annotations

import random

from anyrig.creatures import aquatic
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Fish."""
    return plan.kind == "fish"


def act(motion: Motion, rng: random.Random) -> Telling:
    """Head first up."""
    aquatic.cruise(motion, rng, climb=rng.uniform(0.4, 0.8))
    return Telling(
        ("rise", "swim up", "swim toward the surface", "climb through the water"),
        ("[the head points up|it swims head up]", *aquatic.clauses(motion)),
        "[swims with its head up|is under way in the water, head up]",
    )
