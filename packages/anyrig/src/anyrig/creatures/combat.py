"""Fighting: attacks that suit a body, threats, being hit, and dying.

A strike winds up, hits and recovers within ``u`` (T,) from 0 to 1, on the spot. It fills the motion and returns the
verbs and clauses of its caption. A new strike is a function and an entry in :func:`_strikes`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from anyrig.creatures import standing
from anyrig.creatures.body import BodyPlan
from anyrig.creatures.captions import STILL, Telling, side_name
from anyrig.creatures.motion import PITCH, TAU, YAW, Motion, bump, smooth, spans, track, wave
from anyrig.rotations import Array

Told = tuple[str, tuple[str, ...]]
Strike = Callable[[Motion, Array, random.Random], Told]


def attack(motion: Motion, rng: random.Random) -> Telling:
    """One kind of strike, repeated as often as time allows."""
    standing.ready(motion, 0.7)
    strike = rng.choice(_strikes(motion.rig.plan))
    n, u = standing.repeats(motion, rng, 1.9)
    verbs, parts = strike(motion, u, rng)
    if n > 1:
        often = "twice" if n == 2 else "again and again"
        verbs = "|".join(f"{verb} {often}" for verb in verbs.split("|") if "twice" not in verb)
    return Telling(verbs, "stands ready|stands its ground|stands on guard", *parts)


def _strikes(plan: BodyPlan) -> list[Strike]:
    """The strikes that suit a body, the most natural ones repeated."""
    if plan.insect:
        options: list[Strike] = [_forelegs]
        options += [_sting] * 3 if "sting" in plan.habits else []
        options += [_pinch] * 3 if plan.pincers else [_grab] * 3 if plan.arms else []
        options += [_lunge] * 2 if plan.head.mandibles else []
        return options
    if plan.kind == "biped" and "upright" in plan.habits:
        return [_punch, _punch, _smash, _kick]
    if plan.kind == "bird":
        return [_peck, _peck, _lunge]
    options = [_lunge]
    foreleg = plan.legs[0]
    if plan.n_legs == 2:
        options += [_lunge, _kick]
    elif foreleg.toe <= 0 and foreleg.foot > 0:  # hooves and columns
        options += [_headbutt, _headbutt, _rear, *([_hind_kick] if plan.trunk.flex > 0.2 else [])]
    elif "sprawls" not in plan.habits:
        options += [_swipe, _swipe, _rear]
    if plan.tail is not None and plan.tail.n >= 4 and plan.tail.length > 1.2 * plan.size:
        options += [_tail_swipe] * 2
    return options


# -- strikes with head, legs and tail


def _lunge(motion: Motion, u: Array, rng: random.Random) -> Told:
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.42, 0.52)
    thrust = track(u, (0, 0), (hit - 0.2, -0.5), (hit - 0.1, -0.5), (hit, 1), (hit + 0.08, 0.95), (0.95, 0))
    back, out = np.maximum(-thrust, 0), np.maximum(thrust, 0)
    motion.shift(forward=motion.style.energy**0.5 * height * (0.24 * out - 0.16 * back), up=-0.08 * height * back)
    if len(rig.legs) > 2:
        motion.heave(0.02 * height * out, -0.06 * height * out + 0.05 * height * back)
    else:
        motion.tilt(0.3 * out - 0.2 * back)
    if rig.neck:
        motion.bend(rig.neck, pitch=0.75 * out - 0.7 * back)
        motion.turn(rig.head, pitch=0.35 * back - 0.55 * out)
    motion.open_jaw(1.2 * spans(u, (hit - 0.16, hit - 0.05), (hit, hit + 0.05)))
    motion.bend(rig.tail, pitch=0.3 * back - 0.1 * out)
    bites = rig.jaw is not None or rig.mandibles
    return "bite|attack with a bite|lunge forward and snap|lunge and bite|attack", (
        "the body draws back and then shoots forward|it leans back, then thrusts itself forward",
        "the jaws snap shut|its mouth opens wide and closes"
        if bites
        else "the head jabs forward|the head is thrust at its target",
        "the feet stay planted|its feet do not leave the ground",
    )


def _peck(motion: Motion, u: Array, rng: random.Random) -> Told:
    n, height = rng.choice((2, 3)), motion.rig.hip_height
    jab = np.asarray(
        sum(track(u, (k / n + 0.02, 0), (k / n + 0.11, -0.4), (k / n + 0.2, 1), ((k + 0.95) / n, 0)) for k in range(n))
    )
    out, back = np.maximum(jab, 0), np.maximum(-jab, 0)
    motion.tilt(0.5 * out - 0.15 * back)
    motion.look(pitch=0.7 * out - 0.5 * back)
    motion.shift(forward=0.1 * height * out, up=-0.06 * height * out)
    motion.open_jaw(0.5 * out)
    motion.fold_wings(-(0.35 * spans(u, (0.05, 0.2), (0.8, 0.95))))
    times = "twice" if n == 2 else "three times"
    return f"peck|attack with its beak|peck {times}|jab with its beak", (
        f"the head darts forward and back {times}|the beak jabs {times}",
        "the wings are half opened|its wings lift off the body",
        "the feet stay planted|its feet do not move",
    )


def _headbutt(motion: Motion, u: Array, rng: random.Random) -> Told:
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
    return "headbutt|attack with its head|ram its head forward|butt with a lowered head", (
        "the head goes down|it lowers its head",
        "the body rams forward|the whole body pushes forward",
        "the head is tossed up|then it throws the head up",
    )


def _swipe(motion: Motion, u: Array, rng: random.Random) -> Told:
    height, leg = motion.rig.hip_height, rng.choice((0, 1))
    side = motion.rig.legs[leg].side
    hit = rng.uniform(0.45, 0.55)
    up = spans(u, (0.08, 0.28), (hit + 0.14, 0.9))
    swing = track(u, (0.08, 0.2), (hit - 0.12, 1.05), (hit, 0.75), (hit + 0.1, 0.1), (0.9, 0))
    out = track(u, (0.08, 0), (hit - 0.12, 0.5), (hit, -0.35), (hit + 0.1, -0.45), (0.9, 0))
    stretch = 0.86 + 0.1 * spans(u, (hit - 0.15, hit), (hit, hit + 0.1))
    motion.feet.release(leg, up, stretch=stretch, swing=swing, spread=out, hang=0.5 * up)
    motion.shift(forward=-0.08 * height * up, left=-side * 0.07 * height * up)
    twist = -side * track(u, (0, 0), (hit - 0.12, -0.22), (hit + 0.04, 0.3), (0.95, 0))
    motion.heave(-0.05 * height * up, 0.06 * height * up)
    motion.bow(0, twist)
    motion.look(yaw=0.4 * twist, pitch=0.15 * up)
    motion.open_jaw(0.8 * spans(u, (hit - 0.15, hit), (hit + 0.1, hit + 0.25)))
    name = side_name(side)
    return f"swipe with its paw|strike with its {name} paw|attack with its claws|claw at something", (
        f"the {name} foreleg is raised and sweeps across|the {name} paw lifts, then slashes inward",
        "its weight goes back on the hind legs|the body leans back",
        "the head follows the blow|the chest twists with the blow",
    )


def _hind_kick(motion: Motion, u: Array, rng: random.Random) -> Told:
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.45, 0.52)
    off = spans(u, (0.22, 0.34), (hit + 0.12, hit + 0.3))
    out = np.maximum(track(u, (0.2, 0), (hit - 0.06, -0.35), (hit, 1), (hit + 0.06, 1), (hit + 0.3, 0)), 0)
    for k in (2, 3):
        motion.feet.release(k, off, stretch=0.62 + 0.38 * out, swing=-1.35 * out + 0.1, hang=0.8 * off)
    motion.heave(height * (0.16 * off - 0.08 * spans(u, (0.05, 0.18), (0.18, 0.3))), -0.1 * height * off)
    motion.look(pitch=0.45 * off)
    motion.bend(rig.tail, pitch=0.6 * off)
    return "kick backward|kick out with its hind legs|buck and kick", (
        "both hind legs leave the ground and kick out behind|the hind legs fly back together",
        "its weight is on the forelegs|the rump rises high",
        "the head goes down|the head drops",
    )


def _rear(motion: Motion, u: Array, rng: random.Random) -> Told:
    height = motion.rig.hip_height
    top = rng.uniform(0.5, 0.85) * min(1.1, motion.style.energy)
    rise = track(u, (0, 0), (0.1, -0.1), (0.4, 1), (0.52, 0.95), (0.68, -0.06), (0.85, 0))
    off = spans(u, (0.14, 0.26), (0.6, 0.67))
    for k in (0, 1):
        paddle = 0.5 + 0.35 * np.sin(TAU * 2.0 * u + k * 2.4)
        motion.feet.release(k, off, stretch=0.72, swing=paddle, hang=0.6 * off)
    motion.tilt(-top * rise)
    motion.shift(up=-0.12 * height * np.maximum(rise, 0), forward=-0.05 * height * np.maximum(rise, 0))
    motion.look(pitch=0.45 * top * rise)
    motion.bend(motion.rig.tail, pitch=0.35 * top * rise)
    motion.open_jaw(0.7 * off)
    return "rear up and stomp|rear up and strike down with its forelegs|attack with its forelegs", (
        "the forequarters rise until it stands on the hind legs|it rises on its hind legs",
        "the forelegs paw the air|its forelegs beat in the air",
        "then the forelegs stamp down|at last it drops on its forelegs",
    )


def _tail_swipe(motion: Motion, u: Array, rng: random.Random) -> Told:
    rig, side = motion.rig, rng.choice((1, -1))
    hit = rng.uniform(0.45, 0.55)
    whip = [(0, 0), (hit - 0.17, -0.7), (hit + 0.03, 1), (hit + 0.12, 0.85), (0.97, 0)]
    body = side * track(u, *whip)
    # The tail's tip moves opposite to the rump.
    motion.trunk((0, 0.32 * body, 0), (0, -0.12 * body, 0))
    n = len(rig.tail)
    for k, joint in enumerate(rig.tail):
        late = np.clip(u - 0.08 * k / n, 0, 1)
        motion.angles[:, joint, YAW] += side * 1.9 / n * track(late, *whip)
    motion.shift(up=-0.05 * rig.hip_height * np.abs(body))
    motion.look(yaw=-0.5 * body)
    motion.bend(rig.tail, pitch=0.12 * np.abs(body))
    way = side_name(-side)
    return f"swipe with its tail|attack with its tail|whip its tail to the {way}|lash out with its tail", (
        "the tail swings back and then whips across|the tail winds up and lashes out",
        "the hips turn with it|the rump swings round",
        "the head looks back|the feet stay on the ground",
    )


# -- strikes with arms, and of many legs


def _punch(motion: Motion, u: Array, rng: random.Random) -> Told:
    rig, height = motion.rig, motion.rig.hip_height
    side = rig.arms[rng.choice((0, 1))].side
    hit = rng.uniform(0.42, 0.5)
    guard = spans(u, (0, 0.18), (0.78, 1))
    wind = spans(u, (0.1, hit - 0.12), (hit - 0.1, hit))
    out = spans(u, (hit - 0.1, hit), (hit + 0.08, hit + 0.25))
    for arm in rig.arms:
        reach, back = (out, wind) if arm.side == side else (0.0 * out, 0.0 * wind)
        motion.turn(arm.joints[0], pitch=guard * -0.75 - 0.8 * reach + 0.6 * back, roll=-arm.side * 0.1 * guard)
        motion.turn(arm.joints[1], pitch=guard * -1.75 + 1.7 * reach - 0.2 * back)
        motion.curl_fingers(arm, guard)
    turn = -side * (0.55 * out - 0.4 * wind)
    motion.trunk((0.05 * out, 0.3 * turn, 0), (0.1 * guard + 0.12 * out, turn, 0))
    motion.look(yaw=-0.9 * turn)
    ahead = 0.12 * height * motion.style.energy**0.5 * (out - 0.4 * wind)
    motion.shift(forward=ahead, up=-0.04 * height * guard)
    name = side_name(side)
    return f"punch|throw a punch with its {name} fist|attack with a punch|punch forward", (
        f"the {name} arm draws back and then shoots forward|the {name} fist thrusts straight ahead",
        "the other arm stays up in guard|the other fist guards the face",
        "the shoulders twist with the blow|the trunk turns into the blow",
    )


def _smash(motion: Motion, u: Array, rng: random.Random) -> Told:
    rig = motion.rig
    hit = rng.uniform(0.5, 0.58)
    up = spans(u, (0.05, hit - 0.18), (hit - 0.1, hit))
    down = spans(u, (hit - 0.08, hit + 0.02), (hit + 0.15, 0.97))
    motion.arms(pitch=-2.75 * up - 0.75 * down, out=-(0.12 * (up + down)), elbow=-0.5 * up - 0.15 * down)
    for arm in rig.arms:
        motion.curl_fingers(arm, np.maximum(up, down))
    motion.trunk((0.12 * down, 0, 0), (0.75 * down - 0.25 * up, 0, 0))
    motion.look(pitch=-0.3 * down - 0.15 * up)
    motion.shift(up=-0.14 * rig.hip_height * down, forward=-0.03 * rig.hip_height * down)
    return "smash down with both fists|attack with both arms|slam its fists down|pound with both arms", (
        "both arms rise over the head|it lifts both arms high",
        "then the arms crash down in front|then both fists swing down",
        "the trunk bends forward with the blow|the knees bend as it strikes",
    )


def _kick(motion: Motion, u: Array, rng: random.Random) -> Told:
    rig, leg = motion.rig, rng.choice((0, 1))
    side = rig.legs[leg].side
    hit = rng.uniform(0.42, 0.5)
    off = spans(u, (0.14, 0.26), (hit + 0.18, hit + 0.36))
    cock = spans(u, (0.14, hit - 0.1), (hit - 0.08, hit))
    out = spans(u, (hit - 0.1, hit), (hit + 0.08, hit + 0.24))
    hang = 0.35 * cock - 0.15 * out
    motion.feet.release(leg, off, stretch=0.97 - 0.35 * cock, swing=0.75 * cock + 1.3 * out, hang=hang)
    motion.shift(left=-side * 0.75 * rig.plan.legs[0].spread * off, up=-0.03 * rig.hip_height * off)
    motion.tilt(-0.2 * out)
    motion.look(pitch=0.15 * out)
    motion.bend(rig.tail, pitch=-0.1 * out)
    motion.arms(pitch=-0.5 * off, out=0.25 * off, elbow=-0.9 * off)
    name = side_name(side)
    return f"kick forward|kick with its {name} leg|attack with a kick", (
        f"the {name} knee comes up and the leg snaps out forward|the {name} leg swings up and kicks ahead",
        "its weight is on the other leg|it balances on the other leg",
        "the trunk leans back|the body leans away from the kick",
    )


def _forelegs(motion: Motion, u: Array, rng: random.Random) -> Told:
    height = motion.rig.hip_height
    hit = rng.uniform(0.5, 0.6)
    up = spans(u, (0.05, 0.3), (hit, hit + 0.12))
    high = track(u, (0.05, 0), (hit - 0.12, 1), (hit, -0.05), (hit + 0.12, 0))
    for k in (0, 1):
        motion.feet.release(k, up, stretch=1.12, swing=0.25 * high, spread=0.95 * high)
    motion.heave(-0.15 * height * up, 0.3 * height * up)
    motion.shift(forward=height * track(u, (0, 0), (0.3, -0.25), (hit - 0.12, -0.25), (hit, 0.3), (0.95, 0)))
    motion.open_jaw(spans(u, (0.1, 0.25), (hit, hit + 0.1)))
    return "raise its forelegs and strike|attack with its front legs|rear up and strike|attack", (
        "the front legs rise high|it lifts its two front legs in threat",
        "then they strike down|then they come down hard",
        "the body tilts up and lunges forward|the front of the body lifts",
    )


def _sting(motion: Motion, u: Array, rng: random.Random) -> Told:
    rig, height = motion.rig, motion.rig.hip_height
    hit = rng.uniform(0.45, 0.55)
    jab = track(u, (0, 0), (hit - 0.15, -0.55), (hit, 1), (hit + 0.06, 1), (0.95, 0))
    back, out = np.maximum(-jab, 0), np.maximum(jab, 0)
    motion.bend(rig.tail, pitch=0.35 * -back + 0.75 * out)
    motion.shift(forward=0.45 * height * jab)
    motion.heave(0.15 * height * out, -0.15 * height * out)
    wide = spans(u, (0.1, 0.3), (0.7, 0.9))
    for arm in rig.arms:
        motion.open_pincer(arm, wide)
        motion.turn(arm.joints[0], pitch=-0.2 * wide, yaw=arm.side * 0.2 * back)
    return "sting|strike with its sting|stab with its tail|attack with its tail", (
        "the tail draws back and stabs forward over the back|the tail shoots over its head",
        "the pincers open|its pincers are held wide" if rig.arms else "the body pushes forward|it lunges",
        "all feet hold their ground|its legs brace",
    )


def _pinch(motion: Motion, u: Array, rng: random.Random) -> Told:
    height = motion.rig.hip_height
    hit = rng.uniform(0.45, 0.55)
    reach = track(u, (0, 0), (hit - 0.15, -0.6), (hit, 1), (hit + 0.1, 0.8), (0.95, 0))
    wide = spans(u, (0.05, hit - 0.1), (hit - 0.02, hit + 0.04))
    for arm in motion.rig.arms:
        motion.turn(arm.joints[0], yaw=-arm.side * 0.5 * reach, pitch=-0.3 * np.abs(reach))
        motion.turn(arm.joints[1], yaw=arm.side * 0.45 * reach)
        motion.open_pincer(arm, 1.3 * wide)
    motion.shift(forward=0.4 * height * reach)
    motion.heave(0.0, 0.12 * height * np.maximum(-reach, 0))
    return "snap with its pincers|attack with its claws|lunge and pinch|grab with its pincers", (
        "the pincers open wide, reach out and close|both claws swing in and snap shut",
        "the body lunges forward|the body pushes ahead",
        "the feet stay planted|all its feet hold their ground",
    )


def _grab(motion: Motion, u: Array, rng: random.Random) -> Told:
    """A mantis's strike: folded arms shoot out and pull back."""
    height = motion.rig.hip_height
    hit = rng.uniform(0.42, 0.5)
    out = track(u, (0, 0), (hit - 0.12, -0.3), (hit, 1), (hit + 0.06, 1), (hit + 0.3, 0))
    motion.arms(pitch=-0.35 * np.maximum(out, 0), elbow=1.35 * out)
    motion.shift(forward=0.4 * height * out)
    motion.heave(0.0, 0.2 * height * np.maximum(out, 0))
    return "strike with its forearms|snatch at something|attack with its arms", (
        "the folded arms shoot out and pull back|both forearms snap forward",
        "the body rocks forward|the body lunges",
        "the feet stay where they are|its legs hold their ground",
    )


