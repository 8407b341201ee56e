"""Swimming: body waves, steering fins, the wing-like strokes of rays, paddling legs.

The lateral displacement at x (0 nose, 1 tail) is ``A(x) sin(2 pi (c - x / wave))`` with an amplitude that grows toward
the tail (Videler & Hess, Fast continuous swimming of two pelagic predators, J. Exp. Biol. 1984), as a part of the
length; a beat carries a fish about 0.7 lengths forward (Bainbridge 1958).
"""

from __future__ import annotations

import math
import random

import numpy as np

from anyrig.creatures import standing
from anyrig.creatures.captions import BITES, Telling, turn_verbs
from anyrig.creatures.gaits import Path, gait
from anyrig.creatures.motion import PITCH, TAU, YAW, Curve, Motion, smooth, spans, track, wave
from anyrig.rotations import Array

_UNDER_WAY = "is under way in the water|swims in open water"


def _beats(motion: Motion, quick: float = 1.0, least: int = 1) -> int:
    """The whole number of tail beats in the clip; small fish beat faster."""
    period = 0.62 * motion.rig.plan.size**0.42 / (motion.style.speed * quick)
    return motion.times_in(min(max(period, 0.45), 2.2), least)


def _lift_off(motion: Motion, rng: random.Random) -> None:
    """Lifts the creature clear of the bottom."""
    motion.position[:, 1] += motion.rig.plan.size * rng.uniform(0.6, 1.1)


def _undulate(motion: Motion, cycles: Array, amount: Curve = 1.0) -> None:
    """A wave of the body's kind from nose to tail; ``cycles`` (T,) is its phase, ``amount`` scales it."""
    rig, habits = motion.rig, motion.rig.plan.habits
    amount = np.asarray(amount) * motion.style.energy**0.6
    if "rays" in habits:
        _flap_sides(motion, cycles, amount)
        return
    eel = rig.plan.kind == "serpent" or "eel" in habits
    axis = PITCH if "vertical" in habits else YAW
    length = 0.75 if eel else 1.15
    head = abs(float(rig.mouth[2])) / max(rig.length, 1e-9)
    nose = float(rig.natural[[j for j, _ in rig.trunk], 2].max()) + head * rig.length
    at = {j: (nose - float(rig.natural[j, 2])) / rig.length for j, _ in rig.trunk}
    at[rig.head] = 0.35 * head
    slopes = {j: amount * _slope(x, cycles, length, eel) for j, x in at.items()}
    for j in at:
        motion.angles[:, j, axis] += slopes[j] - slopes.get(rig.skeleton.parents[j], 0.0)
    aside = amount * _envelope(at[rig.root], eel) * rig.length * wave(cycles, at[rig.root] / length)
    if axis == YAW:
        motion.shift(left=aside)
    else:
        motion.position[:, 1] += aside
    for fin in rig.caudals:  # the tail fin lags behind the last bone
        share = 0.3 if axis == YAW else 0.35
        motion.angles[:, fin.joints[0], axis] += share * amount * wave(cycles, 1.0 / length + 0.2)
    for fin in rig.pectorals:  # side fins are held out and steer a little
        motion.turn(fin.joints[0], roll=fin.side * 0.1 * wave(cycles, 0.3), pitch=0.08 * wave(cycles))


def _envelope(x: float, eel: bool) -> float:
    """The amplitude at ``x``, in body lengths."""
    return 0.03 + 0.07 * x + 0.03 * x * x if eel else 0.024 - 0.05 * x + 0.13 * x * x


def _slope(x: float, cycles: Array, length: float, eel: bool) -> Array:
    """The angle of the body's midline at ``x``: the derivative of its displacement, with the nose forward."""
    step = 1e-4
    after = _envelope(x + step, eel) * wave(cycles, (x + step) / length)
    before = _envelope(x - step, eel) * wave(cycles, (x - step) / length)
    return np.asarray(-np.arctan((after - before) / (2 * step)))


