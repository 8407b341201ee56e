"""What the rest of a body does meanwhile: how it carries head, tail, wings, arms and ears in a mood."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures.curves import Curve, wave
from anyrig.creatures.gaits import Gait
from anyrig.creatures.motion import PITCH, YAW, Motion
from anyrig.creatures.wings import folded

Array = NDArray[np.float64]


def stance(motion: Motion, *, wings: Curve = 1.0) -> None:
    """The mood's posture: head and tail raised or lowered, knees bent; wings folded by ``wings`` (0 to 1)."""
    rig, style = motion.rig, motion.style
    if rig.legs:
        motion.look(pitch=-style.head)
        motion.place[:, 1] -= style.crouch * rig.hip_height
        if "sting" not in rig.plan.habits:
            motion.bend(rig.tail, pitch=0.8 * style.tail)
    if "upright" in rig.plan.habits and style.head < -0.2:  # who hangs his head lets his shoulders hang too
        motion.trunk((0.0, 0.0, 0.0), (-0.5 * style.head, 0.0, 0.0))
    for ear in rig.ears:
        motion.turn(ear.joints[0], pitch=-0.9 * min(0.0, style.head + style.tail))
    if rig.wings and rig.plan.kind != "fish":
        fold_wings(motion, wings)


def fold_wings(motion: Motion, amount: Curve) -> None:
    """Folds the wings by ``amount``; a large wing is held a little up so that it clears the ground."""
    rig = motion.rig
    amount = np.broadcast_to(np.asarray(amount, dtype=np.float64), motion.times.shape)
    n = len(rig.plan.wings.lengths) if rig.plan.wings else 0
    for wing in rig.wings:
        angles = folded(n, amount, wing.side)
        for k in range(n):
            motion.turn(wing.joints[k], yaw=angles[:, k])
        up = 0.22 if n > 2 else 0.1
        motion.turn(wing.joints[0], roll=wing.side * up * amount, pitch=0.15 * amount)
        for f, finger in enumerate(wing.fingers):  # the fingers close like a fan's
            motion.turn(finger[0], yaw=-wing.side * (0.5 + 0.35 * f) * amount)


def carry(motion: Motion, cycles: Array, amount: Curve, gait: Gait | None = None) -> None:
    """Tail, ears, antennae and nose in step with the body; ``cycles`` (T,) is its phase."""
    rig, style = motion.rig, motion.style
    lively = np.asarray(amount) * (1.0 + max(0.0, style.tail))
    if rig.tail and "sting" not in rig.plan.habits and rig.plan.kind not in ("hexapod", "octopod"):
        sprawls = "sprawls" in rig.plan.habits
        motion.ripple(rig.tail, YAW, (0.7 if sprawls else 0.3) * lively, cycles, 0.09 if sprawls else 0.06)
        motion.ripple(rig.tail, PITCH, 0.1 * lively, 2 * np.asarray(cycles), 0.08)
    elif rig.tail:
        motion.ripple(rig.tail, PITCH, 0.05 * lively, 2 * np.asarray(cycles), 0.05)
    for limb in (*rig.ears, *rig.antennae):
        motion.bend(limb.joints, pitch=0.12 * lively * wave(2 * cycles, 0.1 if limb.side > 0 else 0.2))
    motion.ripple(rig.nose, PITCH, 0.25 * lively, cycles, 0.08)
    motion.ripple(rig.nose, YAW, 0.2 * lively, cycles, 0.1)
    if gait is not None and gait.name == "walk" and rig.plan.kind == "quadruped":
        motion.look(pitch=0.05 * lively * wave(2 * cycles, 0.15))


