"""Actions of standing creatures: idling, looking around, eating, crouching, jumping.

They start from the posture of a mood for head, tail, wings, arms and ears, which walks and attacks share.
"""

from __future__ import annotations

import math
import random

import numpy as np

from anyrig import rotations as rot
from anyrig.creatures.captions import BITES, Telling, side_name
from anyrig.creatures.motion import GRAVITY, PITCH, TAU, YAW, Curve, Motion, hermite, smooth, spans, track, wave
from anyrig.rotations import Array

# -- posture


def stance(motion: Motion, *, wings: Curve = 1.0) -> None:
    """The mood's posture: head and tail raised or lowered, knees bent; wings folded by ``wings`` (0 to 1)."""
    rig, style = motion.rig, motion.style
    motion.look(pitch=-style.head)
    motion.position[:, 1] -= style.crouch * rig.hip_height
    if "sting" not in rig.plan.habits:
        motion.bend(rig.tail, pitch=0.8 * style.tail)
    if "upright" in rig.plan.habits and style.head < -0.2:  # a low head lowers the shoulders too
        motion.bow(-0.5 * style.head)
    for ear in rig.ears:
        motion.turn(ear.joints[0], pitch=-0.9 * min(0.0, style.head + style.tail))
    motion.fold_wings(wings)


def ready(motion: Motion, amount: float = 1.0, *, wings: float = 1.0) -> None:
    """The mood's posture with cyclic breathing and fidgeting, scaled by ``amount``."""
    stance(motion, wings=wings)
    _breathe(motion, motion.times_in(1.9) * motion.progress, 0.8 * amount)
    _fidget(motion, 0.6 * amount)
    _rest_arms(motion)


def _rest_arms(motion: Motion) -> None:
    """Hanging arms with slightly bent elbows."""
    if not motion.rig.plan.pincers:
        motion.arms(elbow=-0.15)
        for arm in motion.rig.arms:
            motion.curl_fingers(arm, 0.3)


def _breathe(motion: Motion, cycles: Array, amount: float) -> None:
    """The chest rises and falls, with the shoulders and the head a little."""
    swell = wave(cycles)
    motion.bow(-0.02 * amount * swell)
    motion.position[:, 1] += 0.006 * amount * motion.size * swell
    motion.arms(out=0.03 * amount * swell)
    motion.look(pitch=0.02 * amount * wave(cycles, 0.15))


def _fidget(motion: Motion, amount: float) -> None:
    """Small cyclic motions of ears, antennae, tail, trunk and mandibles."""
    rig, plan, u, rng = motion.rig, motion.rig.plan, motion.progress, random.Random(motion.style.seed)
    fast, slow = motion.times_in(rng.uniform(0.8, 1.4)), motion.times_in(rng.uniform(1.6, 2.6))
    for limb in (*rig.ears, *rig.antennae):
        lag = rng.random()
        motion.bend(limb.joints, pitch=0.25 * amount * wave(fast * u, lag), yaw=0.2 * amount * wave(slow * u, lag))
    if "sting" in plan.habits:
        motion.ripple(rig.tail, PITCH, 0.12 * amount, slow * u, 0.07)
    else:
        lively = amount * (1.0 + 1.5 * max(0.0, motion.style.tail))
        beat = fast if motion.style.mood == "playful" else slow
        few = 0.25 if plan.insect or plan.kind == "bird" else 1.0
        motion.ripple(rig.tail, YAW, 0.45 * few * lively, beat * u, 0.08)
        motion.ripple(rig.tail, PITCH, 0.12 * few * lively, slow * u, 0.1)
    motion.ripple(rig.nose, PITCH, 0.4 * amount, slow * u, 0.08)
    motion.ripple(rig.nose, YAW, 0.3 * amount, slow * u, 0.14)
    for part in rig.mandibles:
        motion.turn(part.joints[0], yaw=part.side * 0.12 * amount * (1 - np.cos(2 * np.pi * fast * u)))
    for arm in rig.arms if plan.pincers else ():
        motion.turn(arm.joints[0], pitch=0.08 * amount * wave(slow * u, 0.25 * arm.side))
        motion.open_pincer(arm, 0.4 * amount * (1 - np.cos(2 * np.pi * slow * u)))


