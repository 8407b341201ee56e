"""Roaring, howling, calling."""

from __future__ import annotations

import random

from anyrig.creatures import standing
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import spans, track, wave
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Whatever has legs and a jaw."""
    return bool(plan.legs) and plan.head is not None and plan.head.jaw


def act(motion: Motion, rng: random.Random) -> Telling:
    """A breath, then the head goes up and forward with an open mouth."""
    rig, u, energy = motion.rig, motion.progress, motion.style.energy
    standing.ready(motion, 0.6)
    start = rng.uniform(0.22, 0.3)
    breath = spans(u, (0.05, start), (start, start + 0.12))
    call = spans(u, (start, start + 0.14), (0.76, 0.94))
    shake = call * wave(max(3, round(3.2 * motion.seconds)) * u)
    height = rig.hip_height
    motion.look(pitch=0.3 * breath - 0.55 * call + 0.03 * shake, yaw=0.1 * energy * shake)
    motion.heave(-0.03 * height * call, 0.03 * height * call - 0.06 * height * breath)
    motion.shift(forward=height * track(u, (0.05, 0.0), (start, -0.06), (start + 0.15, 0.1), (0.76, 0.08), (0.95, 0.0)))
    motion.trunk((0, 0, 0), (-0.1 * call + 0.05 * breath, 0, 0.02 * shake))
    motion.bend(rig.tail, pitch=0.25 * call, yaw=0.15 * shake)
    motion.open_jaw(1.15 * call)
    for arm in rig.arms:
        motion.turn(arm.joints[0], roll=arm.side * 0.6 * call, pitch=0.25 * call)
        motion.turn(arm.joints[1], pitch=-0.6 * call)
    for wing in rig.wings:
        motion.turn(wing.joints[0], roll=wing.side * 0.3 * call)
    sound = "call" if rig.plan.kind == "bird" else "roar"
    return Telling(
        (sound, f"{sound} loudly", f"{sound} with an open mouth", "raise its head and " + sound),
        (
            "[it draws breath and lowers the head|the head dips first]",
            "[the head goes up and the mouth opens wide|it throws up its head with open jaws]",
            "[the head shakes with the sound|the body trembles with it]",
        ),
        "[stands still|stands on its feet]",
        paced=False,
    )