# -- threats and hits


def roar(motion: Motion, rng: random.Random) -> Telling:
    rig, u, height = motion.rig, motion.progress, motion.rig.hip_height
    standing.ready(motion, 0.6)
    start = rng.uniform(0.22, 0.3)
    breath = spans(u, (0.05, start), (start, start + 0.12))
    call = spans(u, (start, start + 0.14), (0.76, 0.94))
    shake = call * wave(max(3, round(3.2 * motion.seconds)) * u)
    motion.look(pitch=0.3 * breath - 0.55 * call + 0.03 * shake, yaw=0.1 * motion.style.energy * shake)
    motion.heave(-0.03 * height * call, 0.03 * height * call - 0.06 * height * breath)
    motion.shift(forward=height * track(u, (0.05, 0.0), (start, -0.06), (start + 0.15, 0.1), (0.76, 0.08), (0.95, 0.0)))
    motion.bow(-0.1 * call + 0.05 * breath, 0, 0.02 * shake)
    motion.bend(rig.tail, pitch=0.25 * call, yaw=0.15 * shake)
    motion.open_jaw(1.15 * call)
    motion.arms(pitch=0.25 * call, out=0.6 * call, elbow=-0.6 * call)
    motion.raise_wings(0.3 * call)
    sound = "call" if rig.plan.kind == "bird" else "roar"
    return Telling(
        f"{sound}|{sound} loudly|{sound} with an open mouth|raise its head and {sound}",
        "stands still|stands on its feet",
        "it draws breath and lowers the head|the head dips first",
        "the head goes up and the mouth opens wide|it throws up its head with open jaws",
        "the head shakes with the sound|the body trembles with it",
    )


