"""Blows of bodies with arms, stings and many legs; see :mod:`~anyrig.creatures.strikes`."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures import posture
from anyrig.creatures.curves import spans, track
from anyrig.creatures.motion import Motion

Array = NDArray[np.float64]
Told = tuple[tuple[str, ...], tuple[str, ...]]  # verbs, and clauses on parts of the body


def punch(motion: Motion, u: Array, rng: random.Random) -> Told:
    """A straight blow with one fist, the other held in guard."""
    rig, which = motion.rig, rng.choice((0, 1))
    side, energy = rig.arms[which].side, motion.style.energy
    hit = rng.uniform(0.42, 0.5)
    guard = spans(u, (0, 0.18), (0.78, 1))
    wind = spans(u, (0.1, hit - 0.12), (hit - 0.1, hit))
    out = spans(u, (hit - 0.1, hit), (hit + 0.08, hit + 0.25))
    for arm in rig.arms:
        mine = arm.side == side
        reach, back = (out, wind) if mine else (0.0 * out, 0.0 * wind)
        motion.turn(arm.joints[0], pitch=guard * -0.75 - 0.8 * reach + 0.6 * back, roll=-arm.side * 0.1 * guard)
        motion.turn(arm.joints[1], pitch=guard * -1.75 + 1.7 * reach - 0.2 * back)
        posture.curl_fingers(motion, arm.fingers, guard)
    turn = -side * (0.55 * out - 0.4 * wind)
    motion.trunk((0.05 * out, 0.3 * turn, 0), (0.1 * guard + 0.12 * out, turn, 0))
    motion.look(yaw=-0.9 * turn)
    motion.shift(forward=0.12 * rig.hip_height * energy**0.5 * (out - 0.4 * wind), up=-0.04 * rig.hip_height * guard)
    name = "left" if side > 0 else "right"
    return ("punch", f"throw a punch with its {name} fist", "attack with a punch", "punch forward"), (
        f"[the {name} arm draws back and then shoots forward|the {name} fist thrusts straight ahead]",
        "[the other arm stays up in guard|the other fist guards the face]",
        "[the shoulders twist with the blow|the trunk turns into the blow]",
    )


def smash(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Both arms up, then down with the whole trunk."""
    rig = motion.rig
    hit = rng.uniform(0.5, 0.58)
    up = spans(u, (0.05, hit - 0.18), (hit - 0.1, hit))
    down = spans(u, (hit - 0.08, hit + 0.02), (hit + 0.15, 0.97))
    for arm in rig.arms:
        motion.turn(arm.joints[0], pitch=-2.75 * up - 0.75 * down, roll=-arm.side * 0.12 * (up + down))
        motion.turn(arm.joints[1], pitch=-0.5 * up - 0.15 * down)
        posture.curl_fingers(motion, arm.fingers, np.maximum(up, down))
    motion.trunk((0.12 * down, 0, 0), (0.75 * down - 0.25 * up, 0, 0))
    motion.look(pitch=-0.3 * down - 0.15 * up)
    motion.shift(up=-0.14 * rig.hip_height * down, forward=-0.03 * rig.hip_height * down)
    return ("smash down with both fists", "attack with both arms", "slam its fists down", "pound with both arms"), (
        "[both arms rise over the head|it lifts both arms high]",
        "[then the arms crash down in front|then both fists swing down]",
        "[the trunk bends forward with the blow|the knees bend as it strikes]",
    )


def kick(motion: Motion, u: Array, rng: random.Random) -> Told:
    """A forward kick with one leg."""
    rig, leg = motion.rig, rng.choice((0, 1))
    side = rig.legs[leg].side
    hit = rng.uniform(0.42, 0.5)
    off = spans(u, (0.14, 0.26), (hit + 0.18, hit + 0.36))
    cock = spans(u, (0.14, hit - 0.1), (hit - 0.08, hit))
    out = spans(u, (hit - 0.1, hit), (hit + 0.08, hit + 0.24))
    motion.feet.release([leg], off, stretch=0.97 - 0.35 * cock, swing=0.75 * cock + 1.3 * out)
    motion.feet.pitch[:, leg] = motion.feet.toe[:, leg] = 0.35 * cock - 0.15 * out
    motion.shift(left=-side * 0.75 * rig.plan.legs[0].spread * off, up=-0.03 * rig.hip_height * off)
    motion.tilt(-0.2 * out)
    motion.look(pitch=0.15 * out)
    motion.bend(rig.tail, pitch=-0.1 * out)
    for arm in rig.arms:
        motion.turn(arm.joints[0], pitch=-0.5 * off, roll=arm.side * 0.25 * off)
        motion.turn(arm.joints[1], pitch=-0.9 * off)
    name = "left" if side > 0 else "right"
    return ("kick forward", f"kick with its {name} leg", "attack with a kick"), (
        f"[the {name} knee comes up and the leg snaps out forward|the {name} leg swings up and kicks ahead]",
        "[its weight is on the other leg|it balances on the other leg]",
        "[the trunk leans back|the body leans away from the kick]",
    )