def repeats(motion: Motion, rng: random.Random, seconds: float) -> tuple[int, Array]:
    """The number of repetitions of about ``seconds`` in the clip, and each frame's phase in its repetition, (T,) 0 to
    1."""
    n = motion.times_in(seconds * rng.uniform(0.85, 1.2))
    whole = n * motion.progress
    return n, np.where(motion.progress >= 1.0, 1.0, whole - np.floor(whole))


# -- idling and looking around


def idle(motion: Motion, rng: random.Random) -> Telling:
    motion.cyclic = True
    rig, u, energy = motion.rig, motion.progress, motion.style.energy
    breaths, shifts = motion.times_in(rng.uniform(1.4, 2.4)), motion.times_in(4.0)
    stance(motion)
    _breathe(motion, breaths * u, energy)
    motion.position[:, 0] += 0.012 * motion.size * energy * wave(shifts * u, rng.random())
    motion.trunk((0.0, 0.0, 0.02 * energy * wave(shifts * u)), (0.0, 0.015 * energy * wave(shifts * u), 0.0))
    glance = rng.uniform(0.08, 0.22) * energy
    motion.look(yaw=glance * wave(shifts * u, rng.random()), pitch=0.05 * energy * wave(breaths * u, rng.random()))
    _fidget(motion, energy)
    if not rig.plan.pincers:
        for arm in rig.arms:
            motion.turn(arm.joints[0], pitch=0.04 * wave(shifts * u, 0.2 * arm.side))
    _rest_arms(motion)
    parts = [
        "the chest rises and falls with its breath|it breathes|its body heaves gently as it breathes",
        "the feet stay where they are|its feet do not move|all feet remain on the ground",
        "its weight shifts a little from side to side|the body sways slightly|the head turns slightly",
    ]
    if rig.plan.kind in ("quadruped", "dragon") and len(rig.tail) > 1:
        parts.append("the tail swishes|its tail swings lazily|the tail sways")
    if rig.ears:
        parts.append("the ears twitch|its ears flick")
    if rig.antennae:
        parts.append("the antennae feel about|its feelers wave")
    rests = "" if rig.plan.kind == "biped" else "rest on its feet|"
    verbs = f"stand idle|stand still|idle|{rests}wait in place"
    return Telling(verbs, "stands still|stands in place|stands there", *parts)


def glance(motion: Motion, rng: random.Random) -> tuple[Array, str, str]:
    """A look to one side, to the other, and to the front: its yaw (T,), its verbs, and a clause on the head."""
    first = rng.choice((1, -1))
    far, back = rng.uniform(0.65, 1.05), rng.uniform(0.6, 1.0)
    keys = (0.0, 0.0), (0.25, far), (0.4, far), (0.68, -back), (0.82, -back), (1.0, 0.0)
    one, other = side_name(first), side_name(-first)
    verbs = f"look around|look {one} and look {other}|search its surroundings with its eyes"
    head = f"the head turns to the {one}, then to the {other}|first it looks {one}, then {other}"
    return first * track(motion.progress, *keys), verbs, head


def look_around(motion: Motion, rng: random.Random) -> Telling:
    """The head turns; without a neck, the whole body on its planted feet."""
    rig, (yaw, verbs, head) = motion.rig, glance(motion, rng)
    ready(motion, 0.8)
    if rig.neck:
        motion.look(yaw=yaw, pitch=-0.08 * np.abs(yaw), roll=-0.08 * yaw)
        motion.bow(0, 0.2 * rig.plan.trunk.flex * yaw)
    else:
        motion.trunk((0, 0.28 * yaw, 0), (0, 0.28 * yaw, 0))
        motion.look(yaw=0.4 * yaw)
    motion.bend(rig.tail, yaw=-0.15 * yaw)
    motion.ripple(rig.ears[0].joints if rig.ears else (), YAW, 0.3, 3 * motion.progress)
    return Telling(
        verbs,
        "stands still|stands looking ahead",
        head,
        "the feet stay planted|the body stays where it is",
        "at the end it looks ahead again|then it faces forward",
    )


# -- eating


def eat(motion: Motion, rng: random.Random) -> Telling:
    """From the ground, with a trunk, or from the hand."""
    plan = motion.rig.plan
    if plan.pincers or "upright" in plan.habits:
        return _eat_by_hand(motion, rng)
    return _eat_with_trunk(motion, rng) if motion.rig.nose else _graze(motion, rng)


