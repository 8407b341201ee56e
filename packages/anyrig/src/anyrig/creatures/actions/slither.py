"""Slithering: a snake's lateral undulation, every part of the body on the track of the one before."""

from __future__ import annotations

import random

from anyrig.creatures import serpentine
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan

PARTS = (
    "[waves run down the body from head to tail|the body flows forward in S-shaped curves|bends travel back along it]",
    "[the tail follows the path of the head|every part follows the track of the head]",
    "[the belly stays on the ground|the whole body glides over the ground]",
)


def able(plan: Plan) -> bool:
    """Serpents."""
    return plan.kind == "serpent"


def act(motion: Motion, rng: random.Random) -> Telling:
    """Straight on."""
    serpentine.slither(motion, rng)
    return Telling(
        ("slither forward", "slither", "crawl forward in curves", "glide along the ground"),
        PARTS,
        "[lies on the ground in waves|is on its way, stretched out in curves]",
    )
