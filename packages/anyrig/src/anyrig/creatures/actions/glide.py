"""Gliding on still wings."""

from __future__ import annotations

import random

from anyrig.creatures import aerial
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import wave
from anyrig.creatures.motion import YAW, Motion
from anyrig.creatures.plans import Plan


def able(plan: Plan) -> bool:
    """Birds and dragons."""
    return plan.flies and plan.kind in ("bird", "dragon")


def act(motion: Motion, rng: random.Random) -> Telling:
    """Slowly down, straight or circling."""
    motion.cyclic = True
    rig, u = motion.rig, motion.progress
    turn = rng.choice((0.0, 1.0, -1.0)) * rng.uniform(0.25, 0.5) * motion.seconds
    motion.speed = aerial.cruising_speed(motion)
    slow = max(1, round(motion.seconds / rng.uniform(1.8, 2.8)))
    sink = 0.08 * motion.speed * motion.seconds
    motion.shift(up=aerial.clearance(motion) * rng.uniform(0.6, 1.2) + sink * (1 - u))
    aerial.stretch_out(motion, 1.0, pitch=0.02)
    dihedral = rng.uniform(0.05, 0.22)
    for wing in rig.wings:
        sway = 0.05 * motion.style.energy * wave(slow * u, 0.15 * wing.side)
        motion.turn(wing.joints[0], roll=wing.side * (dihedral + sway), pitch=0.03 * wave(slow * u, 0.3))
        for joint in wing.joints[1:]:
            motion.turn(joint, roll=wing.side * (0.04 + 0.4 * sway))
    motion.turn(rig.root, roll=0.05 * wave(slow * u), pitch=0.02 * wave(slow * u, 0.3))
    motion.ripple(rig.tail, YAW, 0.12, slow * u, 0.1)
    aerial.bank(motion, turn)
    aerial.advance(motion, 0.0 * u + motion.speed)
    way = "" if not turn else "to the left" if turn > 0 else "to the right"
    verbs = (
        ("glide", "glide forward", "glide on spread wings", "soar")
        if not way
        else ("glide in a curve " + way, "soar in a circle " + way)
    )
    clauses = [
        "[the wings are held out still|its wings are spread and hardly move|the spread wings stay almost still]",
        "[it sinks slowly|the body loses height slowly]",
        "[the legs are tucked back|its legs trail behind]",
        *(
            [f"[the body banks {way}|it leans {way}]"]
            if way
            else ["[small tilts keep the balance|the body rocks a little]"]
        ),
    ]
    return Telling(
        verbs, tuple(clauses), "[is in the air with spread wings|hangs in the air on spread wings]", paced=False
    )
