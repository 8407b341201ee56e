"""Swimming: waves that run down the body, fins that steer, rays that fly through the water.

The lateral displacement at x (0 nose, 1 tail) is ``A(x) sin(2 pi (c - x / wave))`` with an amplitude that grows toward
the tail (Videler & Hess, Fast continuous swimming of two pelagic predators, J. Exp. Biol. 1984), as a part of the
length; a beat carries a fish about 0.7 lengths forward (Bainbridge 1958).
"""

from __future__ import annotations

import math
import random

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import TAU, Curve, wave
from anyrig.creatures.motion import PITCH, YAW, Motion

Array = NDArray[np.float64]

_LENGTHS_A_BEAT = 0.65


def beat_period(motion: Motion, quick: float = 1.0) -> float:
    """Seconds a tail beat, fitted so that whole beats fill the clip; small fish beat faster."""
    length = motion.rig.plan.size
    period = 0.62 * (length / 1.0) ** 0.42 / (motion.style.speed * quick)
    period = min(max(period, 0.45), 2.2)
    return float(motion.seconds / max(1, round(motion.seconds / period)))


def altitude(motion: Motion, rng: random.Random) -> None:
    """Lifts the creature off the bottom, to where its strokes and turns are free of it."""
    motion.place[:, 1] += motion.rig.plan.size * rng.uniform(0.6, 1.1)


def undulate(motion: Motion, cycles: Array, amount: Curve = 1.0) -> None:
    """Sends a wave of the body's own kind from nose to tail; ``cycles`` (T,) is its phase, ``amount`` scales it."""
    rig, habits = motion.rig, motion.rig.plan.habits
    amount = np.asarray(amount) * motion.style.energy**0.6
    if "rays" in habits:
        _flap_sides(motion, cycles, amount)
        return
    eel = rig.plan.kind == "serpent" or "eel" in habits
    axis = PITCH if "vertical" in habits else YAW
    length = 0.75 if eel else 1.15
    head = 0.0 if rig.mouth is None else abs(float(rig.mouth[2])) / max(rig.length, 1e-9)
    nose = float(rig.natural[[j for j, _ in rig.trunk], 2].max()) + head * rig.length
    at = {j: (nose - float(rig.natural[j, 2])) / rig.length for j, _ in rig.trunk}
    if rig.head is not None:
        at[rig.head] = 0.35 * head
    slopes = {j: amount * _slope(x, cycles, length, eel) for j, x in at.items()}
    for j in at:
        parent = rig.skeleton.parents[j]
        before = slopes.get(parent, 0.0)
        motion.angles[:, j, axis] += slopes[j] - before
    aside = amount * _envelope(at[rig.root], eel) * rig.length * wave(cycles, at[rig.root] / length)
    if axis == YAW:
        motion.shift(left=aside)
    else:
        motion.place[:, 1] += aside
    _trail(motion, cycles, axis, amount, length)


def _envelope(x: float, eel: bool) -> float:
    """The amplitude at ``x``, in body lengths."""
    return 0.03 + 0.07 * x + 0.03 * x * x if eel else 0.024 - 0.05 * x + 0.13 * x * x


def _slope(x: float, cycles: Array, length: float, eel: bool) -> Array:
    """The angle of the body's line at ``x``: the derivative of its displacement, with the nose forward."""
    step = 1e-4
    after = _envelope(x + step, eel) * wave(cycles, (x + step) / length)
    before = _envelope(x - step, eel) * wave(cycles, (x - step) / length)
    return np.asarray(-np.arctan((after - before) / (2 * step)))


def _trail(motion: Motion, cycles: Array, axis: int, amount: Curve, length: float) -> None:
    """The tail fin lags behind the last bone; side fins are held out and steer a little."""
    rig = motion.rig
    for fin in rig.caudals:
        if axis == PITCH:
            motion.turn(fin.joints[0], pitch=0.35 * np.asarray(amount) * wave(cycles, 1.0 / length + 0.2))
        else:
            motion.turn(fin.joints[0], yaw=0.3 * np.asarray(amount) * wave(cycles, 1.0 / length + 0.2))
    for fin in rig.pectorals:
        motion.turn(fin.joints[0], roll=fin.side * 0.1 * wave(cycles, 0.3), pitch=0.08 * wave(cycles))


