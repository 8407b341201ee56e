"""Looking around."""

from __future__ import annotations

import random

import numpy as np

from anyrig.creatures import aquatic, serpentine, standing
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import Array, track
from anyrig.creatures.motion import YAW, Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Everything that has a head."""
    return plan.head is not None


def act(motion: Motion, rng: random.Random) -> Telling:
    """To one side, to the other, and back to the front."""
    u = motion.progress
    first = rng.choice((1, -1))
    far, back = rng.uniform(0.65, 1.05), rng.uniform(0.6, 1.0)
    glance = first * track(u, (0.0, 0.0), (0.25, far), (0.4, far), (0.68, -back), (0.82, -back), (1.0, 0.0))
    move = {"serpent": _serpent, "fish": _fish}.get(motion.rig.plan.kind, _standing)
    details, place = move(motion, rng, glance)
    one, other = ("left", "right") if first > 0 else ("right", "left")
    head = f"[the head turns to the {one}, then to the {other}|first it looks {one}, then {other}]"
    verbs = ("look around", f"look {one} and look {other}", "search its surroundings with its eyes")
    return Telling(verbs, (head, *details), place, paced=False)


_Told = tuple[tuple[str, ...], str]  # what else is seen, and where it all happens


def _serpent(motion: Motion, rng: random.Random, glance: Array) -> _Told:
    body = serpentine.spine(motion)
    still = np.ones(motion.n_frames)
    places = serpentine.reared(
        motion, body, rng, part=0.32, pitch=0.95 * still, level=0.0 * still, yaw=glance, bow=0.2 * still
    )
    serpentine.lay(motion, body, places)
    details = (
        "[the raised front of the body turns with it|its neck sways along]",
        "[the rest of the body lies still|the coils do not move]",
    )
    return details, "[lies with its front raised|has its head reared up]"


def _fish(motion: Motion, rng: random.Random, glance: Array) -> _Told:
    aquatic.altitude(motion, rng)
    beats = max(2, round(motion.seconds / aquatic.beat_period(motion)))
    aquatic.undulate(motion, beats * motion.progress, 0.35)
    aquatic.scull(motion, beats * motion.progress)
    motion.trunk((0, -0.25 * glance, 0), (0, 0.35 * glance, 0))
    motion.turn(motion.rig.root, yaw=0.5 * glance)
    details = (
        "[the whole body turns with it|the body bends to the side]",
        "[it stays in place|it hangs in the water]",
    )
    return details, "[hangs in the water|floats in place]"


def _standing(motion: Motion, rng: random.Random, glance: Array) -> _Told:
    rig = motion.rig
    standing.ready(motion, 0.8)
    if rig.neck:
        motion.look(yaw=glance, pitch=-0.08 * np.abs(glance), roll=-0.08 * glance)
        motion.trunk((0, 0, 0), (0, 0.2 * rig.plan.trunk.flex * glance, 0))
    else:  # without a neck the whole body turns on its planted feet
        motion.trunk((0, 0.28 * glance, 0), (0, 0.28 * glance, 0))
        motion.look(yaw=0.4 * glance)
    motion.bend(rig.tail, yaw=-0.15 * glance)
    motion.ripple(rig.ears[0].joints if rig.ears else (), YAW, 0.3, 3 * motion.progress)
    details = (
        "[the feet stay planted|the body stays where it is]",
        "[at the end it looks ahead again|then it faces forward]",
    )
    return details, "[stands still|stands looking ahead]"