def breathe_fire(motion: Motion, rng: random.Random) -> Telling:
    rig, u, height = motion.rig, motion.progress, motion.rig.hip_height
    standing.ready(motion, 0.6, wings=0.75)
    start = rng.uniform(0.28, 0.36)
    back = spans(u, (0.04, start - 0.04), (start - 0.04, start + 0.06))
    blow = spans(u, (start - 0.02, start + 0.1), (0.78, 0.96))
    sweep = rng.choice((1, -1)) * track(u, (start, 0.0), (start + 0.18, 0.45), (0.72, -0.45), (0.92, 0.0))
    motion.bend(rig.neck, pitch=-0.75 * back + 0.8 * blow, yaw=0.7 * sweep)
    motion.turn(rig.head, pitch=0.5 * back - 0.55 * blow, yaw=0.5 * sweep)
    motion.open_jaw(1.2 * blow)
    motion.heave(0.0, 0.08 * height * back - 0.1 * height * blow)
    motion.shift(forward=height * (0.12 * blow - 0.1 * back))
    motion.bend(rig.tail, yaw=-0.5 * sweep, pitch=0.15 * blow)
    motion.raise_wings(0.35 * back + 0.2 * blow)
    return Telling(
        "breathe fire|spit fire|blow fire from its mouth|attack with its fiery breath",
        "stands on the ground with half-folded wings|stands its ground",
        "the neck rears back as it draws breath|it pulls its head far back",
        "the head shoots forward with wide open jaws|the mouth opens wide and thrusts ahead",
        "the head sweeps from side to side|it swings its open mouth across",
    )


