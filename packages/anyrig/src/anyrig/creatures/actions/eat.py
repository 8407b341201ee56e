"""Eating: off the ground, out of the hand, or snapping at food in the water."""

from __future__ import annotations

import random

import numpy as np

from anyrig.creatures import aquatic, posture, serpentine, standing
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import TAU, spans, track, wave
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan

_BITES = "[the jaws open and close|it chews|the mouth works]"


def able(plan: Plan) -> bool:
    """Everything that has a head."""
    return plan.head is not None


def act(motion: Motion, rng: random.Random) -> Telling:
    """One meal."""
    plan = motion.rig.plan
    if plan.kind == "fish":
        return _nibble(motion)
    if plan.kind == "serpent":
        return _swallow(motion, rng)
    if plan.arms is not None and ("upright" in plan.habits or plan.arms.pincer):
        return _by_hand(motion, rng)
    return _graze(motion, rng)


def _graze(motion: Motion, rng: random.Random) -> Telling:
    """The head goes down to the ground and nibbles."""
    rig, u = motion.rig, motion.progress
    if rig.nose:
        return _with_trunk(motion, rng)
    up = rng.random() < 0.5
    down = spans(u, (0.05, 0.35), (0.78, 0.98) if up else (2.0, 3.0))
    share, reached = standing.to_ground(motion, down)
    standing.ready(motion, 0.5)
    bites = max(2, round(motion.seconds * rng.uniform(1.6, 2.4)))
    chew = spans(u, (0.3, 0.38), (0.74, 0.82) if up else (2.0, 3.0)) * (1 - np.cos(TAU * bites * u)) / 2
    quick = len(rig.legs) == 2 and not rig.arms and rig.plan.kind != "dragon"  # birds peck
    standing.stoop(motion, share * (1.0 - (0.22 if quick else 0.05) * chew))
    motion.open_jaw(0.55 * chew)
    where = (
        "[the head goes down to the ground|it lowers its head to the ground]"
        if reached
        else "[the head is lowered|it lowers its head toward the ground]"
    )
    pecks = (
        "[the beak pecks again and again|it pecks up and down]"
        if quick
        else "[the head nods as it feeds|the muzzle moves over the ground]"
    )
    last = (
        "[then the head comes up again|at the end it raises its head]"
        if up
        else "[the head stays down|it goes on eating]"
    )
    verbs = (
        ("eat from the ground", "peck at the ground", "feed", "pick up food")
        if quick
        else ("eat", "eat from the ground", "feed", *(("graze",) if _grazes(rig.plan) else ()))
    )
    parts = (
        where,
        pecks,
        _BITES if rig.jaw is not None or rig.mandibles else "[the body stays in place|its feet do not move]",
        last,
    )
    return Telling(verbs, parts, "[stands still|stands with its head up]", paced=False)


def _with_trunk(motion: Motion, rng: random.Random) -> Telling:
    """An elephant's meal: the trunk feels for food, curls up to the mouth and sinks again."""
    standing.ready(motion, 0.5)
    _, v = standing.repeats(motion, rng, 2.2)
    curl = spans(v, (0.3, 0.55), (0.7, 0.97))
    reach = spans(v, (0.03, 0.25), (0.3, 0.5))
    motion.bend(motion.rig.nose, pitch=2.5 * curl - 0.25 * reach)
    motion.look(pitch=0.15 * reach - 0.12 * curl)
    motion.open_jaw(0.7 * spans(v, (0.42, 0.55), (0.62, 0.72)))
    return Telling(
        ("eat with its trunk", "feed with its trunk", "put food in its mouth with its trunk"),
        (
            "[the trunk reaches down|its trunk stretches down for food]",
            "[then it curls up to the mouth|the trunk rolls up to the mouth]",
            "[the feet stay planted|its feet do not move]",
        ),
        "[stands still|stands in place]",
        paced=False,
    )


def _grazes(plan: Plan) -> bool:
    """Whether its feet are hooves or columns: what eats grass."""
    return any(pair.foot > 0 and pair.toe <= 0 for pair in plan.legs)


