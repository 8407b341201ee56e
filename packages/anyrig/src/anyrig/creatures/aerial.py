"""Flight: wings that beat and bear, bodies that stretch out in the air, take-offs and landings.

A wing's downstroke pushes the body up: with a lift that follows the stroke's speed the body heaves by
``g / (2 pi f)^2`` at a beat of frequency ``f``, a quarter of a beat behind the wings. Large wings beat more slowly
(Pennycuick, Wingbeat frequency of birds in steady cruising flight, J. Exp. Biol. 1996; here flattened, so that the
fastest beat is still told at 15 frames a second).
"""

from __future__ import annotations

import math
import random

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures import posture
from anyrig.creatures.curves import TAU, Curve, hermite, smooth, spans, track, wave
from anyrig.creatures.gaits import GRAVITY
from anyrig.creatures.motion import PITCH, YAW, Motion
from anyrig.creatures.plans import Plan
from anyrig.creatures.wings import folded

Array = NDArray[np.float64]

_FASTEST = 2.5  # beats a second


def able(plan: Plan) -> bool:
    """Whether a body flies through the air; a flying fish stays in the water."""
    return plan.flies and plan.kind != "fish"


def half_span(motion: Motion) -> float:
    """The length of a wing, in metres."""
    return float(sum(motion.rig.plan.wings.lengths)) if motion.rig.plan.wings else 0.0


def beat_period(motion: Motion, quick: float = 1.0) -> float:
    """Seconds a wing beat, not fitted to the clip."""
    rate = 1.75 * (2 * half_span(motion)) ** -0.36 * motion.style.speed**0.7 * quick
    if motion.rig.plan.kind == "hexapod":
        rate = _FASTEST
    return float(1.0 / min(max(rate, 0.65), _FASTEST))


def fitted_period(motion: Motion, quick: float = 1.0) -> float:
    """Seconds a wing beat, with whole beats in the clip."""
    return float(motion.seconds / max(1, round(motion.seconds / beat_period(motion, quick))))


def cruising_speed(motion: Motion) -> float:
    """Metres a second, from the wings' size."""
    return math.sqrt(2.2 * GRAVITY * half_span(motion)) * motion.style.speed


def clearance(motion: Motion) -> float:
    """How far up, in metres, the wings' downstroke is free of the ground."""
    return 1.05 * half_span(motion) + 0.3 * motion.size


def flap(motion: Motion, cycles: Array, amount: Curve = 1.0, *, mean: Curve = 0.12) -> None:
    """Beats the wings; whole numbers of ``cycles`` (T,) are the top of the stroke. ``amount`` scales the beat and the
    body's heave, ``mean`` (radians) is the middle of the stroke over the horizontal."""
    rig, energy = motion.rig, motion.style.energy**0.5
    n = len(rig.plan.wings.lengths) if rig.plan.wings else 0
    amount = np.asarray(amount) * energy
    reach = (0.62, 0.75)[rig.plan.kind == "hexapod"]
    raised = (1.0 - wave(cycles)) / 2.0  # 1 in the middle of the upstroke
    for wing in rig.wings:
        angles = folded(n, 0.24 * amount * raised**2 if n > 2 else 0.0 * raised, wing.side)
        for k in range(n):
            lag, share = 0.09 * k, (1.0, 0.42, 0.34, 0.26)[min(k, 3)]
            beat = share * reach * amount * np.cos(TAU * (cycles - lag))
            motion.turn(
                wing.joints[k], roll=wing.side * (beat + (np.asarray(mean) if k == 0 else 0.0)), yaw=angles[:, k]
            )
        motion.turn(wing.joints[0], pitch=0.22 * amount * wave(cycles))
        for finger in wing.fingers:
            motion.turn(finger[0], roll=wing.side * 0.15 * amount * np.cos(TAU * (cycles - 0.25)))
    period = beat_period(motion)
    heave = min(0.45 * GRAVITY * (period / TAU) ** 2, 0.11 * half_span(motion))
    motion.shift(up=-heave * amount * wave(cycles))
    motion.trunk((0.03 * amount * wave(cycles, 0.15), 0.0, 0.0), (0.05 * amount * wave(cycles, 0.15), 0.0, 0.0))