def _graze(motion: Motion, rng: random.Random) -> Telling:
    rig, u = motion.rig, motion.progress
    up = rng.random() < 0.5
    share, reached = _to_ground(motion, spans(u, (0.05, 0.35), (0.78, 0.98) if up else (2.0, 3.0)))
    ready(motion, 0.5)
    bites = max(2, round(motion.seconds * rng.uniform(1.6, 2.4)))
    chew = spans(u, (0.3, 0.38), (0.74, 0.82) if up else (2.0, 3.0)) * (1 - np.cos(TAU * bites * u)) / 2
    pecks = len(rig.legs) == 2 and not rig.arms and rig.plan.kind != "dragon"
    _stoop(motion, share * (1.0 - (0.22 if pecks else 0.05) * chew))
    motion.open_jaw(0.55 * chew)
    grass = "|graze" if any(pair.foot > 0 and pair.toe <= 0 for pair in rig.plan.legs) else ""  # on hooves and columns
    return Telling(
        "eat from the ground|peck at the ground|feed|pick up food" if pecks else f"eat|eat from the ground|feed{grass}",
        "stands still|stands with its head up",
        "the head goes down to the ground|it lowers its head to the ground"
        if reached
        else "the head is lowered|it lowers its head toward the ground",
        "the beak pecks again and again|it pecks up and down"
        if pecks
        else "the head nods as it feeds|the muzzle moves over the ground",
        BITES if rig.jaw is not None or rig.mandibles else "the body stays in place|its feet do not move",
        "then the head comes up again|at the end it raises its head" if up else "the head stays down|it goes on eating",
    )


def _eat_with_trunk(motion: Motion, rng: random.Random) -> Telling:
    ready(motion, 0.5)
    _, v = repeats(motion, rng, 2.2)
    curl = spans(v, (0.3, 0.55), (0.7, 0.97))
    reach = spans(v, (0.03, 0.25), (0.3, 0.5))
    motion.bend(motion.rig.nose, pitch=2.5 * curl - 0.25 * reach)
    motion.look(pitch=0.15 * reach - 0.12 * curl)
    motion.open_jaw(0.7 * spans(v, (0.42, 0.55), (0.62, 0.72)))
    return Telling(
        "eat with its trunk|feed with its trunk|put food in its mouth with its trunk",
        "stands still|stands in place",
        "the trunk reaches down|its trunk stretches down for food",
        "then it curls up to the mouth|the trunk rolls up to the mouth",
        "the feet stay planted|its feet do not move",
    )


def _eat_by_hand(motion: Motion, rng: random.Random) -> Telling:
    rig = motion.rig
    ready(motion, 0.7)
    _, v = repeats(motion, rng, 1.6)
    lift = spans(v, (0.05, 0.4), (0.62, 0.95))
    motion.look(pitch=0.22 * lift + 0.04 * spans(v, (0.4, 0.5), (0.6, 0.9)) * wave(4 * v))
    motion.open_jaw(0.4 * spans(v, (0.35, 0.45), (0.5, 0.6)))
    hand = rig.arms[rng.choice((0, 1))]
    if rig.plan.pincers:
        for k, arm in enumerate(rig.arms):
            mine = spans((v + 0.5 * k) % 1.0, (0.05, 0.4), (0.55, 0.95))
            motion.turn(arm.joints[1], yaw=-arm.side * 0.7 * mine)
            motion.turn(arm.joints[2], yaw=-arm.side * 1.2 * mine)
            motion.open_pincer(arm, 0.6 * (1 - mine))
        return Telling(
            "eat|feed|eat with its pincers",
            "stands still|stands in place",
            "the pincers go to the mouth in turn|it feeds with one pincer after the other",
            "the legs stay planted|its feet do not move",
        )
    motion.turn(hand.joints[0], pitch=-0.65 * lift, roll=hand.side * 0.15 * lift, yaw=-hand.side * 0.45 * lift)
    motion.turn(hand.joints[1], pitch=-1.95 * lift)
    motion.curl_fingers(hand, 0.5 * lift)
    name = side_name(hand.side)
    return Telling(
        "eat|eat with its hand|put food in its mouth",
        "stands still|stands in place",
        f"the {name} hand goes up to the mouth|it lifts the {name} hand to its mouth",
        "the head bows a little toward the hand|the head dips to meet it",
        "then the arm sinks again|the arm comes down again",
    )