def hit(motion: Motion, rng: random.Random) -> Telling:
    rig, u, height = motion.rig, motion.progress, motion.rig.hip_height
    standing.ready(motion, 0.6)
    at = rng.uniform(0.12, 0.25)
    jolt = track(u, (at, 0.0), (at + 0.1, 1.0), (at + 0.28, -0.25), (at + 0.45, 0.12), (0.92, 0.0))
    jolt = jolt * motion.style.energy**0.5
    side = rng.choice((0, 1, -1))
    if side:
        motion.shift(left=-side * 0.14 * height * jolt, up=-0.05 * height * abs(jolt))
        motion.trunk((0, 0, -side * 0.12 * jolt), (0, -side * 0.12 * jolt, -side * 0.22 * jolt))
        motion.look(yaw=-side * 0.55 * jolt, roll=-side * 0.3 * jolt)
        motion.bend(rig.tail, yaw=side * 0.5 * jolt)
        name = side_name(side)
        where = f"the body is knocked away from the {name}|a blow from the {name} jolts the body"
    else:
        motion.shift(forward=-0.16 * height * jolt, up=-0.06 * height * abs(jolt))
        motion.tilt(-0.14 * jolt)
        motion.bow(-0.15 * jolt)
        motion.look(pitch=-0.5 * jolt)
        motion.bend(rig.tail, pitch=-0.4 * jolt)
        where = "the body is knocked back|a blow from the front jolts the body"
    motion.arms(pitch=-0.3 * abs(jolt), out=0.5 * abs(jolt), elbow=-0.6 * abs(jolt))
    motion.open_jaw(0.6 * abs(jolt))
    return Telling(
        "get hit|flinch from a hit|be hit and recover|take a blow",
        "stands still|stands on its feet",
        where,
        "the head is thrown aside|the head jerks" if side else "the head is thrown back|the head jerks up",
        "the feet hold their ground|its feet stay planted",
        "then it finds its balance again|it recovers its stance",
    )


