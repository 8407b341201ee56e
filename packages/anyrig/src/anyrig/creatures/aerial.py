"""Flight: wing beats, the pose in the air, take-offs and landings.

A wing's downstroke pushes the body up. With lift proportional to the stroke's speed the body heaves by
``g / (2 pi f)^2`` at a beat of frequency ``f``, a quarter of a beat behind the wings. Large wings beat more slowly
(Pennycuick, Wingbeat frequency of birds in steady cruising flight, J. Exp. Biol. 1996; here flattened, so that the
fastest beat still shows at 15 frames a second).
"""

from __future__ import annotations

import math
import random

import numpy as np

from anyrig.creatures import standing
from anyrig.creatures.captions import Telling, side_name
from anyrig.creatures.motion import GRAVITY, PITCH, TAU, YAW, Curve, Motion, hermite, smooth, spans, track, wave
from anyrig.creatures.rig import folded
from anyrig.rotations import Array

_FASTEST = 2.5  # beats a second


def _half_span(motion: Motion) -> float:
    """The length of a wing, in metres."""
    return float(sum(motion.rig.plan.wings.lengths)) if motion.rig.plan.wings else 0.0


def _period(motion: Motion, quick: float = 1.0) -> float:
    """Seconds per wing beat, not fitted to the clip."""
    rate = 1.75 * (2 * _half_span(motion)) ** -0.36 * motion.style.speed**0.7 * quick
    if motion.rig.plan.insect:
        rate = _FASTEST
    return float(1.0 / min(max(rate, 0.65), _FASTEST))


def _whole_beats(motion: Motion, rng: random.Random, quick: float = 1.0) -> Array:
    """The phase (T,) of beats of which a whole number fits in the clip."""
    return rng.random() + motion.times / (motion.seconds / motion.times_in(_period(motion, quick)))


def _cruising_speed(motion: Motion) -> float:
    """Metres per second, from the wings' size."""
    return math.sqrt(2.2 * GRAVITY * _half_span(motion)) * motion.style.speed


def _clearance(motion: Motion) -> float:
    """The height in metres at which the downstroke is clear of the ground."""
    return 1.05 * _half_span(motion) + 0.3 * motion.size


def _flap(motion: Motion, cycles: Array, amount: Curve = 1.0, *, mean: float = 0.12) -> None:
    """Beats the wings; whole numbers of ``cycles`` (T,) are the top of the stroke. ``amount`` scales the beat and the
    body's heave, ``mean`` (radians) is the middle of the stroke over the horizontal."""
    rig = motion.rig
    n = len(rig.plan.wings.lengths) if rig.plan.wings else 0
    amount = np.asarray(amount) * motion.style.energy**0.5
    reach = 0.75 if rig.plan.insect else 0.62
    raised = (1.0 - wave(cycles)) / 2.0  # 1 in the middle of the upstroke
    for wing in rig.wings:
        angles = folded(n, 0.24 * amount * raised**2 if n > 2 else 0.0 * raised, wing.side)
        for k in range(n):
            beat = (1.0, 0.42, 0.34, 0.26)[k] * reach * amount * np.cos(TAU * (cycles - 0.09 * k))
            motion.turn(wing.joints[k], roll=wing.side * (beat + (mean if k == 0 else 0.0)), yaw=angles[:, k])
        motion.turn(wing.joints[0], pitch=0.22 * amount * wave(cycles))
        for finger in wing.fingers:
            motion.turn(finger[0], roll=wing.side * 0.15 * amount * np.cos(TAU * (cycles - 0.25)))
    heave = min(0.45 * GRAVITY * (_period(motion) / TAU) ** 2, 0.11 * _half_span(motion))
    motion.shift(up=-heave * amount * wave(cycles))
    motion.trunk((0.03 * amount * wave(cycles, 0.15), 0.0, 0.0), (0.05 * amount * wave(cycles, 0.15), 0.0, 0.0))