def _stoop(motion: Motion, amount: Array) -> None:
    """Lowers the head by ``amount`` (T,), at 1 as far as the body allows, with the neck and the forequarters."""
    rig, plan, height = motion.rig, motion.rig.plan, motion.rig.hip_height
    if len(rig.legs) > 4:
        motion.heave(0.15 * height * amount, -0.4 * height * amount)
        motion.look(pitch=0.45 * amount)
        return
    tilt, neck = 0.0, 0.0
    if len(rig.legs) == 2:
        tilt = 0.4 + 0.6 * plan.trunk.pitch
        motion.tilt(tilt * amount)
        motion.shift(up=-0.14 * height * amount)
        motion.bend(rig.tail, pitch=0.25 * amount)
    else:
        motion.heave(-0.03 * height * amount, -(0.12 if "columnar" in plan.habits else 0.24) * height * amount)
    # The neck comes down to 60 degrees under the horizontal; the muzzle points down, not back between the legs.
    if plan.neck is not None:
        neck = max(0.0, (plan.neck.pitch + plan.neck.end_pitch) / 2 + math.radians(60) - tilt)
        motion.bend(rig.neck, pitch=neck * amount)
    motion.turn(rig.head, pitch=(plan.head.pitch + math.radians(75) - neck - tilt) * amount)


def _to_ground(motion: Motion, share: Array) -> tuple[Array, bool]:
    """Scales ``share`` (T,) so that :func:`_stoop` brings the mouth just above the ground at 1.

    Returns the scaled curve, and whether the mouth reaches the ground.
    """
    rig, low = motion.rig, 0.03 * motion.size
    trial = Motion(rig, motion.style, np.linspace(0.0, 1.0, 14), motion.fps)
    stance(trial)
    amounts = np.linspace(0.0, 1.25, 14)
    _stoop(trial, amounts)
    positions, world = rig.world(trial.turns(), trial.origin())
    heights = np.asarray(positions[:, rig.head, 1] + rot.rotate(world[:, rig.head], rig.mouth)[:, 1])
    reached = heights <= low
    if not reached.any():
        return share * 1.25, bool(heights.min() <= 0.1 * motion.size)
    k = int(reached.argmax())
    if k == 0:
        return share * 0.0, True
    between = (heights[k - 1] - low) / max(heights[k - 1] - heights[k], 1e-9)
    return share * (amounts[k - 1] + between * (amounts[k] - amounts[k - 1])), True


# -- crouching and jumping


def crouch(motion: Motion, rng: random.Random) -> Telling:
    rig, u = motion.rig, motion.progress
    ready(motion, 0.7)
    up = rng.random() < 0.6
    down = spans(u, (0.08, 0.4), (0.68, 0.95)) if up else spans(u, (0.1, 0.55), (2.0, 3.0))
    deep = (0.34 if "columnar" not in rig.plan.habits else 0.16) * rng.uniform(0.8, 1.15)
    motion.shift(up=-deep * rig.hip_height * down)
    if "upright" in rig.plan.habits:
        motion.tilt(0.25 * down)
        motion.bow(0.35 * down)
        motion.shift(forward=-0.08 * rig.hip_height * down)
        motion.look(pitch=-0.4 * down)
        motion.arms(pitch=-0.5 * down, elbow=-0.6 * down)
    motion.look(pitch=0.15 * down)
    return Telling(
        "crouch and rise|duck down and get up|crouch down for a moment" if up else "crouch down|duck|crouch",
        "stands still|stands on its feet",
        "the legs fold|the knees bend",
        "the body sinks toward the ground|the trunk comes down",
        "the feet stay planted|its feet do not move",
        "then it rises again|after a while it straightens up" if up else "it stays down|then it waits, crouched",
    )


def jump(motion: Motion, rng: random.Random) -> Telling:
    """Up or forward: a crouch, a push, a parabola, a soft landing."""
    hip_height = motion.rig.hip_height
    height = hip_height * rng.uniform(0.4, 0.9) * motion.style.energy**0.5
    if "columnar" in motion.rig.plan.habits:
        height *= 0.4
    ahead = rng.random() < 0.55
    _leap(motion, rng, height, hip_height * rng.uniform(0.8, 1.8) if ahead else 0.0)
    return Telling(
        "jump forward|leap forward|spring ahead" if ahead else "jump up|jump in place|hop up and land",
        "stands still|stands on the ground",
        "it crouches|the legs bend|the body sinks down",
        "the legs push off the ground|all feet leave the ground at once",
        f"the body flies {'forward' if ahead else 'up'} with drawn-in legs|the legs are drawn up in the air",
        "it lands on its feet and gives with the legs|the knees bend as it lands|bending legs catch the landing",
    )