def _flap_sides(motion: Motion, cycles: Array, amount: Curve) -> None:
    """A ray's fins beat up and down, the tips lagging behind the roots; the body heaves against them."""
    rig = motion.rig
    for wing in rig.wings:
        n = max(len(wing.joints) - 1, 1)
        for k, joint in enumerate(wing.joints):
            motion.turn(joint, roll=wing.side * 0.62 / n**0.6 * amount * wave(cycles, 0.13 * k))
            motion.turn(joint, pitch=-0.2 / n * amount * wave(cycles, 0.13 * k + 0.25))
    motion.position[:, 1] -= 0.035 * rig.plan.size * amount * wave(cycles)
    motion.trunk((0.05 * amount * wave(cycles, 0.3), 0.0, 0.0), (0.04 * amount * wave(cycles, 0.25), 0.0, 0.0))
    motion.ripple(rig.tail, YAW, 0.25, cycles, 0.1)


def _scull(motion: Motion, cycles: Array, amount: float = 1.0) -> None:
    """Side fins fan to and fro, as in fish that stay in place."""
    for fin in motion.rig.pectorals:
        lag = 0.25 * (fin.side < 0)
        motion.bend(fin.joints, yaw=fin.side * 0.4 * amount * wave(cycles, lag))
        motion.bend(fin.joints, roll=fin.side * 0.25 * amount * wave(cycles, lag + 0.25))


def _cruise(
    motion: Motion,
    rng: random.Random,
    *,
    quick: float = 1.0,
    amount: float = 1.0,
    turn: float = 0.0,
    climb: float = 0.0,
) -> tuple[str, ...]:
    """Swims at constant speed, turning by ``turn`` and rising at the angle ``climb`` (radians); returns clauses."""
    _lift_off(motion, rng)
    period = float(motion.seconds / _beats(motion, quick))
    cycles = rng.random() + motion.times / period
    lengths = 0.65 * (0.8 if motion.rig.plan.kind == "serpent" else 1.0)
    motion.speed = lengths * motion.rig.plan.size / period * min(1.3, amount)
    motion.cyclic = True
    rate = turn / motion.seconds
    position, heading = Path(motion.speed * math.cos(climb), rate).at(motion.times)
    motion.position += position
    motion.heading += heading
    rise = motion.speed * math.sin(climb) * motion.times
    motion.position[:, 1] += rise - min(0.0, float(rise.min()))
    curve = np.clip(0.35 * rate, -0.7, 0.7)
    motion.turn(motion.rig.root, pitch=-climb, roll=-np.clip(0.3 * rate, -0.5, 0.5))
    motion.trunk((0.0, -0.5 * curve, 0.0), (0.0, 0.5 * curve, 0.0))
    _undulate(motion, cycles, amount)
    return _strokes(motion)


def _strokes(motion: Motion) -> tuple[str, str]:
    """Clauses on the strokes."""
    habits = motion.rig.plan.habits
    if "rays" in habits:
        return (
            "the wide fins beat up and down like wings|its wing-like fins rise and fall",
            "a wave runs out to the tips of the fins|the fin tips follow the roots",
        )
    if "vertical" in habits:
        return (
            "the tail beats up and down|its flukes stroke up and down",
            "the body flexes in a vertical wave|the back arches and straightens",
        )
    if "eel" in habits or motion.rig.plan.kind == "serpent":
        return (
            "waves run down the whole body|the long body undulates from head to tail",
            "the head swings a little|the tail swings widest",
        )
    return (
        "the tail beats from side to side|its tail fin sweeps left and right",
        "the body bends in a wave that grows toward the tail|the head stays nearly still",
    )


def swim(motion: Motion, rng: random.Random) -> Telling:
    return Telling("swim forward|swim|swim along|cruise through the water", _UNDER_WAY, *_cruise(motion, rng))


def dash(motion: Motion, rng: random.Random) -> Telling:
    verbs = "dash through the water|swim at full speed|dart forward|speed through the water"
    return Telling(verbs, _UNDER_WAY, *_cruise(motion, rng, quick=1.45, amount=1.3))


def turn(motion: Motion, rng: random.Random, side: float) -> Telling:
    strokes = _cruise(motion, rng, turn=side * rng.uniform(0.5, 0.9) * motion.seconds)
    bend = "the body bends into the curve|it curves its body to the side"
    return Telling(turn_verbs(side, "swim"), "swims in open water|is under way in the water", bend, *strokes)


def slope(motion: Motion, rng: random.Random, sign: int) -> Telling:
    """Up (``sign`` 1) or down (-1), head first."""
    way = "up" if sign > 0 else "down"
    rise, dive = (
        "rise|swim up|swim toward the surface|climb through the water",
        "dive|swim down|dive down|swim toward the bottom",
    )
    return Telling(
        rise if sign > 0 else dive,
        f"swims with its head {way}|is under way in the water, head {way}",
        f"the head points {way}|it swims head {way}",
        *_cruise(motion, rng, climb=sign * rng.uniform(0.4, 0.8)),
    )


