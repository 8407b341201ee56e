"""Flying with beating wings, straight on or in a curve."""

from __future__ import annotations

import random

from anyrig.creatures import aerial
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion

able = aerial.able


def act(motion: Motion, rng: random.Random) -> Telling:
    """Level flight."""
    motion.cyclic = True
    turn = rng.choice((0.0, 0.0, 1.0, -1.0)) * rng.uniform(0.35, 0.6) * motion.seconds
    motion.speed = aerial.cruising_speed(motion)
    cycles = rng.random() + motion.times / aerial.fitted_period(motion)
    motion.shift(up=aerial.clearance(motion) * rng.uniform(1.0, 1.5))
    aerial.stretch_out(motion, 1.0, pitch=rng.uniform(0.02, 0.16))
    aerial.flap(motion, cycles)
    aerial.bank(motion, turn)
    aerial.advance(motion, 0.0 * cycles + motion.speed)
    aerial.trail(motion, cycles)
    way = "" if not turn else "to the left" if turn > 0 else "to the right"
    verbs = (
        (f"fly {way}".strip(), f"fly in a curve {way}", f"bank {way} in flight")
        if way
        else ("fly", "fly forward", "fly on", "fly with beating wings")
    )
    return Telling(verbs, parts(motion, way), "[is in the air with spread wings|is flying]", moody=False)


def parts(motion: Motion, way: str) -> tuple[str, ...]:
    """Clauses on how it flies."""
    clauses = [
        "[the wings beat up and down|its wings flap in full strokes|the wings sweep down and rise again]",
        "[the body heaves with every beat|each downstroke lifts the body]",
        "[the legs hang under the body|its legs are drawn in]"
        if motion.rig.plan.kind == "hexapod"
        else "[the legs are tucked back|its legs trail behind]",
    ]
    if way:
        clauses.append(f"[it leans into the curve {way}|the body banks {way}]")
    if len(motion.rig.tail) > 2 and motion.rig.plan.kind == "dragon":
        clauses.append("[the tail streams behind|the long tail waves behind it]")
    return tuple(clauses)