def stretch_out(motion: Motion, amount: Curve, *, pitch: Curve = 0.08, legs: str = "trail") -> None:
    """The pose of flight, by ``amount`` (0 to 1): the trunk ``pitch`` (radians) above the horizontal, the neck forward,
    the head level. ``legs`` go ``"trail"`` (tucked back), ``"hang"`` or ``"reach"`` (forward, to land or grasp)."""
    rig, plan = motion.rig, motion.rig.plan
    amount = np.broadcast_to(np.asarray(amount, dtype=np.float64), motion.times.shape)
    turned = amount * (plan.trunk.pitch - np.asarray(pitch))
    motion.tilt(turned)
    if plan.neck is not None:
        mean = (plan.neck.pitch + plan.neck.end_pitch) / 2
        neck = amount * 0.75 * (mean - math.radians(14)) - turned
        motion.bend(rig.neck, pitch=neck)
        if rig.head is not None:
            motion.turn(rig.head, pitch=-(turned + neck))
    if rig.tail:
        motion.turn(rig.tail[0], pitch=-0.8 * turned)
        motion.bend(rig.tail, pitch=0.1 * amount)
    tuck(motion, amount, legs)


def tuck(motion: Motion, amount: Array, legs: str) -> None:
    """Takes the feet off the ground by ``amount`` (T,) and holds them as :func:`stretch_out` says."""
    rig = motion.rig
    insect = rig.plan.kind == "hexapod"
    poses = {"trail": (0.66, -1.15, 1.0), "hang": (0.84, -0.35, 0.7), "reach": (0.9, 0.5, 0.0)}
    for k, leg in enumerate(rig.legs):
        stretch, swing, point = (0.8, -0.25, 0.0) if insect else poses[legs]
        if len(rig.legs) == 4 and leg.pair == 0 and legs == "trail":
            stretch, swing = 0.58, -0.75
        motion.feet.release([k], amount, stretch=stretch, swing=swing)
        motion.feet.pitch[:, k] += point * amount
        motion.feet.toe[:, k] += point * amount


def advance(motion: Motion, speed: Array) -> None:
    """Moves the body forward at ``speed`` (T,) m/s along its heading."""
    steps = np.concatenate([[0.0], (speed[1:] + speed[:-1]) / 2 / motion.fps])
    turned = motion.heading
    motion.place[:, 0] += np.cumsum(steps * np.sin(turned))
    motion.place[:, 2] += np.cumsum(steps * np.cos(turned))


def bank(motion: Motion, turn: float) -> None:
    """Turns the heading by ``turn`` radians over the clip at a constant rate, leaning into the curve."""
    rate = turn / motion.seconds
    motion.heading += rate * motion.times
    motion.turn(motion.rig.root, roll=-math.copysign(min(0.6, 0.55 * abs(rate)), rate) if turn else 0.0)
    motion.look(yaw=0.2 * rate)
    motion.bend(motion.rig.tail, yaw=-0.25 * rate)


def trail(motion: Motion, cycles: Array) -> None:
    """Tail and nose that follow the beat."""
    rig = motion.rig
    if len(rig.tail) > 2:
        motion.ripple(rig.tail, PITCH, 0.3, cycles, 0.1)
        motion.ripple(rig.tail, YAW, 0.18, cycles * 0.5 if not motion.cyclic else cycles, 0.08)
    for antenna in rig.antennae:
        motion.bend(antenna.joints, pitch=-0.2 + 0.05 * wave(cycles))