def forelegs(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Raises the forelegs in threat and strikes down with them."""
    height = motion.rig.hip_height
    hit = rng.uniform(0.5, 0.6)
    up = spans(u, (0.05, 0.3), (hit, hit + 0.12))
    high = track(u, (0.05, 0), (hit - 0.12, 1), (hit, -0.05), (hit + 0.12, 0))
    motion.feet.release([0, 1], up, stretch=1.12, swing=0.25 * high, spread=0.95 * high)
    motion.heave(-0.15 * height * up, 0.3 * height * up)
    motion.shift(forward=height * track(u, (0, 0), (0.3, -0.25), (hit - 0.12, -0.25), (hit, 0.3), (0.95, 0)))
    motion.open_jaw(spans(u, (0.1, 0.25), (hit, hit + 0.1)))
    return ("raise its forelegs and strike", "attack with its front legs", "rear up and strike", "attack"), (
        "[the front legs rise high|it lifts its two front legs in threat]",
        "[then they strike down|then they come down hard]",
        "[the body tilts up and lunges forward|the front of the body lifts]",
    )


def sting(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Strikes over its own back with the tail."""
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.45, 0.55)
    jab = track(u, (0, 0), (hit - 0.15, -0.55), (hit, 1), (hit + 0.06, 1), (0.95, 0))
    motion.bend(rig.tail, pitch=0.35 * np.minimum(jab, 0) + 0.75 * np.maximum(jab, 0))
    motion.shift(forward=0.45 * height * jab)
    motion.heave(0.15 * height * np.maximum(jab, 0), -0.15 * height * np.maximum(jab, 0))
    for arm in rig.arms:
        posture.pinch(motion, arm.fingers, spans(u, (0.1, 0.3), (0.7, 0.9)))
        motion.turn(
            arm.joints[0], pitch=-0.2 * spans(u, (0.1, 0.3), (0.7, 0.9)), yaw=arm.side * 0.2 * np.maximum(-jab, 0)
        )
    return ("sting", "strike with its sting", "stab with its tail", "attack with its tail"), (
        "[the tail draws back and stabs forward over the back|the tail shoots over its head]",
        "[the pincers open|its pincers are held wide]" if rig.arms else "[the body pushes forward|it lunges]",
        "[all feet hold their ground|its legs brace]",
    )


def pinch(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Thrusts the pincers forward and closes them."""
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.45, 0.55)
    reach = track(u, (0, 0), (hit - 0.15, -0.6), (hit, 1), (hit + 0.1, 0.8), (0.95, 0))
    wide = spans(u, (0.05, hit - 0.1), (hit - 0.02, hit + 0.04))
    for arm in rig.arms:
        motion.turn(arm.joints[0], yaw=-arm.side * 0.5 * reach, pitch=-0.3 * np.abs(reach))
        motion.turn(arm.joints[1], yaw=arm.side * 0.45 * reach)
        posture.pinch(motion, arm.fingers, 1.3 * wide)
    motion.shift(forward=0.4 * height * reach)
    motion.heave(0.0, 0.12 * height * np.maximum(-reach, 0))
    return ("snap with its pincers", "attack with its claws", "lunge and pinch", "grab with its pincers"), (
        "[the pincers open wide, reach out and close|both claws swing in and snap shut]",
        "[the body lunges forward|the body pushes ahead]",
        "[the feet stay planted|all its feet hold their ground]",
    )


def grab(motion: Motion, u: Array, rng: random.Random) -> Told:
    """A mantis's strike: folded arms shoot out and pull back."""
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.42, 0.5)
    out = track(u, (0, 0), (hit - 0.12, -0.3), (hit, 1), (hit + 0.06, 1), (hit + 0.3, 0))
    for arm in rig.arms:
        motion.turn(arm.joints[0], pitch=-0.35 * np.maximum(out, 0))
        motion.turn(arm.joints[1], pitch=1.35 * out)
    motion.shift(forward=0.4 * height * out)
    motion.heave(0.0, 0.2 * height * np.maximum(out, 0))
    return ("strike with its forearms", "snatch at something", "attack with its arms"), (
        "[the folded arms shoot out and pull back|both forearms snap forward]",
        "[the body rocks forward|the body lunges]",
        "[the feet stay where they are|its legs hold their ground]",
    )
