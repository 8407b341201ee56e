"""Inverse kinematics of hinged chains, vectorised: a leg of any number of bones that bend in one plane.

The bends of a chain are its natural ones times one number, its *fold*: 0 is straight, 1 natural, more is folded up. The
fold for a wanted distance is exact: by the law of cosines for two bones, by Newton's method from a table for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from anyrig import rotations as rot
from anyrig.rotations import Array

FULLEST = 0.995  # of the straight length: beyond it a hinge would have to stretch at an unbounded rate
_MOST_BENT = np.radians(155.0)
_TABLE = 256
_NEWTON = 3


@dataclass(frozen=True, eq=False)
class Fold:
    """A planar chain of n bones, or L of them stacked (arrays then have a leading axis).

    ``lengths`` (n,); ``turns`` (n - 1,) the natural bends, radians about ``axis``. ``along`` and ``axis`` are natural
    unit vectors: from the chain's base to its end, and the hinges' direction; ``bend`` is at right angles to both, the
    direction that positive angles lead to. ``folds`` and ``distances`` tabulate the distance from base to end, which
    falls as the fold grows.
    """

    lengths: Array
    turns: Array
    along: Array
    axis: Array
    bend: Array
    folds: Array
    distances: Array

    @cached_property
    def longest(self) -> Array:
        """The greatest distance that is reached, in metres."""
        return np.asarray(self.distances[..., 0])

    @cached_property
    def shortest(self) -> Array:
        """The smallest distance that is reached, in metres."""
        return np.asarray(self.distances[..., -1])

    @cached_property
    def natural_first(self) -> Array:
        """The first bone's angle to the line from base to end in the natural pose."""
        x, y = self.end(self.turns)
        return np.asarray(-np.arctan2(y, x))

    def solve(self, distance: Array) -> tuple[Array, Array]:
        """Bends (..., n - 1) and the first bone's angle to the line from base to end (...,), for ``distance`` (...,).

        Distances out of reach are taken as the nearest in reach. The last axis of ``distance`` is that of the stack.
        """
        distance = np.clip(distance, self.shortest, self.longest)
        if self.lengths.shape[-1] == 2:
            a, b = self.lengths[..., 0], self.lengths[..., 1]
            cosine = (distance**2 - a * a - b * b) / (2 * a * b)
            bends = (np.sign(self.turns[..., 0]) * np.arccos(np.clip(cosine, -1.0, 1.0)))[..., None]
        else:
            bends = self._fold(distance)[..., None] * self.turns
        x, y = self.end(bends)
        return bends, -np.arctan2(y, x)

    def end(self, bends: Array) -> tuple[Array, Array]:
        """Where the chain ends, (x, y), when its first bone lies along x."""
        angles = np.cumsum(bends, axis=-1)
        x = self.lengths[..., 0] + np.sum(self.lengths[..., 1:] * np.cos(angles), axis=-1)
        return x, np.sum(self.lengths[..., 1:] * np.sin(angles), axis=-1)

    def _fold(self, distance: Array) -> Array:
        tables = zip(self.distances, self.folds, strict=True)
        rows = [np.interp(distance[..., k], d[::-1], f[::-1]) for k, (d, f) in enumerate(tables)]
        fold = np.stack(rows, axis=-1)
        rates = np.cumsum(self.turns, axis=-1)
        for _ in range(_NEWTON):
            angles = fold[..., None] * rates
            sine, cosine = self.lengths[..., 1:] * np.sin(angles), self.lengths[..., 1:] * np.cos(angles)
            x, y = self.lengths[..., 0] + cosine.sum(axis=-1), sine.sum(axis=-1)
            reached = np.hypot(x, y)
            slope = (y * (rates * cosine).sum(axis=-1) - x * (rates * sine).sum(axis=-1)) / reached
            fold = np.clip(fold - (reached - distance) / np.minimum(slope, -1e-9), 0.0, self.folds[..., -1])
        return np.asarray(fold)


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
    headings = np.arctan2(bones @ bend, bones @ along)
    turns = np.diff(headings)
    bare = Fold(lengths, turns, along, np.cross(along, bend), bend, np.zeros(1), np.zeros(1))
    folds = np.linspace(0.0, _MOST_BENT / np.abs(turns).max(), _TABLE)
    distances = np.hypot(*bare.end(folds[:, None] * turns))
    first = int(np.argmax(distances <= FULLEST * lengths.sum()))
    rising = np.flatnonzero(np.diff(distances[first:]) >= 0)  # where a chain folds past itself, the table ends
    stop = first + int(rising[0]) + 1 if len(rising) else len(folds)
    steps = np.linspace(folds[first], folds[stop - 1], _TABLE)
    return replace(bare, folds=steps, distances=np.hypot(*bare.end(steps[:, None] * turns)))


def stack(chains: Sequence[Fold]) -> Fold:
    """Chains with the same number of bones as one, whose arrays have a leading axis."""
    return Fold(*(np.stack([getattr(chain, f.name) for chain in chains]) for f in fields(Fold)))


def place(chain: Fold, base: Array, target: Array, parent: Array) -> tuple[Array, Array]:
    """Turns that bring a chain's end from its ``base`` (T, 3) to ``target`` (T, 3), under the turn ``parent`` (T, 4).

    Returns the local turns of its first n joints (T, n, 4) and the world turn of the last bone (T, 4). The plane of the
    chain holds the target and the parent's ``bend`` direction. For a stack of L, all arrays have that axis after T.
    """
    reach = target - base
    distance = np.linalg.norm(reach, axis=-1)
    bends, first = chain.solve(distance)
    along = reach / np.maximum(distance, 1e-9)[..., None]
    axis = np.cross(along, rot.rotate(parent, chain.bend))
    axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    now = np.stack([along, axis, np.cross(along, axis)], axis=-1)
    natural = np.stack([chain.along, chain.axis, np.cross(chain.along, chain.axis)], axis=-1)
    plane = rot.from_matrix(now @ np.swapaxes(natural, -1, -2))
    world = rot.multiply(plane, _about(chain.axis, first - chain.natural_first))
    steps = _about(chain.axis[..., None, :], bends - chain.turns)
    local = np.concatenate([rot.multiply(rot.inverse(parent), world)[..., None, :], steps], axis=-2)
    # The hinges of a chain are parallel: their turns add up.
    return local, rot.multiply(world, _about(chain.axis, (bends - chain.turns).sum(axis=-1)))


def _about(axis: Array, angles: Array) -> Array:
    half = np.asarray(angles)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * axis], axis=-1)