def paddle(motion: Motion, rng: random.Random) -> Telling:
    rig, style, height = motion.rig, motion.style, motion.rig.hip_height
    motion.cyclic = True
    n = motion.times_in(max(0.6, 0.9 * height**0.4) / style.speed)
    cycles = rng.random() + n * motion.progress
    stroke = gait(motion, "trot", rng)
    standing.stance(motion)
    motion.position[:, 1] += height * rng.uniform(0.3, 0.6)
    motion.speed = 0.8 * height * n / motion.seconds
    motion.position[:, 2] += motion.speed * motion.times
    for k in range(len(rig.legs)):
        c = TAU * (cycles - stroke.offsets[k])
        stretch, swing = 0.78 + 0.14 * np.sin(c), 0.55 * style.energy**0.5 * np.cos(c) - 0.1
        motion.feet.release(k, np.ones(motion.n_frames), stretch=stretch, swing=swing, hang=0.5 + 0.3 * np.cos(c))
    motion.position[:, 1] += 0.02 * height * wave(2 * cycles)
    yaw, roll = 0.04 * wave(cycles), 0.05 * wave(cycles)
    motion.trunk((0.02 * wave(2 * cycles), yaw, roll), (0.0, -yaw, -roll))
    motion.look(pitch=-0.18)
    motion.steady(0.8)
    motion.ripple(rig.tail, YAW, 0.5 * style.energy, cycles, 0.1)
    return Telling(
        "swim|swim forward|paddle forward|paddle through the water",
        "floats in the water|is in the water",
        "the legs paddle under the body|its feet stroke backward in turn",
        "the head is held up over the water|its head stays up",
        "the body floats and rocks gently|no foot touches the ground",
        *(["the wings stay folded|its wings lie on its back"] if rig.wings else []),
    )


