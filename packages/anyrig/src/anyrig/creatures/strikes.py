"""Ways to attack: each winds up, strikes and recovers within ``u`` (T,) from 0 to 1, on the feet where it stands.

A strike fills the motion and returns the verbs and the clauses that tell it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures import blows, posture
from anyrig.creatures.blows import Told
from anyrig.creatures.curves import TAU, spans, track
from anyrig.creatures.motion import YAW, Motion
from anyrig.creatures.plans import Plan

Array = NDArray[np.float64]
Strike = Callable[[Motion, Array, random.Random], Told]

_SNAP = "[the jaws snap shut|its mouth opens wide and closes]"


def choices(plan: Plan) -> list[Strike]:
    """The strikes that a body has the means for, the most natural ones several times."""
    pincers = plan.arms is not None and plan.arms.pincer
    if plan.kind in ("hexapod", "octopod"):
        options: list[Strike] = [blows.forelegs]
        options += [blows.sting] * 3 if "sting" in plan.habits else []
        options += [blows.pinch] * 3 if pincers else [blows.grab] * 3 if plan.arms else []
        options += [lunge] * 2 if plan.head and plan.head.mandibles else []
        return options
    if plan.kind == "biped" and "upright" in plan.habits:
        return [blows.punch, blows.punch, blows.smash, blows.kick]
    if plan.kind == "bird":
        return [peck, peck, lunge]
    options = [lunge]
    foreleg = plan.legs[0]
    if plan.n_legs == 2:
        options += [lunge, blows.kick]
    elif foreleg.toe <= 0 and foreleg.foot > 0:  # hooves and columns
        options += [headbutt, headbutt, rear, *([hind_kick] if plan.trunk.flex > 0.2 else [])]
    elif "sprawls" not in plan.habits:
        options += [swipe, swipe, rear]
    if plan.tail is not None and plan.tail.n >= 4 and plan.tail.length > 1.2 * plan.size:
        options += [tail_swipe] * 2
    return options


def lunge(motion: Motion, u: Array, rng: random.Random) -> Told:
    """A bite: back, then forward with an open mouth."""
    rig, energy = motion.rig, motion.style.energy
    hit = rng.uniform(0.42, 0.52)
    thrust = track(u, (0, 0), (hit - 0.2, -0.5), (hit - 0.1, -0.5), (hit, 1), (hit + 0.08, 0.95), (0.95, 0))
    back, out = np.maximum(-thrust, 0), np.maximum(thrust, 0)
    height = rig.hip_height
    motion.shift(forward=energy**0.5 * height * (0.24 * out - 0.16 * back), up=-0.08 * height * back)
    if len(rig.legs) > 2:
        motion.heave(0.02 * height * out, -0.06 * height * out + 0.05 * height * back)
    else:
        motion.tilt(0.3 * out - 0.2 * back)
    if rig.neck:
        motion.bend(rig.neck, pitch=0.75 * out - 0.7 * back)
        motion.turn(rig.head, pitch=0.35 * back - 0.55 * out)
    motion.open_jaw(1.2 * spans(u, (hit - 0.16, hit - 0.05), (hit, hit + 0.05)))
    motion.bend(rig.tail, pitch=0.3 * back - 0.1 * out)
    clauses = (
        "[the body draws back and then shoots forward|it leans back, then thrusts itself forward]",
        _SNAP if rig.jaw is not None or rig.mandibles else "[the head jabs forward|the head is thrust at its target]",
        "[the feet stay planted|its feet do not leave the ground]",
    )
    return ("bite", "attack with a bite", "lunge forward and snap", "lunge and bite", "attack"), clauses


def peck(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Two or three quick jabs of the beak."""
    rig = motion.rig
    n = rng.choice((2, 3))
    jab = sum(
        track(u, (k / n + 0.02, 0), (k / n + 0.11, -0.4), (k / n + 0.2, 1), ((k + 0.95) / n, 0)) for k in range(n)
    )
    out, back = np.maximum(jab, 0), np.maximum(-np.asarray(jab), 0)
    motion.tilt(0.5 * out - 0.15 * back)
    motion.look(pitch=0.7 * out - 0.5 * back)
    motion.shift(forward=0.1 * rig.hip_height * out, up=-0.06 * rig.hip_height * out)
    motion.open_jaw(0.5 * out)
    half = 0.35 * spans(u, (0.05, 0.2), (0.8, 0.95))
    posture.fold_wings(motion, -half)
    times = "twice" if n == 2 else "three times"
    return ("peck", "attack with its beak", f"peck {times}", "jab with its beak"), (
        f"[the head darts forward and back {times}|the beak jabs {times}]",
        "[the wings are half opened|its wings lift off the body]",
        "[the feet stay planted|its feet do not move]",
    )


