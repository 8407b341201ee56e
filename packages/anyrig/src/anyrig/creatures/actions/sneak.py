"""Sneaking: a slow walk, low on bent legs."""

from __future__ import annotations

import random
from dataclasses import replace

from anyrig.creatures.actions import _steady
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Two and four legs, but not columns."""
    return 0 < plan.n_legs <= 4 and not plan.habits & {"columnar", "sprawls"}


def act(motion: Motion, rng: random.Random) -> Telling:
    """A stalking walk straight on."""
    style = motion.style
    motion.style = replace(
        style, speed=0.62 * style.speed, energy=0.8 * style.energy, crouch=style.crouch + 0.16, head=-0.35, tail=-0.1
    )
    chosen = _steady.go(motion, "walk", rng)
    if "upright" in motion.rig.plan.habits:
        motion.trunk((0.12, 0, 0), (0.35, 0, 0))
        motion.look(pitch=-0.5)
    motion.style = style
    return Telling(
        ("sneak forward", "creep forward", "stalk forward", "prowl"),
        (
            "[the body is held low|it keeps low on bent legs]",
            _steady.legs(chosen),
            "[the head is lowered|it holds its head low]",
        ),
        "[is in mid-step, crouched low|crouches on bent legs]",
        paced=False,
        moody=False,
    )