# -- death


def death(motion: Motion, rng: random.Random) -> Telling:
    """From standing to lying dead."""
    plan = motion.rig.plan
    standing.stance(motion)
    if plan.insect:
        return _flip(motion, rng)
    if "upright" in plan.habits:
        return _crumple(motion, rng)
    return _slump(motion, rng) if "sprawls" in plan.habits else _topple(motion, rng)


def _topple(motion: Motion, rng: random.Random) -> Telling:
    rig, u, size = motion.rig, motion.progress, motion.size
    side = rng.choice((1, -1))
    start = rng.uniform(0.08, 0.2)
    motion.lying = fall = smooth((u - start) / 0.42) ** 1.3
    limp, off = smooth((u - start - 0.1) / 0.4), smooth((u - start - 0.05) / 0.2)
    stagger = bump((u - 0.02) / (start + 0.2))
    motion.shift(left=-side * 0.12 * size * fall + side * 0.05 * size * stagger)
    motion.turn(rig.root, roll=-side * 1.48 * fall + side * 0.06 * stagger)
    for k in range(len(rig.legs)):
        stretch, swing = 0.82 + rng.uniform(-0.1, 0.1), rng.uniform(-0.25, 0.35)
        motion.feet.release(k, off, stretch=stretch, swing=swing, hang=rng.uniform(0.1, 0.5) * off)
    motion.look(pitch=0.35 * limp - 0.2 * stagger, yaw=-0.25 * side * limp)
    motion.bend(rig.tail, pitch=-0.3 * limp)
    motion.open_jaw(0.5 * limp)
    motion.raise_wings(0.3 * limp)
    for wing in rig.wings:
        motion.turn(wing.joints[0], yaw=-wing.side * 0.5 * limp)
    name = side_name(side)
    return Telling(
        f"collapse and die|fall over dead|die|fall dead on its {name} side",
        "stands on its feet|stands still",
        "the legs give way|its legs buckle",
        f"the body rolls over to the {name}|it topples on its {name} side",
        "the head sinks to the ground|the neck goes limp",
        STILL,
    )


