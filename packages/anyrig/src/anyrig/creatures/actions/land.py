"""Landing from flight."""

from __future__ import annotations

import random

from anyrig.creatures import aerial
from anyrig.creatures.captions import Telling
from anyrig.creatures.motion import Motion

able = aerial.able


def act(motion: Motion, rng: random.Random) -> Telling:
    """From flight to standing."""
    aerial.land(motion, rng)
    return Telling(
        ("land", "land on the ground", "come down and land", "touch down"),
        (
            "[the body rears up to brake|it raises its body against the air]",
            "[the wings beat to slow the fall|its wings flap hard]",
            "[the legs reach for the ground and bend as they touch it|the feet stretch down, touch and give]",
            "[then the wings fold|at last it folds its wings]",
        ),
        "[is in the air with beating wings|is flying]",
        paced=False,
    )
