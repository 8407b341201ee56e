"""Ways to attack: each winds up, strikes and recovers within ``u`` (T,) from 0 to 1, on the feet where it stands.

A strike fills the motion and returns the verbs and the clauses that tell it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures import posture
from anyrig.creatures.curves import TAU, spans, track
from anyrig.creatures.motion import YAW, Motion
from anyrig.creatures.plans import Plan

Array = NDArray[np.float64]
Told = tuple[tuple[str, ...], tuple[str, ...]]
Strike = Callable[[Motion, Array, random.Random], Told]

_SNAP = "[the jaws snap shut|its mouth opens wide and closes]"


def choices(plan: Plan) -> list[Strike]:
    """The strikes that a body has the means for, the most natural ones several times."""
    pincers = plan.arms is not None and plan.arms.pincer
    if plan.kind in ("hexapod", "octopod"):
        options: list[Strike] = [forelegs]
        options += [sting] * 3 if "sting" in plan.habits else []
        options += [pinch] * 3 if pincers else [grab] * 3 if plan.arms else []
        options += [lunge] * 2 if plan.head and plan.head.mandibles else []
        return options
    if plan.kind == "biped" and "upright" in plan.habits:
        return [punch, punch, smash, kick]
    if plan.kind == "biped":
        return [lunge, lunge, lunge, kick, *([tail_swipe] if plan.tail and plan.tail.n >= 4 else [])]
    if plan.kind == "bird":
        return [peck, peck, lunge]
    options = [lunge]
    posture_of_legs = plan.legs[0]
    if posture_of_legs.toe <= 0 and posture_of_legs.foot > 0:  # hooves
        options += [headbutt, headbutt, hind_kick, rear] if plan.trunk.flex > 0.2 else [headbutt, headbutt, rear]
    else:
        options += [swipe, swipe, rear] if "sprawls" not in plan.habits else [lunge]
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