def _by_hand(motion: Motion, rng: random.Random) -> Telling:
    """A hand, or both pincers in turn, go to the mouth and back."""
    rig = motion.rig
    standing.ready(motion, 0.7)
    _, v = standing.repeats(motion, rng, 1.6)
    lift = spans(v, (0.05, 0.4), (0.62, 0.95))
    pincer = rig.plan.arms is not None and rig.plan.arms.pincer
    which = rng.choice((0, 1))
    for k, arm in enumerate(rig.arms):
        if pincer:
            mine = spans((v + 0.5 * k) % 1.0, (0.05, 0.4), (0.55, 0.95))
            motion.turn(arm.joints[1], yaw=-arm.side * 0.7 * mine)
            motion.turn(arm.joints[2], yaw=-arm.side * 1.2 * mine)
            posture.pinch(motion, arm.fingers, 0.6 * (1 - mine))
        elif k == which:
            motion.turn(arm.joints[0], pitch=-0.65 * lift, roll=arm.side * 0.15 * lift, yaw=-arm.side * 0.45 * lift)
            motion.turn(arm.joints[1], pitch=-1.95 * lift)
            posture.curl_fingers(motion, arm.fingers, 0.5 * lift)
    motion.look(pitch=0.22 * lift + 0.04 * spans(v, (0.4, 0.5), (0.6, 0.9)) * wave(4 * v))
    motion.open_jaw(0.4 * spans(v, (0.35, 0.45), (0.5, 0.6)))
    name = "left" if rig.arms[which].side > 0 else "right"
    parts: tuple[str, ...]
    if pincer:
        parts = (
            "[the pincers go to the mouth in turn|it feeds with one pincer after the other]",
            "[the legs stay planted|its feet do not move]",
        )
    else:
        parts = (
            f"[the {name} hand goes up to the mouth|it lifts the {name} hand to its mouth]",
            "[the head bows a little toward the hand|the head dips to meet it]",
            "[then the arm sinks again|the arm comes down again]",
        )
    return Telling(
        ("eat", "eat with its hand", "put food in its mouth")
        if not pincer
        else ("eat", "feed", "eat with its pincers"),
        parts,
        "[stands still|stands in place]",
        paced=False,
    )


def _nibble(motion: Motion) -> Telling:
    """A fish that pecks at food before it."""
    rng = random.Random(motion.style.seed)
    aquatic.altitude(motion, rng)
    u, size = motion.progress, motion.rig.plan.size
    n = max(2, round(motion.seconds / rng.uniform(0.7, 1.0)))
    peck = np.maximum(wave(n * u), 0.0) ** 2
    down = rng.uniform(0.15, 0.5)
    motion.turn(motion.rig.root, pitch=down * spans(u, (0.0, 0.15), (0.88, 1.0)))
    motion.shift(forward=0.12 * size * peck, up=-0.06 * size * peck * down)
    aquatic.undulate(motion, max(2, round(motion.seconds / aquatic.beat_period(motion))) * u, 0.4 + 0.3 * peck)
    aquatic.scull(motion, n * u, 0.8)
    motion.open_jaw(0.8 * np.maximum(wave(n * u, -0.08), 0.0))
    parts = (
        "[it nudges forward again and again|the head jabs forward in small thrusts]",
        _BITES if motion.rig.jaw is not None else "[the snout dips|the body tips head down]",
        "[it drifts back each time|in between it floats back]",
    )
    return Telling(
        ("eat", "feed", "peck at food", "nibble"), parts, "[hangs in the water|floats in the water]", paced=False
    )


def _swallow(motion: Motion, rng: random.Random) -> Telling:
    """A serpent that takes its prey with wide jaws and works it down."""
    u = motion.progress
    body = serpentine.spine(motion)
    low = track(u, (0.0, 0.55), (0.25, 0.12), (0.75, 0.12), (1.0, 0.5))
    gulp = spans(u, (0.25, 0.35), (0.75, 0.85)) * wave(max(2, round(1.6 * motion.seconds)) * u)
    places = serpentine.reared(
        motion, body, rng, part=0.3, pitch=low, level=-0.1 + 0.0 * u, yaw=0.12 * gulp, bow=0.2 + 0.25 * gulp
    )
    serpentine.lay(motion, body, places, nod=0.08 * gulp)
    motion.open_jaw(1.1 * spans(u, (0.12, 0.3), (0.7, 0.85)) * (0.75 + 0.25 * gulp))
    parts = (
        "[the head goes down to the ground|it lowers its head]",
        "[the jaws open very wide|its mouth is stretched wide open]"
        if motion.rig.jaw is not None
        else "[the head pushes forward|the head presses on]",
        "[the neck works from side to side|the front of the body gulps and swings]",
    )
    return Telling(
        ("eat", "swallow its prey", "devour something"),
        parts,
        "[lies with its head raised|has its head lifted]",
        paced=False,
    )