def take_off(motion: Motion, rng: random.Random) -> float:
    """Crouches, spreads the wings, jumps and climbs; returns when it leaves the ground, as a part of the clip."""
    t, u = motion.times, motion.progress
    leave = rng.uniform(0.32, 0.4)
    ground, end = leave * motion.seconds, motion.seconds
    posture.stance(motion, wings=1.0 - smooth((u - 0.06) / 0.22))
    flying = smooth((u - leave) / 0.3)
    stretch_out(motion, flying, pitch=0.4 * (1 - smooth((u - 0.8) / 0.2)) + 0.08)
    tuck(motion, smooth((t - ground) / max(0.1 * end, 0.3)), "trail")
    period = beat_period(motion, 1.15)
    flap(motion, np.maximum((t - ground) / period, 0.0), smooth((u - 0.14) / 0.14), mean=0.2)
    height = rng.uniform(1.0, 1.5) * clearance(motion)
    rise, dip = 0.08 * motion.size, 0.22 * motion.size
    climb = 1.3 * height / (end - ground)
    motion.shift(
        up=hermite(t, (0, 0, 0), (0.6 * ground, -dip, 0), (ground, rise, 0.8 * climb), (end, height, 0.9 * climb))
    )
    advance(motion, 0.75 * cruising_speed(motion) * smooth((u - 0.85 * leave) / (1.1 - 0.85 * leave)) ** 0.8)
    motion.look(pitch=-0.2 * spans(u, (0.1, 0.3), (leave, leave + 0.2)))
    return leave


def land(motion: Motion, rng: random.Random) -> float:
    """Comes down with raised trunk and beating wings, touches the ground, folds up; returns when it touches."""
    t, u = motion.times, motion.progress
    touch = rng.uniform(0.56, 0.64)
    ground, end = touch * motion.seconds, motion.seconds
    posture.stance(motion, wings=smooth((u - touch - 0.06) / 0.24))
    flying = 1.0 - smooth((u - touch + 0.16) / 0.28)
    flare = spans(u, (touch - 0.4, touch - 0.1), (touch - 0.02, touch + 0.16))
    stretch_out(motion, flying, pitch=0.12 + 0.5 * flare)
    reaching = smooth((u - touch + 0.42) / 0.26)
    loose = 1.0 - smooth((u - touch + 0.14) / 0.14)
    for k in range(len(motion.rig.legs)):  # from trailing to reaching for the ground
        feet = motion.feet
        feet.loose[:, k] = loose
        feet.stretch[:, k] += (0.95 - feet.stretch[:, k]) * reaching
        feet.swing[:, k] += (0.3 - feet.swing[:, k]) * reaching
        feet.pitch[:, k] *= loose * (1 - reaching)
        feet.toe[:, k] *= loose * (1 - reaching)
    period = beat_period(motion, 1.1)
    flap(motion, (t - ground) / period + 0.25, 1.15 * (1.0 - smooth((u - touch) / 0.16)), mean=0.18)
    height = rng.uniform(0.9, 1.4) * clearance(motion)
    sink = height / ground
    rise, dip = 0.02 * motion.size, 0.2 * motion.size
    motion.shift(
        up=hermite(
            t, (0, height, -sink), (ground, rise, -0.35 * sink), (ground + 0.4 * (end - ground), -dip, 0), (end, 0, 0)
        )
    )
    speed = 0.6 * cruising_speed(motion) * (1.0 - smooth(u / (touch + 0.02))) ** 1.2
    advance(motion, speed)
    motion.feet.point += (motion.place[-1] - motion.place[0]) * np.array([1.0, 0.0, 1.0])
    return touch


def dive(motion: Motion, rng: random.Random) -> None:
    """Draws the wings in, drops head first, spreads them and levels out."""
    t, u = motion.times, motion.progress
    steep = rng.uniform(0.6, 0.95)
    down = spans(u, (0.12, 0.38), (0.58, 0.86))
    stretch_out(motion, 1.0, pitch=0.08 - steep * down)
    posture.fold_wings(motion, 0.62 * spans(u, (0.1, 0.3), (0.55, 0.75)))
    flap(motion, t / beat_period(motion), 0.7 * (1.0 - spans(u, (0.0, 0.15), (0.7, 0.95))), mean=0.15)
    fall = track(u, (0.12, 0.0), (0.92, 1.0))
    height = clearance(motion) + 0.5 * motion.size
    drop = rng.uniform(1.6, 2.6) * half_span(motion)
    motion.shift(up=height + drop * (1.0 - fall))
    advance(motion, cruising_speed(motion) * (0.8 + 0.5 * down))
    trail(motion, t / beat_period(motion))