def _stretch_out(motion: Motion, amount: Curve, *, pitch: Curve = 0.08, legs: str = "trail") -> None:
    """The pose of flight, by ``amount`` (0 to 1): the trunk ``pitch`` (radians) above the horizontal, the neck forward,
    the head level. ``legs`` go ``"trail"`` (tucked back) or ``"hang"``."""
    rig, plan = motion.rig, motion.rig.plan
    amount = np.broadcast_to(np.asarray(amount, dtype=np.float64), motion.times.shape)
    turned = amount * (plan.trunk.pitch - np.asarray(pitch))
    motion.tilt(turned)
    if plan.neck is not None:
        mean = (plan.neck.pitch + plan.neck.end_pitch) / 2
        neck = amount * 0.75 * (mean - math.radians(14)) - turned
        motion.bend(rig.neck, pitch=neck)
        motion.turn(rig.head, pitch=-(turned + neck))
    if rig.tail:
        motion.turn(rig.tail[0], pitch=-0.8 * turned)
        motion.bend(rig.tail, pitch=0.1 * amount)
    _tuck(motion, amount, legs)


def _tuck(motion: Motion, amount: Array, legs: str) -> None:
    """Takes the feet off the ground by ``amount`` (T,) and poses them as in :func:`_stretch_out`."""
    rig = motion.rig
    for k, leg in enumerate(rig.legs):
        stretch, swing, point = (0.66, -1.15, 1.0) if legs == "trail" else (0.84, -0.35, 0.7)
        if rig.plan.insect:
            stretch, swing, point = 0.8, -0.25, 0.0
        elif len(rig.legs) == 4 and leg.pair == 0 and legs == "trail":
            stretch, swing = 0.58, -0.75
        motion.feet.release(k, amount, stretch=stretch, swing=swing)
        motion.feet.pitch[:, k] += point * amount
        motion.feet.toe[:, k] += point * amount


def _advance(motion: Motion, speed: Curve) -> None:
    """Moves the body forward at ``speed`` (T,) m/s along its heading."""
    speed = np.broadcast_to(speed, motion.times.shape)
    steps = np.concatenate([[0.0], (speed[1:] + speed[:-1]) / 2 / motion.fps])
    motion.position[:, 0] += np.cumsum(steps * np.sin(motion.heading))
    motion.position[:, 2] += np.cumsum(steps * np.cos(motion.heading))


def _bank(motion: Motion, turn: float) -> None:
    """Turns the heading by ``turn`` radians over the clip at a constant rate, leaning into the curve."""
    rate = turn / motion.seconds
    motion.heading += rate * motion.times
    motion.turn(motion.rig.root, roll=-math.copysign(min(0.6, 0.55 * abs(rate)), rate) if turn else 0.0)
    motion.look(yaw=0.2 * rate)
    motion.bend(motion.rig.tail, yaw=-0.25 * rate)


def _trail(motion: Motion, cycles: Array) -> None:
    """Tail and antennae in phase with the beat."""
    rig = motion.rig
    if len(rig.tail) > 2:
        motion.ripple(rig.tail, PITCH, 0.3, cycles, 0.1)
        motion.ripple(rig.tail, YAW, 0.18, cycles if motion.cyclic else cycles * 0.5, 0.08)
    for antenna in rig.antennae:
        motion.bend(antenna.joints, pitch=-0.2 + 0.05 * wave(cycles))


def fly(motion: Motion, rng: random.Random) -> Telling:
    motion.cyclic = True
    rig = motion.rig
    turn = rng.choice((0.0, 0.0, 1.0, -1.0)) * rng.uniform(0.35, 0.6) * motion.seconds
    motion.speed = _cruising_speed(motion)
    cycles = _whole_beats(motion, rng)
    motion.shift(up=_clearance(motion) * rng.uniform(1.0, 1.5))
    _stretch_out(motion, 1.0, pitch=rng.uniform(0.02, 0.16))
    _flap(motion, cycles)
    _bank(motion, turn)
    _advance(motion, motion.speed)
    _trail(motion, cycles)
    parts = [
        "the wings beat up and down|its wings flap in full strokes|the wings sweep down and rise again",
        "the body heaves with every beat|each downstroke lifts the body",
        "the legs hang under the body|its legs are drawn in"
        if rig.plan.insect
        else "the legs are tucked back|its legs trail behind",
    ]
    verbs = "fly|fly forward|fly on|fly with beating wings"
    if turn:
        way = f"to the {side_name(turn)}"
        verbs = f"fly {way}|fly in a curve {way}|bank {way} in flight"
        parts.append(f"it leans into the curve {way}|the body banks {way}")
    if len(rig.tail) > 2 and rig.plan.kind == "dragon":
        parts.append("the tail streams behind|the long tail waves behind it")
    return Telling(verbs, "is in the air with spread wings|is flying", *parts)


