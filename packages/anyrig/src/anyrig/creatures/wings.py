"""How wings fold: angles of their joints between spread (0) and folded against the body (1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures.curves import Curve

Array = NDArray[np.float64]

# Yaw of each joint when folded, degrees, backward positive: the arm back, the forearm forward along it, the hand back.
_FOLDED = {1: (80.0,), 2: (76.0, 10.0), 3: (62.0, -132.0, 146.0), 4: (62.0, -132.0, 138.0, 14.0)}


def folded(n: int, amount: Curve, side: int) -> Array:
    """Yaw angles (..., n) in radians of a wing's ``n`` joints for a fold ``amount`` (...) from 0 to 1."""
    table = _FOLDED.get(n) or (*_FOLDED[4], *([4.0] * (n - 4)))
    # The elbow closes before the shoulder goes back, as a bird folds its wings.
    amount = np.asarray(amount, dtype=np.float64)[..., None]
    return np.asarray(side * np.radians(table) * amount)
