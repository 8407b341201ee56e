"""Taking off from the ground."""

from __future__ import annotations

import random

from anyrig.creatures import aerial
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion

able = aerial.able


def act(motion: Motion, rng: random.Random) -> Telling:
    """From standing to climbing flight."""
    aerial.take_off(motion, rng)
    return Telling(
        ("take off", "take to the air", "jump up and fly off", "lift off from the ground"),
        (
            "[it crouches and spreads the wings|the legs bend while the wings open]",
            "[the legs push off|it leaps from the ground]",
            "[beating wings carry it up|the wings flap hard and lift it]",
            "[the legs are tucked back|the legs fold back in the air]",
        ),
        "[stands on the ground with folded wings|stands with its wings folded]",
        paced=False,
    )