def glide(motion: Motion, rng: random.Random) -> Telling:
    motion.cyclic = True
    rig, u = motion.rig, motion.progress
    turn = rng.choice((0.0, 1.0, -1.0)) * rng.uniform(0.25, 0.5) * motion.seconds
    motion.speed = _cruising_speed(motion)
    slow = motion.times_in(rng.uniform(1.8, 2.8))
    sink = 0.08 * motion.speed * motion.seconds
    motion.shift(up=_clearance(motion) * rng.uniform(0.6, 1.2) + sink * (1 - u))
    _stretch_out(motion, 1.0, pitch=0.02)
    dihedral = rng.uniform(0.05, 0.22)
    for wing in rig.wings:
        sway = 0.05 * motion.style.energy * wave(slow * u, 0.15 * wing.side)
        motion.turn(wing.joints[0], roll=wing.side * (dihedral + sway), pitch=0.03 * wave(slow * u, 0.3))
        for joint in wing.joints[1:]:
            motion.turn(joint, roll=wing.side * (0.04 + 0.4 * sway))
    motion.turn(rig.root, roll=0.05 * wave(slow * u), pitch=0.02 * wave(slow * u, 0.3))
    motion.ripple(rig.tail, YAW, 0.12, slow * u, 0.1)
    _bank(motion, turn)
    _advance(motion, motion.speed)
    verbs, balance = (
        "glide|glide forward|glide on spread wings|soar",
        "small tilts keep the balance|the body rocks a little",
    )
    if turn:
        way = f"to the {side_name(turn)}"
        verbs, balance = f"glide in a curve {way}|soar in a circle {way}", f"the body banks {way}|it leans {way}"
    return Telling(
        verbs,
        "is in the air with spread wings|hangs in the air on spread wings",
        "the wings are held out still|its wings are spread and hardly move|the spread wings stay almost still",
        "it sinks slowly|the body loses height slowly",
        "the legs are tucked back|its legs trail behind",
        balance,
    )


def hover(motion: Motion, rng: random.Random) -> Telling:
    motion.cyclic = True
    cycles, insect = _whole_beats(motion, rng, 1.2), motion.rig.plan.insect
    motion.shift(up=_clearance(motion) * rng.uniform(1.0, 1.4))
    _stretch_out(motion, 1.0, pitch=0.25 if insect else rng.uniform(0.55, 0.85), legs="hang")
    _flap(motion, cycles, 1.15, mean=0.1)
    _trail(motion, cycles)
    return Telling(
        "hover|hover in the air|hover in place|flap in place",
        "is in the air|hangs in the air",
        "the wings beat hard|its wings flap with wide strokes",
        "the body hangs in the air|it keeps its place in the air"
        if insect
        else "the body hangs upright in the air|the body is raised",
        "the legs dangle|its legs hang down",
        "it stays where it is|it bobs with every stroke",
    )


def dive(motion: Motion, rng: random.Random) -> Telling:
    u, beats = motion.progress, motion.times / _period(motion)
    steep = rng.uniform(0.6, 0.95)
    down = spans(u, (0.12, 0.38), (0.58, 0.86))
    _stretch_out(motion, 1.0, pitch=0.08 - steep * down)
    motion.fold_wings(0.62 * spans(u, (0.1, 0.3), (0.55, 0.75)))
    _flap(motion, beats, 0.7 * (1.0 - spans(u, (0.0, 0.15), (0.7, 0.95))), mean=0.15)
    drop = rng.uniform(1.6, 2.6) * _half_span(motion)
    motion.shift(up=_clearance(motion) + 0.5 * motion.size + drop * (1.0 - track(u, (0.12, 0.0), (0.92, 1.0))))
    _advance(motion, _cruising_speed(motion) * (0.8 + 0.5 * down))
    _trail(motion, beats)
    return Telling(
        "dive|dive out of the sky|swoop down|stoop down",
        "is in the air with spread wings|is flying high",
        "the wings are drawn in|it half folds its wings",
        "it drops head first|the body tips forward and plunges",
        "then the wings spread and it levels out|at the end it opens its wings and pulls out",
    )