def _leap(motion: Motion, rng: random.Random, height: float, distance: float) -> None:
    """Jumps ``height`` metres up and ``distance`` forward, once: from standing to standing."""
    t, total = motion.times, motion.seconds
    ready(motion, 0.4)
    flight = 2.0 * math.sqrt(2.0 * height / GRAVITY)
    flight = min(max(flight, 0.42), 0.5 * total)  # a shorter one could fall between two frames
    lift, speed = 4.0 * height / flight, distance / flight  # at take-off of a parabola as high and as long
    start = rng.uniform(0.42, 0.52) * (total - flight)
    end = start + flight
    dip, rise = 0.28 * motion.rig.hip_height * rng.uniform(0.8, 1.1), 0.06 * motion.rig.hip_height
    low, settled, lean = 0.6 * start, end + 0.35 * (total - end), 0.12 * distance
    x = np.clip((t - start) / flight, 0.0, 1.0)
    push = hermite(t, (0, 0, 0), (low, -dip, 0), (start, rise, lift))
    give = hermite(t, (end, rise, -lift), (settled, -0.9 * dip, 0), (total, 0, 0))
    air = np.where((t > start) & (t < end), rise + 4.0 * height * x * (1 - x), give)
    motion.shift(up=np.where(t <= start, push, air))
    crouched, off = (low, -0.3 * lean, 0), (start, lean, speed)
    landed, risen = (end, lean + distance, speed), (settled, 1.5 * lean + distance, 0)
    motion.shift(forward=hermite(t, (0, 0, 0), crouched, off, landed, risen, (total, distance, 0)))
    _leap_legs(motion, x, distance)
    crouch, landing = spans(t, (0, low), (low, start)), spans(t, (end, settled), (settled, total))
    _leap_body(motion, x, crouch, landing, distance > 0)


def _leap_legs(motion: Motion, x: Array, distance: float) -> None:
    feet, legs = motion.feet, motion.rig.legs
    feet.point[..., 2] += distance * smooth(x)[:, None]
    off = spans(x, (0.0, 0.3), (0.7, 1.0))
    reach = 0.55 * (x - 0.45) * (distance > 0)
    for k, leg in enumerate(legs):
        stretch, swing = (0.66, 0.35) if len(legs) > 2 and leg.pair == 0 else (0.72, -0.25)
        feet.release(k, off, stretch=stretch, swing=swing + reach)
        feet.planted[:, k] &= (x <= 0) | (x >= 1)
        feet.pitch[:, k] += 0.7 * spans(x, (0.0, 0.12), (0.55, 0.95))
        feet.toe[:, k] += 0.7 * off * (1 - smooth((x - 0.5) / 0.4))


def _leap_body(motion: Motion, x: Array, crouch: Array, landing: Array, ahead: bool) -> None:
    rig = motion.rig
    air = spans(x, (0.0, 0.3), (0.7, 1.0))
    if len(rig.legs) == 2:
        bow = 0.3 * crouch + 0.22 * landing
        motion.trunk((0.4 * bow, 0, 0), (bow + 0.1 * air, 0, 0))
        motion.look(pitch=-0.7 * bow)
    else:  # the forequarters rise first and land first
        tip = (0.22 if ahead else 0.08) * (2.0 * x - 1.0) * spans(x, (0.0, 0.15), (0.85, 1.0))
        motion.tilt(tip + 0.05 * crouch - 0.06 * landing)
        motion.look(pitch=-0.6 * tip)
        arch = rig.plan.trunk.flex * (0.3 * crouch - 0.2 * air + 0.2 * landing)
        motion.trunk((-0.5 * arch, 0, 0), (0.5 * arch, 0, 0))
    if "upright" in rig.plan.habits:
        swing = 0.9 * crouch - 1.9 * air - 0.3 * landing
        motion.arms(pitch=swing, out=0.25 * air, elbow=-0.4 * (crouch + air + landing))
    motion.bend(rig.tail, pitch=(0.45 * air - 0.25 * crouch) * (0.3 if rig.plan.insect else 1.0))
    motion.fold_wings(-0.3 * air)
