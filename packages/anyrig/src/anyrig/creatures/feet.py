"""Where the feet are meant to be: planted on the ground, on their way, or hanging from the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures.curves import Curve
from anyrig.creatures.rig import Rig

Array = NDArray[np.float64]


@dataclass
class Feet:
    """Targets of L feet over T frames.

    ``point`` (T, L, 3) is where the contact is in the world, ``yaw`` (T, L) where the foot looks, ``pitch`` how far its
    heel is raised over the ball, ``toe`` how far the toe hangs. ``planted`` (T, L) says when it stands. Where ``loose``
    (T, L) is above 0 the foot goes with the body instead, all the way at 1: at ``stretch`` times its natural distance
    from the hip, swung forward by ``swing`` and outward by ``spread`` (radians).
    """

    point: Array
    yaw: Array
    pitch: Array
    toe: Array
    planted: NDArray[np.bool_]
    loose: Array
    stretch: Array
    swing: Array
    spread: Array

    def release(
        self, legs: list[int], weight: Array, *, stretch: Curve = 1.0, swing: Curve = 0.0, spread: Curve = 0.0
    ) -> None:
        """Lets ``legs`` hang by ``weight`` (T,), in the pose that the other values (numbers or (T,)) give."""
        for leg in legs:
            self.loose[:, leg] = np.maximum(self.loose[:, leg], weight)
            self.stretch[:, leg], self.swing[:, leg], self.spread[:, leg] = stretch, swing, spread


def standing(rig: Rig, n_frames: int) -> Feet:
    """Feet planted in the natural pose's places."""
    shape = (n_frames, len(rig.legs))
    home = np.array([leg.home for leg in rig.legs]).reshape(-1, 3)
    return Feet(
        point=np.broadcast_to(home, (*shape, 3)).copy(),
        yaw=np.zeros(shape),
        pitch=np.zeros(shape),
        toe=np.zeros(shape),
        planted=np.ones(shape, dtype=bool),
        loose=np.zeros(shape),
        stretch=np.ones(shape),
        swing=np.zeros(shape),
        spread=np.zeros(shape),
    )