def take_off(motion: Motion, rng: random.Random) -> Telling:
    t, u = motion.times, motion.progress
    leave = rng.uniform(0.32, 0.4)
    ground, end = leave * motion.seconds, motion.seconds
    standing.stance(motion, wings=1.0 - smooth((u - 0.06) / 0.22))
    flying = smooth((u - leave) / 0.3)
    _stretch_out(motion, flying, pitch=0.4 * (1 - smooth((u - 0.8) / 0.2)) + 0.08)
    _tuck(motion, smooth((t - ground) / max(0.1 * end, 0.3)), "trail")
    beats = np.maximum((t - ground) / _period(motion, 1.15), 0.0)
    _flap(motion, beats, smooth((u - 0.14) / 0.14), mean=0.2)
    height = rng.uniform(1.0, 1.5) * _clearance(motion)
    rise, dip, climb = 0.08 * motion.size, 0.22 * motion.size, 1.3 * height / (end - ground)
    low, off, top = (0.6 * ground, -dip, 0), (ground, rise, 0.8 * climb), (end, height, 0.9 * climb)
    motion.shift(up=hermite(t, (0, 0, 0), low, off, top))
    quick = smooth((u - 0.85 * leave) / (1.1 - 0.85 * leave)) ** 0.8
    _advance(motion, 0.75 * _cruising_speed(motion) * quick)
    motion.look(pitch=-0.2 * spans(u, (0.1, 0.3), (leave, leave + 0.2)))
    return Telling(
        "take off|take to the air|jump up and fly off|lift off from the ground",
        "stands on the ground with folded wings|stands with its wings folded",
        "it crouches and spreads the wings|the legs bend while the wings open",
        "the legs push off|it leaps from the ground",
        "beating wings carry it up|the wings flap hard and lift it",
        "the legs are tucked back|the legs fold back in the air",
    )


def land(motion: Motion, rng: random.Random) -> Telling:
    t, u, feet = motion.times, motion.progress, motion.feet
    touch = rng.uniform(0.56, 0.64)
    ground, end = touch * motion.seconds, motion.seconds
    standing.stance(motion, wings=smooth((u - touch - 0.06) / 0.24))
    flying = 1.0 - smooth((u - touch + 0.16) / 0.28)
    flare = spans(u, (touch - 0.4, touch - 0.1), (touch - 0.02, touch + 0.16))
    _stretch_out(motion, flying, pitch=0.12 + 0.5 * flare)
    reaching = smooth((u - touch + 0.42) / 0.26)
    loose = 1.0 - smooth((u - touch + 0.14) / 0.14)
    for k in range(len(motion.rig.legs)):  # from trailing to reaching for the ground
        feet.loose[:, k] = loose
        feet.stretch[:, k] += (0.95 - feet.stretch[:, k]) * reaching
        feet.swing[:, k] += (0.3 - feet.swing[:, k]) * reaching
        feet.pitch[:, k] *= loose * (1 - reaching)
        feet.toe[:, k] *= loose * (1 - reaching)
    beats = (t - ground) / _period(motion, 1.1) + 0.25
    _flap(motion, beats, 1.15 * (1.0 - smooth((u - touch) / 0.16)), mean=0.18)
    height = rng.uniform(0.9, 1.4) * _clearance(motion)
    sink, rise, dip = height / ground, 0.02 * motion.size, 0.2 * motion.size
    down, low = (ground, rise, -0.35 * sink), (ground + 0.4 * (end - ground), -dip, 0)
    motion.shift(up=hermite(t, (0, height, -sink), down, low, (end, 0, 0)))
    _advance(motion, 0.6 * _cruising_speed(motion) * (1.0 - smooth(u / (touch + 0.02))) ** 1.2)
    feet.point += (motion.position[-1] - motion.position[0]) * np.array([1.0, 0.0, 1.0])
    return Telling(
        "land|land on the ground|come down and land|touch down",
        "is in the air with beating wings|is flying",
        "the body rears up to brake|it raises its body against the air",
        "the wings beat to slow the fall|its wings flap hard",
        "the legs reach for the ground and bend as they touch it|the feet stretch down, touch and give",
        "then the wings fold|at last it folds its wings",
    )
