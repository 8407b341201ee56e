"""Standing, floating or lying about: breathing, shifting weight, looking a little around."""

from __future__ import annotations

import random

from anyrig.creatures import aquatic, posture, serpentine
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import wave
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Everything."""
    return True


def act(motion: Motion, rng: random.Random) -> Telling:
    """Nothing much, in a loop."""
    kind = motion.rig.plan.kind
    if kind == "fish":
        return aquatic.hover(motion, rng)
    if kind == "serpent":
        return serpentine.idle(motion, rng)
    motion.cyclic = True
    u, energy = motion.progress, motion.style.energy
    breaths = max(1, round(motion.seconds / rng.uniform(1.4, 2.4)))
    shifts = max(1, round(motion.seconds / 4.0))
    posture.stance(motion)
    posture.breathe(motion, breaths * u, energy)
    sway = 0.012 * motion.size * energy * wave(shifts * u, rng.random())
    motion.place[:, 0] += sway
    motion.trunk((0.0, 0.0, 0.02 * energy * wave(shifts * u)), (0.0, 0.015 * energy * wave(shifts * u), 0.0))
    glance = rng.uniform(0.08, 0.22) * energy
    motion.look(yaw=glance * wave(shifts * u, rng.random()), pitch=0.05 * energy * wave(breaths * u, rng.random()))
    posture.fidget(motion, energy)
    relax_arms(motion, u, shifts)
    return Telling(_verbs(kind), _parts(motion), "[stands still|stands in place|stands there]", paced=False)


def relax_arms(motion: Motion, u: object, shifts: int) -> None:
    """Arms that hang, elbows a little bent."""
    if motion.rig.plan.arms is None or motion.rig.plan.arms.pincer:
        return
    for arm in motion.rig.arms:
        motion.turn(arm.joints[0], pitch=0.04 * wave(shifts * u, 0.2 * arm.side))  # type: ignore[operator]
        motion.turn(arm.joints[1], pitch=-0.15)
        posture.curl_fingers(motion, arm.fingers, 0.3)


def _verbs(kind: str) -> tuple[str, ...]:
    if kind == "biped":
        return ("stand idle", "stand still", "idle", "wait in place")
    return ("stand idle", "stand still", "idle", "rest on its feet", "wait in place")


def _parts(motion: Motion) -> tuple[str, ...]:
    plan = motion.rig.plan
    parts = ["[the chest rises and falls with its breath|it breathes|its body heaves gently as it breathes]"]
    parts.append("[the feet stay where they are|its feet do not move|all feet remain on the ground]")
    parts.append("[its weight shifts a little from side to side|the body sways slightly|the head turns slightly]")
    if plan.tail is not None and plan.kind in ("quadruped", "dragon") and len(motion.rig.tail) > 1:
        parts.append("[the tail swishes|its tail swings lazily|the tail sways]")
    if motion.rig.ears:
        parts.append("[the ears twitch|its ears flick]")
    if motion.rig.antennae:
        parts.append("[the antennae feel about|its feelers wave]")
    return tuple(parts)
