"""Attacks: whatever a body has the means for, on the spot."""

from __future__ import annotations

import random

from anyrig.creatures import aquatic, serpentine, standing, strikes
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import spans, track
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Everything."""
    return True


def act(motion: Motion, rng: random.Random) -> Telling:
    """One kind of strike, as often as it fits in the time."""
    plan = motion.rig.plan
    if plan.kind == "serpent":
        return serpentine.strike(motion, rng)
    if plan.kind == "fish":
        return _snap(motion, rng)
    standing.ready(motion, 0.7)
    strike = rng.choice(strikes.choices(plan))
    n, u = standing.repeats(motion, rng, 1.9)
    verbs, parts = strike(motion, u, rng)
    if n > 1:
        verbs = tuple(f"{verb} {'twice' if n == 2 else 'again and again'}" for verb in verbs if "twice" not in verb)
    return Telling(verbs, parts, "[stands ready|stands its ground|stands on guard]", paced=False)


def _snap(motion: Motion, rng: random.Random) -> Telling:
    """A fish's bite: a curl, a dash, a snap."""
    aquatic.altitude(motion, rng)
    u, size = motion.progress, motion.rig.plan.size
    hit = rng.uniform(0.45, 0.55)
    ahead = track(u, (0.0, 0.0), (hit - 0.25, -0.08), (hit, 0.75), (1.0, 0.9))
    motion.shift(forward=size * ahead)
    fast = spans(u, (hit - 0.3, hit - 0.18), (hit, hit + 0.3))
    beats = max(2, round(motion.seconds / aquatic.beat_period(motion, 1.3)))
    aquatic.undulate(motion, beats * u, 0.3 + 1.0 * fast)
    aquatic.scull(motion, beats * u, 0.4)
    motion.open_jaw(1.3 * spans(u, (hit - 0.14, hit - 0.05), (hit, hit + 0.05)))
    motion.look(pitch=-0.15 * fast)
    return Telling(
        ("attack", "dart forward and bite", "lunge at its prey", "attack with a bite"),
        (
            "[the body shoots forward|it darts ahead]",
            "[the jaws open and snap shut|the mouth opens wide and closes]"
            if motion.rig.jaw is not None
            else "[the head is thrust ahead|the snout rams forward]",
            "[the tail beats hard, then slows|strong strokes of the tail drive it]"
            if "rays" not in motion.rig.plan.habits
            else "[the fins beat hard, then slow down|strong beats of the fins drive it]",
        ),
        "[hangs in the water|waits in the water]",
        paced=False,
    )