def swing_arms(motion: Motion, gait: Gait, cycles: Array, amount: Curve) -> None:
    """Arms that swing against the legs, elbows bent the more the faster; pincers are held up."""
    rig = motion.rig
    if not rig.arms:
        return
    upright = "upright" in rig.plan.habits
    reach, elbow = {"walk": (0.42, 0.25), "trot": (0.6, 1.1), "run": (0.85, 1.45)}[gait.name]
    for arm in rig.arms:
        if rig.plan.arms is not None and rig.plan.arms.pincer:
            motion.turn(arm.joints[0], pitch=-0.12 * np.asarray(amount) * wave(cycles, 0.25 * arm.side))
            continue
        leg = 0 if arm.side > 0 else 1
        back = np.asarray(amount) * np.cos(2 * np.pi * (cycles - gait.offsets[leg]))
        if upright:
            motion.turn(arm.joints[0], pitch=reach * back - 0.15 * reach)
            motion.turn(arm.joints[1], pitch=-elbow + 0.3 * reach * back)
            curl_fingers(motion, arm.fingers, 0.4 + 0.5 * (gait.name != "walk"))
        else:
            motion.turn(arm.joints[0], pitch=0.12 * back - 0.1)
            motion.turn(arm.joints[1], pitch=-0.2)


def curl_fingers(motion: Motion, fingers: tuple[tuple[int, ...], ...], amount: Curve) -> None:
    """Curls fingers toward the palm by ``amount`` (1 is a fist)."""
    for finger in fingers:
        for joint in finger[:2]:
            motion.turn(joint, pitch=-0.7 * np.asarray(amount))


def breathe(motion: Motion, cycles: Array, amount: float = 1.0) -> None:
    """The chest rises and falls; so do shoulders, ears and antennae a little."""
    rig = motion.rig
    swell = wave(cycles)
    motion.trunk((0.0, 0.0, 0.0), (-0.02 * amount * swell, 0.0, 0.0))
    motion.place[:, 1] += 0.006 * amount * motion.size * swell
    for arm in rig.arms:
        motion.turn(arm.joints[0], roll=arm.side * 0.03 * amount * swell)
    motion.look(pitch=0.02 * amount * wave(cycles, 0.15))


def fidget(motion: Motion, amount: float = 1.0) -> None:
    """Small things that living creatures do all the time, looping over the clip: ears, antennae, tail, fingers."""
    rig, rng = motion.rig, random.Random(motion.style.seed)
    u = motion.progress
    fast = max(1, round(motion.seconds / rng.uniform(0.8, 1.4)))
    slow = max(1, round(motion.seconds / rng.uniform(1.6, 2.6)))
    for limb in (*rig.ears, *rig.antennae):
        lag = rng.random()
        motion.bend(limb.joints, pitch=0.25 * amount * wave(fast * u, lag), yaw=0.2 * amount * wave(slow * u, lag))
    if "sting" in rig.plan.habits:
        motion.ripple(rig.tail, PITCH, 0.12 * amount, slow * u, 0.07)
    elif rig.tail:
        lively = amount * (1.0 + 1.5 * max(0.0, motion.style.tail))
        beat = fast if motion.style.mood == "playful" else slow
        few = 0.25 if rig.plan.kind in ("hexapod", "octopod", "bird") else 1.0
        motion.ripple(rig.tail, YAW, 0.45 * few * lively, beat * u, 0.08)
        motion.ripple(rig.tail, PITCH, 0.12 * few * lively, slow * u, 0.1)
    motion.ripple(rig.nose, PITCH, 0.4 * amount, slow * u, 0.08)
    motion.ripple(rig.nose, YAW, 0.3 * amount, slow * u, 0.14)
    for part in rig.mandibles:
        motion.turn(part.joints[0], yaw=part.side * 0.12 * amount * (1 - np.cos(2 * np.pi * fast * u)))
    for arm in rig.arms:
        if rig.plan.arms is not None and rig.plan.arms.pincer:
            motion.turn(arm.joints[0], pitch=0.08 * amount * wave(slow * u, 0.25 * arm.side))
            pinch(motion, arm.fingers, 0.4 * amount * (1 - np.cos(2 * np.pi * slow * u)))


def pinch(motion: Motion, fingers: tuple[tuple[int, ...], ...], amount: Curve) -> None:
    """Opens a pincer by ``amount``."""
    for sign, finger in zip((1, -1), fingers, strict=False):
        motion.turn(finger[0], yaw=-sign * 0.4 * np.asarray(amount))