def _flap_sides(motion: Motion, cycles: Array, amount: Curve) -> None:
    """A ray's fins beat up and down, their tips after their roots; the body heaves against them."""
    rig = motion.rig
    for wing in rig.wings:
        n = max(len(wing.joints) - 1, 1)
        for k, joint in enumerate(wing.joints):
            motion.turn(joint, roll=wing.side * 0.62 / n**0.6 * np.asarray(amount) * wave(cycles, 0.13 * k))
            motion.turn(joint, pitch=-0.2 / n * np.asarray(amount) * wave(cycles, 0.13 * k + 0.25))
    motion.place[:, 1] -= 0.035 * rig.plan.size * np.asarray(amount) * wave(cycles)
    motion.trunk(
        (0.05 * np.asarray(amount) * wave(cycles, 0.3), 0.0, 0.0),
        (0.04 * np.asarray(amount) * wave(cycles, 0.25), 0.0, 0.0),
    )
    motion.ripple(rig.tail, YAW, 0.25, cycles, 0.1)


def scull(motion: Motion, cycles: Array, amount: float = 1.0) -> None:
    """Side fins that fan to and fro, as a fish's that stays in place."""
    for fin in motion.rig.pectorals:
        motion.bend(fin.joints, yaw=fin.side * 0.4 * amount * wave(cycles, 0.25 * (fin.side < 0)))
        motion.bend(fin.joints, roll=fin.side * 0.25 * amount * wave(cycles, 0.25 * (fin.side < 0) + 0.25))


def cruise(
    motion: Motion,
    rng: random.Random,
    *,
    quick: float = 1.0,
    amount: float = 1.0,
    turn: float = 0.0,
    climb: float = 0.0,
) -> None:
    """Swims on at constant speed, turning by ``turn`` and rising at the angle ``climb`` (radians)."""
    altitude(motion, rng)
    period = beat_period(motion, quick)
    cycles = rng.random() + motion.times / period
    lengths = _LENGTHS_A_BEAT * (0.8 if motion.rig.plan.kind == "serpent" else 1.0)
    motion.speed = lengths * motion.rig.plan.size / period * min(1.3, amount)
    motion.cyclic = True
    rate = turn / motion.seconds
    heading = rate * motion.times
    forward = motion.speed * math.cos(climb)
    if abs(rate) > 1e-9:
        motion.place[:, 0] += forward / rate * (1 - np.cos(heading))
        motion.place[:, 2] += forward / rate * np.sin(heading)
    else:
        motion.place[:, 2] += forward * motion.times
    motion.heading += heading
    rise = motion.speed * math.sin(climb) * motion.times
    motion.place[:, 1] += rise - min(0.0, float(rise.min()))
    if climb:
        motion.turn(motion.rig.root, pitch=-climb)
    if turn:
        bank = -np.clip(0.3 * rate, -0.5, 0.5)
        motion.turn(motion.rig.root, roll=bank)
        curve = np.clip(0.35 * rate, -0.7, 0.7)
        motion.trunk((0.0, -0.5 * curve, 0.0), (0.0, 0.5 * curve, 0.0))
    undulate(motion, cycles, amount)


def clauses(motion: Motion) -> tuple[str, ...]:
    """Clauses on how the body swims."""
    habits = motion.rig.plan.habits
    if "rays" in habits:
        return ("[the wide fins beat up and down like wings|its wing-like fins rise and fall]",
                "[a wave runs out to the tips of the fins|the fin tips follow the roots]")  # fmt: skip
    if "vertical" in habits:
        return (
            "[the tail beats up and down|its flukes stroke up and down]",
            "[the body flexes in a vertical wave|the back arches and straightens]",
        )
    if "eel" in habits or motion.rig.plan.kind == "serpent":
        return (
            "[waves run down the whole body|the long body undulates from head to tail]",
            "[the head swings a little|the tail swings widest]",
        )
    return (
        "[the tail beats from side to side|its tail fin sweeps left and right]",
        "[the body bends in a wave that grows toward the tail|the head stays nearly still]",
    )


def hover(motion: Motion, rng: random.Random) -> Telling:
    """Stays in place with slow strokes."""
    motion.cyclic = True
    altitude(motion, rng)
    slow = max(1, round(motion.seconds / (1.6 * beat_period(motion))))
    cycles = rng.random() + slow * motion.progress
    undulate(motion, cycles, 0.3 if "rays" not in motion.rig.plan.habits else 0.45)
    scull(motion, cycles)
    motion.place[:, 1] += 0.025 * motion.rig.plan.size * wave(max(1, slow // 2) * motion.progress, rng.random())
    motion.open_jaw(0.12 * (1 - np.cos(TAU * slow * motion.progress)))
    parts = [
        "[it stays in place|it keeps its place in the water]",
        "[the tail moves only a little|the body makes small slow waves]",
    ]
    if motion.rig.pectorals:
        parts.append("[the side fins fan gently|its fins scull to and fro]")
    return Telling(
        ("hover in the water", "float in place", "idle", "drift in place"),
        tuple(parts),
        "[floats in the water|hangs in the water]",
        paced=False,
    )
