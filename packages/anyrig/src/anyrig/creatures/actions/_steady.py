"""Walking, trotting and running on straight or curved paths: what these actions share."""

from __future__ import annotations

import math
import random

import numpy as np

from anyrig.creatures import posture
from anyrig.creatures.gaits import Gait, gait, step
from anyrig.creatures.motion import Motion
from anyrig.creatures.walking import Path, follow, ride, step_along

_LEGS = {
    "lateral": "[the legs step one after another|one foot after the other is lifted|the feet land one by one]",
    "diagonal": "[the legs swing in diagonal pairs|opposite fore and hind legs move together]",
    "lateral pairs": "[both legs of one side swing together|the legs pace, left pair and right pair in turn]",
    "gallop": "[the hind legs push off and the forelegs reach out in turn|fore and hind legs gather under the body "
    "and stretch out again]",
    "bound": "[both hind legs push off together|hind legs and forelegs move in pairs, in bounds]",
    "amble": "[the legs hurry one after another without a flight phase|the heavy legs step in a fast four-beat order]",
    "alternate": "[left and right leg swing in turn|the legs stride alternately]",
    "hops": "[both legs push off together|the feet leave and meet the ground as one]",
    "tripod": "[three legs step while the other three stand|the legs move in alternating tripods]",
    "tetrapod": "[four legs step while the other four stand|the legs move in alternating groups of four]",
    "ripple": "[a wave of steps runs from the hind legs to the front|the legs ripple from back to front]",
}


def go(
    motion: Motion, name: str, rng: random.Random, *, slip: float = 0.0, turn: float = 0.0, pace: float = 1.0
) -> Gait:
    """Steps along at constant speed in the gait ``name``; ``turn`` radians over the clip, ``slip`` as a path has it."""
    style = motion.style
    chosen = gait(motion.rig, name, rng)
    stepping = step(motion.rig, chosen, style, motion.seconds, pace=pace)
    cycles = rng.random() + motion.times / stepping.period
    path = Path(stepping.speed, turn / motion.seconds, slip)
    motion.cyclic, motion.speed = stepping.cyclic, stepping.speed
    posture.stance(motion)
    follow(motion, path)
    narrow = 0.75 if len(motion.rig.legs) == 2 else 0.95
    # A foot rolls over its ball when it goes forward.
    step_along(motion, chosen, stepping, path, cycles, narrow=narrow, roll=max(0.3, math.cos(slip)))
    ride(motion, chosen, cycles)
    if "upright" in motion.rig.plan.habits:
        lean = {"walk": 0.03, "trot": 0.12, "run": 0.2}[name] * np.cos(slip)
        motion.trunk((0.5 * lean, 0.0, 0.0), (lean, 0.0, 0.0))
        motion.look(pitch=-0.7 * lean)
    return chosen


def legs(chosen: Gait) -> str:
    """A clause on how the legs go in a gait."""
    return _LEGS[chosen.pattern]


def body(motion: Motion, chosen: Gait) -> list[str]:
    """Clauses on what the rest of the body does while it goes."""
    plan, clauses = motion.rig.plan, []
    if "sprawls" in plan.habits:
        clauses.append("[the trunk bends from side to side|the spine snakes left and right]")
    elif chosen.pattern in ("gallop", "bound"):
        clauses.append("[the back arches and stretches|the spine flexes with every leap|the body rocks back and forth]")
    elif chosen.name == "walk":
        clauses.append("[the body sways gently|the trunk rocks a little from side to side|the body stays level]")
    else:
        clauses.append("[the body bounces|the trunk bobs up and down|the body springs with each step]")
    if motion.rig.arms and "upright" in plan.habits:
        bent = "" if chosen.name == "walk" else "bent "
        clauses.append(f"[its {bent}arms swing against the legs|the {bent}arms swing back and forth]")
    if len(motion.rig.tail) > 1 and plan.kind in ("quadruped", "biped", "dragon"):
        clauses.append("[the tail sways behind|its tail swings from side to side|the tail follows in a wave]")
    if plan.wings is not None and plan.legs:
        clauses.append("[the wings stay folded|its wings are held against the body]")
    return clauses


def standing(motion: Motion) -> str:
    """The pose of a creature in mid-step."""
    n = len(motion.rig.legs)
    return (
        "[is in mid-stride|is on the move|is under way]" if n == 2 else "[is in mid-step|is on the move|is under way]"
    )