def _slump(motion: Motion, rng: random.Random) -> Telling:
    """A body on sprawling legs sinks on its belly, twitches and lies flat."""
    u = motion.progress
    start = rng.uniform(0.1, 0.2)
    motion.lying = smooth((u - start) / 0.35) ** 1.2
    limp = smooth((u - start - 0.1) / 0.4)
    side = rng.choice((1, -1))
    twitch = 0.12 * bump((u - start - 0.3) / 0.4) * wave(6 * u)
    motion.trunk((0, twitch, 0), (0, side * 0.15 * limp - twitch, 0))
    motion.look(pitch=0.3 * limp - 0.25 * bump((u - 0.02) / (start + 0.2)), yaw=side * 0.35 * limp)
    motion.bend(motion.rig.tail, yaw=-side * 0.6 * limp + 3.0 * twitch, pitch=-0.2 * limp)
    motion.open_jaw(0.4 * limp)
    return Telling(
        "collapse and die|drop dead on its belly|die|sink down dead",
        "stands on its feet|stands still",
        "the legs give way|its legs buckle",
        "the body drops on its belly|it sinks flat on the ground",
        "the tail twitches and goes limp|the tail lashes once more and drops",
        STILL,
    )


def _crumple(motion: Motion, rng: random.Random) -> Telling:
    """An upright body sinks to its knees and falls on its face, or goes over backward."""
    rig, u, upright = motion.rig, motion.progress, motion.rig.plan.trunk.pitch
    ahead = rng.random() < 0.6
    start = rng.uniform(0.08, 0.18)
    knees = smooth((u - start) / 0.3)
    motion.lying = fall = smooth((u - start - 0.14) / 0.36) ** 1.4
    sign = 1.0 if ahead else -1.0
    motion.turn(rig.root, pitch=(upright if ahead else upright - np.pi) * fall)
    motion.shift(up=-0.3 * motion.size * knees * (1 - fall), forward=sign * 0.25 * motion.size * fall)
    motion.bow(0.35 * bump((u - start) / 0.5))
    off = smooth((u - start - 0.18) / 0.2)
    for k in range(len(rig.legs)):
        # Bent knees would lift a body that lies on its front.
        stretch, hang = (1.0, 0.9 * off) if ahead else (1.0 - (0.04 + 0.06 * k), 0.2 * off)
        motion.feet.release(k, off, stretch=stretch, swing=upright - np.pi / 2, spread=0.06 + 0.06 * k, hang=hang)
    for arm in rig.arms:
        lag = 0.2 * (arm.side > 0)
        motion.turn(arm.joints[0], pitch=-(0.5 + lag) * knees + 0.2 * fall, roll=arm.side * (0.5 + lag) * fall)
        motion.turn(arm.joints[1], pitch=-0.5 * knees)
    motion.look(pitch=sign * 0.3 * knees - sign * 0.25 * fall, yaw=0.5 * fall)
    motion.bend(rig.tail, pitch=-0.4 * fall)
    where = "falls forward on its face|drops flat on its front" if ahead else "falls over backward|drops on its back"
    return Telling(
        f"collapse and die|die|fall dead {'forward' if ahead else 'backward'}",
        "stands upright|stands on its feet",
        "the knees give way|its knees buckle",
        f"[the body|it] [{where}]",
        "the arms go limp|its arms drop",
        STILL,
    )


