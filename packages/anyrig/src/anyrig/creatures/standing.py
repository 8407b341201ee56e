"""What a creature does on its feet without going anywhere: the ground of attacks, meals, glances and falls."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures import posture
from anyrig.creatures.motion import Motion

Array = NDArray[np.float64]


def ready(motion: Motion, amount: float = 1.0, *, wings: float = 1.0) -> None:
    """The mood's posture with a little life in it; ``amount`` scales breath and fidgeting, which loop."""
    posture.stance(motion, wings=wings)
    breaths = max(1, round(motion.seconds / 1.9))
    posture.breathe(motion, breaths * motion.progress, 0.8 * amount)
    posture.fidget(motion, 0.6 * amount)
    rest_arms(motion)


def rest_arms(motion: Motion) -> None:
    """Lets arms hang, elbows a little bent."""
    if motion.rig.plan.arms is None or motion.rig.plan.arms.pincer:
        return
    for arm in motion.rig.arms:
        motion.turn(arm.joints[1], pitch=-0.15)
        posture.curl_fingers(motion, arm.fingers, 0.3)


def repeats(motion: Motion, rng: random.Random, seconds: float = 2.0) -> tuple[int, Array]:
    """How often something that takes about ``seconds`` fits in the clip, and where in it each frame is, (T,) 0 to 1."""
    n = max(1, round(motion.seconds / (seconds * rng.uniform(0.85, 1.2))))
    whole = n * motion.progress
    return n, np.where(motion.progress >= 1.0, 1.0, whole - np.floor(whole))


def stoop(motion: Motion, amount: Array) -> None:
    """Brings the head down by ``amount`` (T,), 1 as far as the body allows: neck first, then the forequarters."""
    rig, plan = motion.rig, motion.rig.plan
    height = rig.hip_height
    if "upright" in plan.habits:
        motion.tilt(0.35 * amount)
        motion.trunk((0.0, 0.0, 0.0), (1.0 * amount, 0.0, 0.0))
        motion.look(pitch=0.5 * amount)
        motion.shift(up=-0.3 * height * amount, forward=-0.06 * height * amount)
    elif len(rig.legs) <= 4:
        tilt = 0.0
        if len(rig.legs) == 2:
            tilt = 0.4 + 0.6 * plan.trunk.pitch
            motion.tilt(tilt * amount)
            motion.shift(up=-0.14 * height * amount)
            motion.bend(rig.tail, pitch=0.25 * amount)
        else:
            motion.heave(-0.03 * height * amount, -(0.12 if "columnar" in plan.habits else 0.24) * height * amount)
        _hang_head(motion, tilt, amount)
    else:
        motion.heave(0.15 * height * amount, -0.4 * height * amount)
        motion.look(pitch=0.45 * amount)


def _hang_head(motion: Motion, tilt: float, amount: Array) -> None:
    """The neck comes down to 60 degrees under the horizontal; the muzzle points down, not back between the legs."""
    rig, plan = motion.rig, motion.rig.plan
    neck = 0.0
    if plan.neck is not None:
        neck = max(0.0, (plan.neck.pitch + plan.neck.end_pitch) / 2 + math.radians(60) - tilt)
        motion.bend(rig.neck, pitch=neck * amount)
    if rig.head is not None and plan.head is not None:
        motion.turn(rig.head, pitch=(plan.head.pitch + math.radians(75) - neck - tilt) * amount)


def to_ground(motion: Motion, share: Array, gap: float = 0.03) -> tuple[Array, bool]:
    """Scales ``share`` (T,) so that :func:`stoop` by it brings the mouth ``gap`` (of the size) over the ground at 1.

    Returns the scaled curve, and whether the mouth gets there.
    """
    trial = replace(motion, times=np.linspace(0.0, 1.0, 14), exact={})
    posture.stance(trial)
    amounts = np.linspace(0.0, 1.25, 14)
    stoop(trial, amounts)
    heights = _mouth_heights(trial)
    low = gap * motion.size
    reached = heights <= low
    if not reached.any():
        return share * 1.25, bool(heights.min() <= 0.1 * motion.size)
    k = int(reached.argmax())
    if k == 0:
        return share * 0.0, True
    between = (heights[k - 1] - low) / max(heights[k - 1] - heights[k], 1e-9)
    return share * (amounts[k - 1] + between * (amounts[k] - amounts[k - 1])), True


def _mouth_heights(motion: Motion) -> Array:
    rig = motion.rig
    places, world = rig.world(motion.turns(), motion.origin(), upper=True)
    if rig.head is None or rig.mouth is None:
        return np.asarray(places[:, rig.root, 1])
    return np.asarray(places[:, rig.head, 1] + rot.rotate(world[:, rig.head], rig.mouth)[:, 1])
