"""Jumps: a crouch, a push, a parabola, a landing that gives."""

from __future__ import annotations

import math
import random

import numpy as np

from anyrig.creatures import posture, standing
from anyrig.creatures.curves import hermite, smooth, spans
from anyrig.creatures.gaits import GRAVITY
from anyrig.creatures.motion import Motion


def leap(motion: Motion, rng: random.Random, *, height: float, distance: float) -> None:
    """Jumps ``height`` metres up and ``distance`` forward, once: from standing to standing."""
    rig, t = motion.rig, motion.times
    standing.ready(motion, 0.4)
    flight = 2.0 * math.sqrt(2.0 * height / GRAVITY)
    total = motion.seconds
    flight = min(max(flight, 0.42), 0.5 * total)  # a shorter one is over before a frame shows it
    lift = 4.0 * height / flight  # the speed at take-off of a parabola as high and as long
    start = rng.uniform(0.42, 0.52) * (total - flight)
    end = start + flight
    dip, rise = 0.28 * rig.hip_height * rng.uniform(0.8, 1.1), 0.06 * rig.hip_height
    low, settled = 0.6 * start, end + 0.35 * (total - end)
    air = (t > start) & (t < end)
    x = np.clip((t - start) / flight, 0.0, 1.0)
    push = hermite(t, (0, 0, 0), (low, -dip, 0), (start, rise, lift))
    give = hermite(t, (end, rise, -lift), (settled, -0.9 * dip, 0), (total, 0, 0))
    motion.shift(up=np.where(t <= start, push, np.where(air, rise + 4.0 * height * x * (1 - x), give)))
    speed = distance / flight
    lean = 0.12 * distance
    ahead = hermite(
        t,
        (0, 0, 0),
        (low, -0.3 * lean, 0),
        (start, lean, speed),
        (end, lean + distance, speed),
        (settled, 1.5 * lean + distance, 0),
        (total, distance, 0),
    )
    motion.shift(forward=ahead)
    _legs(motion, x, distance)
    _body(motion, x, spans(t, (0, low), (low, start)), spans(t, (end, settled), (settled, total)), distance)


def _legs(motion: Motion, x: np.ndarray, distance: float) -> None:
    feet = motion.feet
    feet.point[..., 2] += distance * smooth(x)[:, None]
    off = spans(x, (0.0, 0.3), (0.7, 1.0))
    flying = (x > 0) & (x < 1)
    reach = 0.55 * (x - 0.45)
    for k, leg in enumerate(motion.rig.legs):
        fore = len(motion.rig.legs) > 2 and leg.pair == 0
        motion.feet.release(
            [k], off, stretch=0.66 if fore else 0.72, swing=(0.35 if fore else -0.25) + reach * (distance > 0)
        )
        feet.planted[:, k] &= ~flying
        feet.pitch[:, k] += 0.7 * spans(x, (0.0, 0.12), (0.55, 0.95))
        feet.toe[:, k] += 0.7 * off * (1 - smooth((x - 0.5) / 0.4))


def _body(motion: Motion, x: np.ndarray, crouch: np.ndarray, landing: np.ndarray, distance: float) -> None:
    rig = motion.rig
    air = spans(x, (0.0, 0.3), (0.7, 1.0))
    if len(rig.legs) == 2:
        bow = 0.3 * crouch + 0.22 * landing
        motion.trunk((0.4 * bow, 0, 0), (bow + 0.1 * air, 0, 0))
        motion.look(pitch=-0.7 * bow)
    else:  # the forequarters rise first and land first
        tip = (0.22 if distance > 0 else 0.08) * (2.0 * x - 1.0) * spans(x, (0.0, 0.15), (0.85, 1.0))
        motion.tilt(tip + 0.05 * crouch - 0.06 * landing)
        motion.look(pitch=-0.6 * tip)
        arch = rig.plan.trunk.flex * (0.3 * crouch - 0.2 * air + 0.2 * landing)
        motion.trunk((-0.5 * arch, 0, 0), (0.5 * arch, 0, 0))
    swing = 0.9 * crouch - 1.9 * air - 0.3 * landing
    for arm in rig.arms:
        if "upright" in rig.plan.habits:
            motion.turn(arm.joints[0], pitch=swing, roll=arm.side * 0.25 * air)
            motion.turn(arm.joints[1], pitch=-0.4 * (crouch + air + landing))
    motion.bend(
        rig.tail, pitch=(0.45 * air - 0.25 * crouch) * (0.3 if rig.plan.kind in ("hexapod", "octopod") else 1.0)
    )
    if rig.wings:
        posture.fold_wings(motion, -0.3 * air)