def hover(motion: Motion, rng: random.Random) -> Telling:
    motion.cyclic = True
    rig, u = motion.rig, motion.progress
    _lift_off(motion, rng)
    slow = motion.times_in(1.6 * float(motion.seconds / _beats(motion)))
    cycles = rng.random() + slow * u
    _undulate(motion, cycles, 0.3 if "rays" not in rig.plan.habits else 0.45)
    _scull(motion, cycles)
    motion.position[:, 1] += 0.025 * rig.plan.size * wave(max(1, slow // 2) * u, rng.random())
    motion.open_jaw(0.12 * (1 - np.cos(TAU * slow * u)))
    return Telling(
        "hover in the water|float in place|idle|drift in place",
        "floats in the water|hangs in the water",
        "it stays in place|it keeps its place in the water",
        "the tail moves only a little|the body makes small slow waves",
        *(["the side fins fan gently|its fins scull to and fro"] if rig.pectorals else []),
    )


def look_around(motion: Motion, rng: random.Random) -> Telling:
    yaw, verbs, head = standing.glance(motion, rng)
    _lift_off(motion, rng)
    cycles = _beats(motion, least=2) * motion.progress
    _undulate(motion, cycles, 0.35)
    _scull(motion, cycles)
    motion.trunk((0, -0.25 * yaw, 0), (0, 0.35 * yaw, 0))
    motion.turn(motion.rig.root, yaw=0.5 * yaw)
    return Telling(
        verbs,
        "hangs in the water|floats in place",
        head,
        "the whole body turns with it|the body bends to the side",
        "it stays in place|it hangs in the water",
    )


def nibble(motion: Motion, _: random.Random) -> Telling:
    rng, u, size = random.Random(motion.style.seed), motion.progress, motion.rig.plan.size
    _lift_off(motion, rng)
    n = motion.times_in(rng.uniform(0.7, 1.0), 2)
    peck = np.maximum(wave(n * u), 0.0) ** 2
    down = rng.uniform(0.15, 0.5)
    motion.turn(motion.rig.root, pitch=down * spans(u, (0.0, 0.15), (0.88, 1.0)))
    motion.shift(forward=0.12 * size * peck, up=-0.06 * size * peck * down)
    _undulate(motion, _beats(motion, least=2) * u, 0.4 + 0.3 * peck)
    _scull(motion, n * u, 0.8)
    motion.open_jaw(0.8 * np.maximum(wave(n * u, -0.08), 0.0))
    return Telling(
        "eat|feed|peck at food|nibble",
        "hangs in the water|floats in the water",
        "it nudges forward again and again|the head jabs forward in small thrusts",
        BITES if motion.rig.jaw is not None else "the snout dips|the body tips head down",
        "it drifts back each time|in between it floats back",
    )


def breach(motion: Motion, rng: random.Random) -> Telling:
    u, size = motion.progress, motion.rig.plan.size
    _lift_off(motion, rng)
    height, x = size * rng.uniform(0.7, 1.2), smooth(u)
    motion.shift(up=4.0 * height * x * (1 - x), forward=2.2 * size * x)
    slope = 1.6 * height * (1 - 2 * x) / size * 1.1
    motion.turn(motion.rig.root, pitch=-1.0 * slope / (1 + abs(slope)) * 1.5)
    beats = _beats(motion, 1.2, least=2) * u
    _undulate(motion, beats, 1.0 - 0.7 * smooth(u / 0.3) + 0.4 * smooth((u - 0.75) / 0.25))
    arch = 0.25 * (1 - 2 * smooth((u - 0.3) / 0.4))
    motion.trunk((0.4 * arch, 0, 0), (-0.4 * arch, 0, 0))
    motion.speed = 2.2 * size / motion.seconds
    return Telling(
        "leap in an arc|jump out of the water|leap through the air|breach",
        "swims in the water|is under way in the water",
        "it shoots upward head first|the head points up and the body rises",
        "the body flies in a high arc|it curves over at the top",
        "it comes down head first|the head dips and it dives down again",
    )


def snap(motion: Motion, rng: random.Random) -> Telling:
    rig, u = motion.rig, motion.progress
    _lift_off(motion, rng)
    hit = rng.uniform(0.45, 0.55)
    ahead = track(u, (0.0, 0.0), (hit - 0.25, -0.08), (hit, 0.75), (1.0, 0.9))
    motion.shift(forward=rig.plan.size * ahead)
    fast = spans(u, (hit - 0.3, hit - 0.18), (hit, hit + 0.3))
    beats = _beats(motion, 1.3, least=2) * u
    _undulate(motion, beats, 0.3 + 1.0 * fast)
    _scull(motion, beats, 0.4)
    motion.open_jaw(1.3 * spans(u, (hit - 0.14, hit - 0.05), (hit, hit + 0.05)))
    motion.look(pitch=-0.15 * fast)
    return Telling(
        "attack|dart forward and bite|lunge at its prey|attack with a bite",
        "hangs in the water|waits in the water",
        "the body shoots forward|it darts ahead",
        "the jaws open and snap shut|the mouth opens wide and closes"
        if rig.jaw is not None
        else "the head is thrust ahead|the snout rams forward",
        "the fins beat hard, then slow down|strong beats of the fins drive it"
        if "rays" in rig.plan.habits
        else "the tail beats hard, then slows|strong strokes of the tail drive it",
    )


def death(motion: Motion, rng: random.Random) -> Telling:
    rig, u, size = motion.rig, motion.progress, motion.rig.plan.size
    _lift_off(motion, rng)
    side = rng.choice((1, -1))
    over, weak = smooth((u - 0.15) / 0.55), 1.0 - smooth(u / 0.5)
    _undulate(motion, 2.2 * u, 0.9 * weak + 0.05)
    motion.turn(rig.root, roll=side * 2.95 * over, pitch=0.25 * spans(u, (0.1, 0.4), (0.5, 0.9)))
    motion.bow(0.15 * over, 0.1 * over)
    down = rng.random() < 0.6
    motion.shift(forward=0.35 * size * (1 - (1 - u) ** 2), up=(-0.3 if down else 0.35) * size * smooth(u))
    motion.open_jaw(0.7 * over)
    return Telling(
        "die|die and turn belly up|roll over dead",
        "swims in the water|is in the water",
        "the beats of the fins die away|the fins beat weaker and weaker"
        if "rays" in rig.plan.habits
        else "the strokes of the tail die away|the tail beats weaker and weaker",
        "the body rolls belly up|it turns over on its back",
        "it sinks slowly|the body drifts down" if down else "it floats up slowly|the body drifts up",
    )
