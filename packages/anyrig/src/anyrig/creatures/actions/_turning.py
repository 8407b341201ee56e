"""Turning to one side, on the spot or in a curve: what left and right share."""

from __future__ import annotations

import math
import random

import numpy as np

from anyrig.creatures import aquatic, posture, serpentine
from anyrig.creatures.actions import _steady
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import bump
from anyrig.creatures.gaits import gait, step
from anyrig.creatures.motion import YAW, Motion
from anyrig.creatures.walking import Path, follow, ride, step_along


def turn(motion: Motion, rng: random.Random, sign: float) -> Telling:
    """Turns to the left (``sign`` 1) or to the right (-1)."""
    way = "left" if sign > 0 else "right"
    plan = motion.rig.plan
    if plan.kind == "serpent":
        serpentine.slither(motion, rng, turn=sign * rng.uniform(0.5, 0.9) * motion.seconds)
        return _told(
            way,
            "slither",
            (
                "[the head leads into the curve|the head swings round first]",
                "[the body follows the track of the head|every part follows the head]",
            ),
            "[is on its way, stretched out in curves|lies in waves]",
        )
    if plan.kind == "fish":
        aquatic.cruise(motion, rng, turn=sign * rng.uniform(0.5, 0.9) * motion.seconds)
        return _told(
            way,
            "swim",
            ("[the body bends into the curve|it curves its body to the side]", *aquatic.clauses(motion)),
            "[swims in open water|is under way in the water]",
        )
    if rng.random() < 0.5:
        chosen = _steady.go(motion, "walk", rng, turn=sign * _most(motion, motion.seconds) * rng.uniform(0.5, 0.8))
        lean = sign * 0.25
        motion.look(yaw=lean)
        motion.bend(motion.rig.tail, yaw=-lean)
        return _told(
            way,
            "walk",
            (
                f"[the head looks {way}|the head leads into the turn]",
                _steady.legs(chosen),
                "[it goes in a curve|its path bends round]",
            ),
            _steady.standing(motion),
        )
    return _on_the_spot(motion, rng, sign, way)


def _told(way: str, verb: str, parts: tuple[str, ...], start: str) -> Telling:
    verbs = (f"turn {way}", f"{verb} in a curve to the {way}", f"turn to the {way}", f"{verb} to the {way}")
    return Telling(verbs, parts, start)


def _on_the_spot(motion: Motion, rng: random.Random, sign: float, way: str) -> Telling:
    """From standing to standing, with small steps."""
    angle = sign * min(2.8, _most(motion, motion.seconds / 1.875)) * rng.uniform(0.75, 1.0)
    chosen = gait(motion.rig, "walk", rng)
    stepping = step(motion.rig, chosen, motion.style, motion.seconds, pace=0.8)
    cycles = rng.random() + motion.times / stepping.period
    forward = 0.25 * stepping.speed
    path = Path(forward, angle / motion.seconds, ease=motion.seconds)
    moving = bump(motion.progress) ** 0.5
    posture.stance(motion)
    follow(motion, path)
    step_along(motion, chosen, stepping, path, cycles, narrow=0.95)
    ride(motion, chosen, cycles, 0.5 * moving)
    lead = sign * bump(np.clip(motion.progress * 1.15, 0, 1), 0.75)
    motion.trunk((0, 0, 0), (0, 0.5 * motion.rig.plan.trunk.flex * lead, 0))
    motion.look(yaw=0.45 * lead)
    motion.bend(motion.rig.tail, yaw=-0.5 * lead)
    motion.ripple(motion.rig.tail, YAW, 0.1 * moving, cycles, 0.1)
    degrees = round(math.degrees(abs(angle)) / 15) * 15
    far = (
        "[all the way round|around]"
        if degrees >= 135
        else "[sharply|by a right angle]"
        if 80 <= degrees <= 100
        else f"by about {degrees} degrees"
    )
    verbs = (f"turn {way} on the spot", f"turn to the {way}", f"turn {way} {far}", f"turn {way} in place")
    return Telling(
        verbs,
        (
            f"[the head turns {way} first|it looks {way}]",
            "[the feet follow in small steps|its legs step round]",
            "[it comes to a stand again|then it stands still]",
        ),
        "[stands still|stands on its feet]",
    )


def _most(motion: Motion, seconds: float) -> float:
    """How far a body can turn in ``seconds`` before its feet would have to slide, in radians."""
    rig, style = motion.rig, motion.style
    chosen = gait(rig, "walk", random.Random(0))
    stepping = step(rig, chosen, style, motion.seconds)
    angles = []
    for leg in rig.legs:
        arm = float(np.linalg.norm((leg.home - rig.centre)[[0, 2]]))
        reach = 0.32 * leg.fold.lengths.sum()
        angles.append(reach / max(arm, 1e-6) / (chosen.duty * stepping.period) * seconds)
    return float(min(min(angles), 1.2 * seconds))
