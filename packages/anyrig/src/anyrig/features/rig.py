"""A skeleton as numbers: what a model may know of a rig that it has never seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.features.words import name_ids
from anyrig.skeleton import Skeleton

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_DEPTH = 24
"""Levels of a root path that a code tells apart, from the joint upward."""
MAX_DISTANCE = 12
"""Bones between two joints beyond which they are as far as any."""
MAX_CHILDREN = 7
"""Children of one joint that a path tells apart; the last number stands for all further ones."""


@dataclass(frozen=True, eq=False)
class RigCode:
    """One skeleton of J joints, in units of its own ``size`` (metres).

    ``rest`` (J, 3) are rest positions relative to the main root, ``bones`` (J, 3) the vectors from parent to joint in
    the rest pose, both along the world's axes; the bone of a root is its ``rest``. ``floor`` is how far below the main
    root the lowest joint rests. ``paths`` (J, MAX_DEPTH) holds, from a joint upward, which child each is of its parent
    (from 1; 0 beyond the root), children in the order of :func:`child_order`. ``distances`` (J, J) counts bones between
    joints, up to MAX_DISTANCE. ``names`` (J, MAX_IDS) are buckets of the words in joint names.
    """

    size: float
    parents: Ints
    depths: Ints
    rest: Array
    bones: Array
    floor: float
    paths: Ints
    distances: Ints
    names: Ints

    @property
    def n_joints(self) -> int:
        """J."""
        return len(self.parents)

    def ancestors(self) -> Array:
        """(J, J) with 1 where the column's joint is on the row's root path, itself included, but no main root.

        Positions relative to the main root are ``ancestors @ turned``, with ``turned`` the bones as they lie in a pose.
        """
        matrix = np.zeros((self.n_joints, self.n_joints))
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                matrix[j] = matrix[parent]
            if parent >= 0 or np.any(self.rest[j] != 0):
                matrix[j, j] = 1.0
        return matrix


def size_of(skeleton: Skeleton) -> float:
    """The longest way along bones from the main root to any of its joints, in metres; 1 where there is none.

    Unlike a bounding box it does not change with the rest pose.
    """
    below = np.linalg.norm(skeleton.offsets, axis=-1)
    reach = np.full(skeleton.n_joints, -np.inf)
    reach[skeleton.main_root] = 0.0
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            reach[j] = reach[parent] + below[j]
    longest = float(reach.max())
    return longest if longest > 1e-9 else 1.0


def rig_code(skeleton: Skeleton, rng: np.random.Generator | None = None) -> RigCode:
    """The code of ``skeleton``; ``rng`` numbers children in random order, to learn that it does not matter."""
    size = size_of(skeleton)
    positions = skeleton.rest_positions()
    rest = (positions - positions[skeleton.main_root]) / size
    above = rot.identity(skeleton.n_joints)
    turned = skeleton.rest_world()
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            above[j] = turned[parent]
    bones = rot.rotate(above, skeleton.offsets) / size
    roots = list(skeleton.roots)
    bones[roots] = rest[roots]
    return RigCode(
        size=size,
        parents=np.array(skeleton.parents, dtype=np.int64),
        depths=np.array(skeleton.depths, dtype=np.int64),
        rest=rest,
        bones=bones,
        floor=float(-rest[:, 1].min()),
        paths=_paths(skeleton, child_order(skeleton, positions, rng)),
        distances=_distances(skeleton),
        names=np.stack([name_ids(name) for name in skeleton.names]),
    )


def child_order(skeleton: Skeleton, positions: Array, rng: np.random.Generator | None = None) -> dict[int, list[int]]:
    """The children of each joint (-1: of the world) from the front to the rear, left before right, high before low.

    Where a child lies is told by the middle of all that hangs on it, so that a short girdle does not decide.
    """
    sums, counts = positions.copy(), np.ones(skeleton.n_joints)
    for j in reversed(range(skeleton.n_joints)):
        parent = skeleton.parents[j]
        if parent >= 0:
            sums[parent] += sums[j]
            counts[parent] += counts[j]
    middles = sums / counts[:, None]
    step = 0.05 * max(float(np.ptp(positions, axis=0).max()), 1e-9)  # mirror images differ by rounding only
    keys = np.round(middles / step)
    order: dict[int, list[int]] = {-1: list(skeleton.roots)}
    order |= {j: list(children) for j, children in enumerate(skeleton.children)}
    for children in order.values():
        if rng is None:
            children.sort(key=lambda j: (-keys[j, 2], -keys[j, 0], -keys[j, 1], j))
        else:
            rng.shuffle(children)
    return order


def _paths(skeleton: Skeleton, order: dict[int, list[int]]) -> Ints:
    paths = np.zeros((skeleton.n_joints, MAX_DEPTH), dtype=np.int64)
    number = {j: min(n, MAX_CHILDREN - 1) + 1 for children in order.values() for n, j in enumerate(children)}
    for j, parent in enumerate(skeleton.parents):
        paths[j, 0] = number[j]
        if parent >= 0:
            paths[j, 1:] = paths[parent, :-1]
    return paths


def _distances(skeleton: Skeleton) -> Ints:
    """Between joints of different trees as far as can be."""
    n = skeleton.n_joints
    distances = np.full((n, n), MAX_DISTANCE, dtype=np.int64)
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            distances[j, :j] = distances[:j, j] = np.minimum(distances[parent, :j] + 1, MAX_DISTANCE)
        distances[j, j] = 0
    return distances


def log_size(size: float) -> float:
    """A creature's size for a model: large ones move slowly. Within -3 to 3 for anything from a beetle to a whale."""
    return math.log(min(max(size, 0.03), 30.0))
