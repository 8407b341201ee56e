"""Inverse kinematics of hinged chains, vectorised: a leg of any number of bones that bend in one plane.

The bends of a chain are its natural ones times one number, its *fold*: 0 is straight, 1 natural, more is folded up. The
fold for a wanted distance is exact: by the law of cosines for two bones, by Newton's method from a table for more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot

Array = NDArray[np.float64]

FULLEST = 0.995  # of the straight length: beyond it a hinge would have to stretch at an unbounded rate
_MOST_BENT = np.radians(155.0)
_TABLE = 96
_NEWTON = 5


@dataclass(frozen=True, eq=False)
class Fold:
    """A planar chain of n bones. ``lengths`` (n,); ``turns`` (n - 1,) the natural bends, radians about ``axis``.

    ``along`` and ``axis`` are natural unit vectors: from the chain's base to its end, and the hinges' direction;
    ``bend`` is at right angles to both, the direction that positive angles lead to. ``folds`` and ``distances``
    tabulate the distance from base to end, which falls as the fold grows.
    """

    lengths: Array
    turns: Array
    along: Array
    axis: Array
    bend: Array
    folds: Array
    distances: Array

    @property
    def longest(self) -> float:
        """The greatest distance that is reached, in metres."""
        return float(self.distances[0])

    @property
    def shortest(self) -> float:
        """The smallest distance that is reached, in metres."""
        return float(self.distances[-1])

    def solve(self, distance: Array) -> tuple[Array, Array]:
        """Bends (..., n - 1) and the first bone's angle to the line from base to end (...,), for ``distance`` (...,).

        Distances out of reach are taken as the nearest in reach.
        """
        distance = np.clip(distance, self.shortest, self.longest)
        if len(self.lengths) == 2:
            a, b = self.lengths
            cosine = (distance**2 - a * a - b * b) / (2 * a * b)
            bends = np.sign(self.turns[0]) * np.arccos(np.clip(cosine, -1.0, 1.0))[..., None]
        else:
            bends = self._fold(distance)[..., None] * self.turns
        x, y = self._end(bends)
        return bends, -np.arctan2(y, x)

    def _fold(self, distance: Array) -> Array:
        fold = np.interp(distance, self.distances[::-1], self.folds[::-1])
        for _ in range(_NEWTON):
            bends = fold[..., None] * self.turns
            x, y = self._end(bends)
            slope_x, slope_y = self._slope(bends)
            reached = np.hypot(x, y)
            slope = (x * slope_x + y * slope_y) / reached
            fold = np.clip(fold - (reached - distance) / np.minimum(slope, -1e-9), 0.0, self.folds[-1])
        return np.asarray(fold)

    def _end(self, bends: Array) -> tuple[Array, Array]:
        """Where the chain ends when its first bone lies along x."""
        angles = np.cumsum(bends, axis=-1)
        x = self.lengths[0] + np.sum(self.lengths[1:] * np.cos(angles), axis=-1)
        return x, np.sum(self.lengths[1:] * np.sin(angles), axis=-1)

    def _slope(self, bends: Array) -> tuple[Array, Array]:
        """The derivative of :meth:`_end` by the fold."""
        angles, rates = np.cumsum(bends, axis=-1), np.cumsum(self.turns)
        return (
            -np.sum(self.lengths[1:] * rates * np.sin(angles), axis=-1),
            np.sum(self.lengths[1:] * rates * np.cos(angles), axis=-1),
        )


def fold(points: Array) -> Fold:
    """The :class:`Fold` of a chain with natural joint places ``points`` (n + 1, 3), which lie in one plane."""
    bones = np.diff(points, axis=0)
    lengths = np.linalg.norm(bones, axis=-1)
    along = points[-1] - points[0]
    along = along / np.linalg.norm(along)
    # The plane: the bones' part across the line from base to end, taken where it is largest.
    across = points[1:-1] - points[0] - ((points[1:-1] - points[0]) @ along)[:, None] * along
    bend = across[int(np.argmax(np.linalg.norm(across, axis=-1)))]
    bend = bend / np.linalg.norm(bend)
    axis = np.cross(along, bend)
    headings = np.arctan2(bones @ bend, bones @ along)
    turns = np.diff(headings)
    half = Fold(lengths, turns, along, axis, bend, np.zeros(0), np.zeros(0))
    folds = np.linspace(0.0, _MOST_BENT / np.abs(turns).max(), _TABLE * 4)
    distances = np.hypot(*half._end(folds[:, None] * turns))
    rising = np.flatnonzero(np.diff(distances) >= 0)  # where a chain folds past itself, the table ends
    rising = rising[rising > 0]
    stop = int(rising[0]) + 1 if len(rising) else len(folds)
    keep = (distances[:stop] <= FULLEST * lengths.sum()) & (np.arange(stop) > 0)
    return Fold(lengths, turns, along, axis, bend, folds[:stop][keep], distances[:stop][keep])


def place(chain: Fold, base: Array, target: Array, parent: Array) -> tuple[Array, Array]:
    """Turns that bring a chain's end from its ``base`` (T, 3) to ``target`` (T, 3), under the turn ``parent`` (T, 4).

    Returns the local turns of its first n joints (T, n, 4) and the world turn of the last bone (T, 4). The plane of the
    chain holds the target and the parent's ``bend`` direction.
    """
    reach = target - base
    distance = np.linalg.norm(reach, axis=-1)
    bends, first = chain.solve(distance)
    along = reach / np.maximum(distance, 1e-9)[:, None]
    axis = np.cross(along, rot.rotate(parent, chain.bend))
    axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    now = np.stack([along, axis, np.cross(along, axis)], axis=-1)
    natural = np.stack([chain.along, chain.axis, np.cross(chain.along, chain.axis)], axis=-1)
    plane = rot.from_matrix(now @ natural.T)
    natural_first = chain.solve(np.asarray(chain_length(chain)))[1]
    world = rot.multiply(plane, _about(chain.axis, first - natural_first))
    steps = _about(chain.axis, bends - chain.turns)
    local = np.concatenate([rot.multiply(rot.inverse(parent), world)[:, None], steps], axis=1)
    for k in range(steps.shape[1]):
        world = rot.multiply(world, steps[:, k])
    return local, world


def chain_length(chain: Fold) -> float:
    """The natural distance from base to end, in metres."""
    return float(np.hypot(*chain._end(chain.turns)))


def _about(axis: Array, angles: Array) -> Array:
    half = np.asarray(angles)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * axis], axis=-1)