def _flip(motion: Motion, rng: random.Random) -> Telling:
    """An insect or a spider turns on its back and curls its legs."""
    rig, u = motion.rig, motion.progress
    side = rng.choice((1, -1))
    start = rng.uniform(0.1, 0.2)
    over = smooth((u - start) / 0.4)
    curl = smooth((u - start - 0.15) / 0.5)
    motion.turn(rig.root, roll=-side * np.pi * 0.97 * over)
    motion.shift(up=0.15 * motion.size * bump((u - start) / 0.4), left=-side * 0.6 * motion.size * over)
    motion.lying = smooth((u - start - 0.05) / 0.35)
    off = smooth((u - start) / 0.12)
    for k in range(len(rig.legs)):
        twitch = 0.12 * (1 - smooth((u - 0.6) / 0.3)) * wave(5 * u, 0.37 * k)
        stretch = 1.0 - 0.42 * curl + 0.3 * twitch
        motion.feet.release(k, off, stretch=stretch, swing=twitch, spread=-1.0 * curl + twitch)
    motion.ripple(rig.tail, PITCH, 0.3 * (1 - curl), 3 * u, 0.1)
    if "sting" in rig.plan.habits:
        motion.bend(rig.tail, pitch=-2.2 * over)
    return Telling(
        "flip on its back and die|die|turn over and die|fall on its back dead",
        "stands on its feet|stands still",
        "the body turns over on its back|it tips over onto its back",
        "the legs twitch and curl up|its legs kick and then fold over the belly",
        STILL,
    )
