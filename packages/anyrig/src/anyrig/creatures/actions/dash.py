"""Dashing: slithering and swimming at full speed."""

from __future__ import annotations

import random

from anyrig.creatures import aquatic, serpentine
from anyrig.creatures.actions.slither import PARTS
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Serpents and swimmers."""
    return plan.kind in ("serpent", "fish")


def act(motion: Motion, rng: random.Random) -> Telling:
    """Straight on, fast."""
    if motion.rig.plan.kind == "fish":
        aquatic.cruise(motion, rng, quick=1.45, amount=1.3)
        verbs = ("dash through the water", "swim at full speed", "dart forward", "speed through the water")
        return Telling(verbs, aquatic.clauses(motion), "[is under way in the water|swims in open water]", paced=False)
    serpentine.slither(motion, rng, quick=1.6)
    return Telling(
        ("dash forward", "slither at full speed", "rush over the ground", "flee in quick curves"),
        PARTS,
        "[is on its way, stretched out in curves|lies ready on the ground]",
        paced=False,
    )