def headbutt(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Lowers the head, rams forward and tosses it up."""
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.45, 0.55)
    down = spans(u, (0.05, hit - 0.12), (hit, hit + 0.12))
    toss = spans(u, (hit - 0.02, hit + 0.08), (hit + 0.15, 0.95))
    thrust = track(u, (0, 0), (hit - 0.15, -0.6), (hit, 1), (hit + 0.1, 0.9), (0.95, 0))
    motion.shift(forward=0.22 * height * thrust)
    motion.heave(0.0, -0.12 * height * down)
    motion.bend(rig.neck, pitch=1.0 * down - 0.45 * toss)
    motion.turn(rig.head, pitch=0.45 * down - 0.25 * toss)
    motion.bend(rig.tail, pitch=0.5 * np.maximum(thrust, 0))
    return ("headbutt", "attack with its head", "ram its head forward", "butt with a lowered head"), (
        "[the head goes down|it lowers its head]",
        "[the body rams forward|the whole body pushes forward]",
        "[the head is tossed up|then it throws the head up]",
    )


def swipe(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Strikes with a forepaw."""
    rig, height = motion.rig, motion.rig.hip_height
    leg = rng.choice((0, 1))
    side = rig.legs[leg].side
    hit = rng.uniform(0.45, 0.55)
    up = spans(u, (0.08, 0.28), (hit + 0.14, 0.9))
    swing = track(u, (0.08, 0.2), (hit - 0.12, 1.05), (hit, 0.75), (hit + 0.1, 0.1), (0.9, 0))
    out = track(u, (0.08, 0), (hit - 0.12, 0.5), (hit, -0.35), (hit + 0.1, -0.45), (0.9, 0))
    motion.feet.release(
        [leg], up, stretch=0.86 + 0.1 * spans(u, (hit - 0.15, hit), (hit, hit + 0.1)), swing=swing, spread=out
    )
    motion.feet.pitch[:, leg] = motion.feet.toe[:, leg] = 0.5 * up
    motion.shift(forward=-0.08 * height * up, left=-side * 0.07 * height * up)
    twist = -side * track(u, (0, 0), (hit - 0.12, -0.22), (hit + 0.04, 0.3), (0.95, 0))
    motion.heave(-0.05 * height * up, 0.06 * height * up)
    motion.trunk((0, 0, 0), (0, twist, 0))
    motion.look(yaw=0.4 * twist, pitch=0.15 * up)
    motion.open_jaw(0.8 * spans(u, (hit - 0.15, hit), (hit + 0.1, hit + 0.25)))
    name = "left" if side > 0 else "right"
    return ("swipe with its paw", f"strike with its {name} paw", "attack with its claws", "claw at something"), (
        f"[the {name} foreleg is raised and sweeps across|the {name} paw lifts, then slashes inward]",
        "[its weight goes back on the hind legs|the body leans back]",
        "[the head follows the blow|the chest twists with the blow]",
    )


def hind_kick(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Kicks out backward with both hind legs."""
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.45, 0.52)
    off = spans(u, (0.22, 0.34), (hit + 0.12, hit + 0.3))
    kick = track(u, (0.2, 0), (hit - 0.06, -0.35), (hit, 1), (hit + 0.06, 1), (hit + 0.3, 0))
    hind = [k for k, leg in enumerate(rig.legs) if leg.pair == len(rig.plan.legs) - 1]
    motion.feet.release(hind, off, stretch=0.62 + 0.38 * np.maximum(kick, 0), swing=-1.35 * np.maximum(kick, 0) + 0.1)
    for k in hind:
        motion.feet.pitch[:, k] = motion.feet.toe[:, k] = 0.8 * off
    motion.heave(height * (0.16 * off - 0.08 * spans(u, (0.05, 0.18), (0.18, 0.3))), -0.1 * height * off)
    motion.look(pitch=0.45 * off)
    motion.bend(rig.tail, pitch=0.6 * off)
    return ("kick backward", "kick out with its hind legs", "buck and kick"), (
        "[both hind legs leave the ground and kick out behind|the hind legs fly back together]",
        "[its weight is on the forelegs|the rump rises high]",
        "[the head goes down|the head drops]",
    )


def rear(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Rises on the hind legs and comes down on the forelegs."""
    rig, energy = motion.rig, motion.style.energy
    top = rng.uniform(0.5, 0.85) * min(1.1, energy)
    rise = track(u, (0, 0), (0.1, -0.1), (0.4, 1), (0.52, 0.95), (0.68, -0.06), (0.85, 0))
    off = spans(u, (0.14, 0.26), (0.6, 0.67))
    fore = [k for k, leg in enumerate(rig.legs) if leg.pair == 0]
    for k in fore:
        paddle = 0.5 + 0.35 * np.sin(TAU * 2.0 * u + k * 2.4)
        motion.feet.release([k], off, stretch=0.72, swing=paddle)
        motion.feet.pitch[:, k] = motion.feet.toe[:, k] = 0.6 * off
    motion.tilt(-top * rise)
    motion.shift(up=-0.12 * rig.hip_height * np.maximum(rise, 0), forward=-0.05 * rig.hip_height * np.maximum(rise, 0))
    motion.look(pitch=0.45 * top * rise)
    motion.bend(rig.tail, pitch=0.35 * top * rise)
    motion.open_jaw(0.7 * off)
    return ("rear up and stomp", "rear up and strike down with its forelegs", "attack with its forelegs"), (
        "[the forequarters rise until it stands on the hind legs|it rises on its hind legs]",
        "[the forelegs paw the air|its forelegs beat in the air]",
        "[then the forelegs stamp down|at last it drops on its forelegs]",
    )


def tail_swipe(motion: Motion, u: Array, rng: random.Random) -> Told:
    """Whips the tail round to one side."""
    rig, side = motion.rig, rng.choice((1, -1))
    hit = rng.uniform(0.45, 0.55)
    whip = [(0, 0), (hit - 0.17, -0.7), (hit + 0.03, 1), (hit + 0.12, 0.85), (0.97, 0)]
    body = side * track(u, *whip)
    # The tail's tip goes to the side opposite to the one the rump turns to.
    motion.trunk((0, 0.32 * body, 0), (0, -0.12 * body, 0))
    n = max(len(rig.tail), 1)
    for k, joint in enumerate(rig.tail):
        late = np.clip(u - 0.08 * k / n, 0, 1)
        motion.angles[:, joint, YAW] += side * 1.9 / n * track(late, *whip)
    motion.shift(up=-0.05 * rig.hip_height * np.abs(body))
    motion.look(yaw=-0.5 * body)
    motion.bend(rig.tail, pitch=0.12 * np.abs(body))
    name = "right" if side > 0 else "left"
    return ("swipe with its tail", "attack with its tail", f"whip its tail to the {name}", "lash out with its tail"), (
        "[the tail swings back and then whips across|the tail winds up and lashes out]",
        "[the hips turn with it|the rump swings round]",
        "[the head looks back|the feet stay on the ground]",
    )
