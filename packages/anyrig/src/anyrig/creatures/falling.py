"""Death: legs that give way, bodies that fall over, and stay."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures import aquatic, posture, serpentine
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import TAU, bump, smooth, spans, wave
from anyrig.creatures.motion import PITCH, Motion

Array = NDArray[np.float64]
_STILL = "[then it lies still|at the end it no longer moves|afterwards it lies motionless]"


def topple(motion: Motion, rng: random.Random) -> Telling:
    """Falls on its side: legs buckle, the body rolls over, head and tail sink."""
    rig, u = motion.rig, motion.progress
    side = rng.choice((1, -1))
    start = rng.uniform(0.08, 0.2)
    fall = smooth((u - start) / 0.42) ** 1.3
    limp = smooth((u - start - 0.1) / 0.4)
    posture.stance(motion)
    stagger = bump((u - 0.02) / (start + 0.2))
    motion.shift(left=-side * 0.12 * motion.size * fall + side * 0.05 * motion.size * stagger)
    # Falling to the left means that the left side goes down.
    motion.turn(rig.root, roll=-side * 1.48 * fall + side * 0.06 * stagger)
    motion.lying = fall
    _limp_legs(motion, smooth((u - start - 0.05) / 0.2), rng, stretch=0.82)
    motion.look(pitch=0.35 * limp - 0.2 * stagger, yaw=-0.25 * side * limp)
    motion.bend(rig.tail, pitch=-0.3 * limp)
    motion.open_jaw(0.5 * limp)
    for wing in rig.wings:
        motion.turn(wing.joints[0], yaw=-wing.side * 0.5 * limp, roll=wing.side * 0.3 * limp)
    name = "left" if side > 0 else "right"
    return Telling(
        ("collapse and die", "fall over dead", "die", f"fall dead on its {name} side"),
        (
            "[the legs give way|its legs buckle]",
            f"[the body rolls over to the {name}|it topples on its {name} side]",
            "[the head sinks to the ground|the neck goes limp]",
            _STILL,
        ),
        "[stands on its feet|stands still]",
        paced=False,
        moody=False,
    )


def slump(motion: Motion, rng: random.Random) -> Telling:
    """A body on sprawling legs sinks on its belly, twitches and lies flat."""
    rig, u = motion.rig, motion.progress
    start = rng.uniform(0.1, 0.2)
    fall = smooth((u - start) / 0.35) ** 1.2
    limp = smooth((u - start - 0.1) / 0.4)
    side = rng.choice((1, -1))
    posture.stance(motion)
    twitch = 0.12 * bump((u - start - 0.3) / 0.4) * wave(6 * u)
    motion.trunk((0, twitch, 0), (0, side * 0.15 * limp - twitch, 0))
    motion.lying = fall
    motion.look(pitch=0.3 * limp - 0.25 * bump((u - 0.02) / (start + 0.2)), yaw=side * 0.35 * limp)
    motion.bend(rig.tail, yaw=-side * 0.6 * limp + 3.0 * twitch, pitch=-0.2 * limp)
    motion.open_jaw(0.4 * limp)
    return Telling(
        ("collapse and die", "drop dead on its belly", "die", "sink down dead"),
        (
            "[the legs give way|its legs buckle]",
            "[the body drops on its belly|it sinks flat on the ground]",
            "[the tail twitches and goes limp|the tail lashes once more and drops]",
            _STILL,
        ),
        "[stands on its feet|stands still]",
        paced=False,
        moody=False,
    )


def crumple(motion: Motion, rng: random.Random) -> Telling:
    """An upright body sinks to its knees and falls on its face, or goes over backward."""
    rig, u = motion.rig, motion.progress
    ahead = rng.random() < 0.6
    start = rng.uniform(0.08, 0.18)
    knees = smooth((u - start) / 0.3)
    fall = smooth((u - start - 0.14) / 0.36) ** 1.4
    sign = 1.0 if ahead else -1.0
    upright = rig.plan.trunk.pitch
    posture.stance(motion)
    motion.turn(rig.root, pitch=(upright if ahead else upright - np.pi) * fall)
    motion.shift(up=-0.3 * motion.size * knees * (1 - fall), forward=sign * 0.25 * motion.size * fall)
    motion.trunk((0, 0, 0), (0.35 * bump((u - start) / 0.5), 0, 0))
    motion.lying = fall
    off = smooth((u - start - 0.18) / 0.2)
    for k in range(len(rig.legs)):
        # Knees bend forward: under a body that lies on its front they would hold it up.
        bent = 0.0 if ahead else 0.04 + 0.06 * k
        motion.feet.release([k], off, stretch=1.0 - bent, swing=upright - np.pi / 2, spread=0.06 + 0.06 * k)
        motion.feet.pitch[:, k] = motion.feet.toe[:, k] = (0.9 if ahead else 0.2) * off
    for arm in rig.arms:
        lag = 0.2 * (arm.side > 0)
        motion.turn(arm.joints[0], pitch=-(0.5 + lag) * knees + 0.2 * fall, roll=arm.side * (0.5 + lag) * fall)
        motion.turn(arm.joints[1], pitch=-0.5 * knees)
    motion.look(pitch=sign * 0.3 * knees - sign * 0.25 * fall, yaw=0.5 * fall)
    motion.bend(rig.tail, pitch=-0.4 * fall)
    where = (
        "[falls forward on its face|drops flat on its front]" if ahead else "[falls over backward|drops on its back]"
    )
    return Telling(
        ("collapse and die", "die", "fall dead forward" if ahead else "fall dead backward"),
        ("[the knees give way|its knees buckle]", f"[the body|it] {where}", "[the arms go limp|its arms drop]", _STILL)
        if rig.arms
        else ("[the knees give way|its knees buckle]", f"[the body|it] {where}", _STILL),
        "[stands upright|stands on its feet]",
        paced=False,
        moody=False,
    )


def flip(motion: Motion, rng: random.Random) -> Telling:
    """An insect or a spider turns on its back and curls its legs."""
    rig, u = motion.rig, motion.progress
    side = rng.choice((1, -1))
    start = rng.uniform(0.1, 0.2)
    over = smooth((u - start) / 0.4)
    curl = smooth((u - start - 0.15) / 0.5)
    posture.stance(motion)
    motion.turn(rig.root, roll=-side * np.pi * 0.97 * over)
    motion.shift(up=0.15 * motion.size * bump((u - start) / 0.4), left=-side * 0.6 * motion.size * over)
    motion.lying = smooth((u - start - 0.05) / 0.35)
    off = smooth((u - start) / 0.12)
    for k in range(len(rig.legs)):
        twitch = 0.12 * (1 - smooth((u - 0.6) / 0.3)) * wave(5 * u, 0.37 * k)
        motion.feet.release(
            [k], off, stretch=1.0 - 0.42 * curl + 0.3 * twitch, swing=twitch, spread=-1.0 * curl + twitch
        )
    motion.ripple(rig.tail, PITCH, 0.3 * (1 - curl), 3 * u, 0.1)
    if "sting" in rig.plan.habits:
        motion.bend(rig.tail, pitch=-2.2 * over)
    return Telling(
        ("flip on its back and die", "die", "turn over and die", "fall on its back dead"),
        (
            "[the body turns over on its back|it tips over onto its back]",
            "[the legs twitch and curl up|its legs kick and then fold over the belly]",
            _STILL,
        ),
        "[stands on its feet|stands still]",
        paced=False,
        moody=False,
    )


def _limp_legs(motion: Motion, amount: Array, rng: random.Random, *, stretch: float) -> None:
    for k in range(len(motion.rig.legs)):
        motion.feet.release([k], amount, stretch=stretch + rng.uniform(-0.1, 0.1), swing=rng.uniform(-0.25, 0.35))
        motion.feet.pitch[:, k] = motion.feet.toe[:, k] = rng.uniform(0.1, 0.5) * amount


def sink(motion: Motion, rng: random.Random) -> Telling:
    """A swimmer turns belly up and drifts."""
    rig, u, size = motion.rig, motion.progress, motion.rig.plan.size
    aquatic.altitude(motion, rng)
    side = rng.choice((1, -1))
    over = smooth((u - 0.15) / 0.55)
    weak = 1.0 - smooth(u / 0.5)
    aquatic.undulate(motion, 2.2 * u, 0.9 * weak + 0.05)
    motion.turn(rig.root, roll=side * 2.95 * over, pitch=0.25 * spans(u, (0.1, 0.4), (0.5, 0.9)))
    motion.trunk((0, 0, 0), (0.15 * over, 0.1 * over, 0))
    down = rng.random() < 0.6
    motion.shift(forward=0.35 * size * (1 - (1 - u) ** 2), up=(-0.3 if down else 0.35) * size * smooth(u))
    motion.open_jaw(0.7 * over)
    return Telling(
        ("die", "die and turn belly up", "roll over dead"),
        (
            "[the strokes of the tail die away|the tail beats weaker and weaker]"
            if "rays" not in rig.plan.habits
            else "[the beats of the fins die away|the fins beat weaker and weaker]",
            "[the body rolls belly up|it turns over on its back]",
            "[it sinks slowly|the body drifts down]" if down else "[it floats up slowly|the body drifts up]",
        ),
        "[swims in the water|is in the water]",
        paced=False,
        moody=False,
    )


def writhe(motion: Motion, rng: random.Random) -> Telling:
    """A serpent twists, rolls over and lies still."""
    u = motion.progress
    body = serpentine.spine(motion)
    calm = 1.0 - smooth((u - 0.15) / 0.55)
    roll = rng.choice((1, -1)) * 2.9 * smooth((u - 0.25) / 0.45)
    n = len(body.links)
    height = float(motion.rig.natural[motion.rig.root, 1])
    base = rng.uniform(0.5, 0.9)
    k = (np.arange(n) + 0.5) / n
    waves = rng.uniform(1.1, 1.7)
    yaw = base * np.sin(TAU * waves * k)[None, :] * (1 + 0.5 * smooth(u))[:, None]
    yaw = yaw + (0.7 * motion.style.energy * calm)[:, None] * np.sin(
        TAU * (waves * 1.2 * k[None, :] - (2.6 * u)[:, None])
    )
    steps = body.links[None, :, None] * np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=-1)
    points = np.concatenate([np.zeros((len(u), 1, 3)), np.cumsum(steps, axis=1)], axis=1)
    points += -points.mean(axis=1, keepdims=True) + np.array([0.0, height, 0.0])
    points[..., 1] = height
    serpentine.lay(motion, body, points, roll=roll)
    motion.open_jaw(0.8 * smooth((u - 0.3) / 0.4))
    return Telling(
        ("writhe and die", "die", "twist in agony and die"),
        (
            "[the body writhes in wild curves|it twists and thrashes]",
            "[it rolls over on its back|the belly turns up]",
            _STILL,
        ),
        "[lies on the ground in curves|lies in waves]",
        paced=False,
        moody=False,
    )
