"""Features of clips, rigs and words that have one meaning for every skeleton.

A clip's features, per joint and frame and in units of the rig's own size, are exactly invertible. With ``W_j(t)`` a
joint's world rotation, ``R_j`` the one at rest, ``H(t)`` the heading (a turn about the vertical):

| feature | of | definition |
|---|---|---|
| rotation (6) | joint | ``H^-1 W_j R_j^-1`` as 6D less the identity: the turn away from rest in the heading's frame |
| position (3) | joint | ``H^-1 (p_j - p_root) / size``, less the same at rest |
| contact (1) | joint | 1 where it is on the ground and does not move |
| height | path | of the main root over the ground, / size |
| speed (2) | path | of the main root to the left and forward, in the heading's frame, sizes a second |
| turning | path | of the heading, radians a second |

Turns away from rest do not depend on the joints' own axes, and turns of the whole body do not add up along a chain. No
mean or deviation of a skeleton's clips is needed. Translations of joints against their parents are in ``stretch``.

Words need no vocabulary: each has a bucket of its own and those of its three-letter pieces, so that a new word shares
pieces with known ones ("prowling", "prowls"), as in fastText (Bojanowski et al., TACL 2017). Buckets are CRC-32 values,
the same on every machine.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.errors import ClipError
from anyrig.rotations import Array, Ints
from anyrig.skeleton import Clip, Skeleton

N_BUCKETS = 4096
"""Number of buckets; 0 is padding."""
MAX_IDS = 12
"""Buckets per word of a text, or per joint name."""
MAX_WORDS = 64
"""Words of a text that are used."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_SIDES = {"l": "left", "r": "right", "lft": "left", "rgt": "right"}

MAX_DEPTH = 24
"""Levels of a root path in a code, from the joint upward."""
MAX_DISTANCE = 12
"""Upper limit for the number of bones between two joints."""
MAX_CHILDREN = 7
"""Children of a joint that a path distinguishes; the last number stands for all further ones."""
ROTATION, POSITION, CONTACT = slice(0, 6), slice(6, 9), 9
"""Indices of a joint's features."""
N_JOINT, N_PATH = 10, 4
"""Numbers of features of a joint, and of the path."""
HEIGHT, LEFT, FORWARD, TURNING = range(4)
"""Indices of the path's features."""

IDENTITY_6D = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
"""The identity as :func:`anyrig.rotations.to_6d` gives it."""
_LOW, _SLOW, _BURIED = 0.035, 0.35, 0.04  # sizes, sizes a second, sizes
_UPRIGHT = 0.15  # least squared part of a unit quaternion about the vertical that determines a heading


def words(text: str) -> list[str]:
    """The lower-case words of a sentence or a joint name: ``"LeftUpLeg.001"`` gives left, up, leg, 1."""
    found = [w.lower() for w in _WORD.findall(text)]
    return [_SIDES.get(w, w.lstrip("0") or "0" if w.isdigit() else w) for w in found]


def text_ids(text: str) -> NDArray[np.int64]:
    """Buckets (W, MAX_IDS) of the first MAX_WORDS words of a text, padded with 0; W may be 0."""
    rows = [_word_ids(word)[:MAX_IDS] for word in words(text)[:MAX_WORDS]]
    return np.array([[*row, *[0] * (MAX_IDS - len(row))] for row in rows], dtype=np.int64).reshape(-1, MAX_IDS)


def name_ids(name: str) -> NDArray[np.int64]:
    """Buckets (MAX_IDS,) of a joint name: its words, then as many of their pieces as fit."""
    rows = [_word_ids(word) for word in words(name)]
    ids = [row[0] for row in rows] + [piece for row in rows for piece in row[1:]]
    return np.array([*ids[:MAX_IDS], *[0] * (MAX_IDS - len(ids))], dtype=np.int64)


@lru_cache(maxsize=1 << 16)
def _word_ids(word: str) -> tuple[int, ...]:
    marked = f"<{word}>"
    pieces = [marked[k : k + 3] for k in range(len(marked) - 2)] if len(word) > 2 else []
    return tuple(dict.fromkeys(1 + zlib.crc32(p.encode()) % (N_BUCKETS - 1) for p in [marked, *pieces]))


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
        return len(self.parents)

    def ancestors(self) -> Array:
        """(J, J) with 1 where the column's joint is on the row's root path (itself included) and not the main root.

        Positions relative to the main root are ``ancestors @ turned``, with ``turned`` the bones of a pose.
        """
        matrix = np.zeros((self.n_joints, self.n_joints))
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                matrix[j] = matrix[parent]
            if parent >= 0 or np.any(self.rest[j] != 0):
                matrix[j, j] = 1.0
        return matrix


def size_of(skeleton: Skeleton) -> float:
    """The longest path along bones from the main root to any of its joints, in metres; 1 where there is none.

    Unlike a bounding box it does not depend on the rest pose.
    """
    below = np.linalg.norm(skeleton.offsets, axis=-1)
    reach = np.full(skeleton.n_joints, -np.inf)
    reach[skeleton.main_root] = 0.0
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            reach[j] = reach[parent] + below[j]
    longest = float(reach.max())
    return longest if longest > 1e-9 else 1.0


def rig_code(skeleton: Skeleton) -> RigCode:
    """The code of ``skeleton``."""
    size = size_of(skeleton)
    positions = skeleton.rest_positions()
    rest = (positions - positions[skeleton.main_root]) / size
    bones = rot.rotate(skeleton.of_parents(skeleton.rest_world(), rot.IDENTITY), skeleton.offsets) / size
    roots = list(skeleton.roots)
    bones[roots] = rest[roots]
    return RigCode(
        size=size,
        parents=np.array(skeleton.parents, dtype=np.int64),
        depths=np.array(skeleton.depths, dtype=np.int64),
        rest=rest,
        bones=bones,
        floor=float(-rest[:, 1].min()),
        paths=_paths(skeleton, child_order(skeleton, positions)),
        distances=_distances(skeleton),
        names=np.stack([name_ids(name) for name in skeleton.names]),
    )


def child_order(skeleton: Skeleton, positions: Array) -> dict[int, list[int]]:
    """The children of each joint (-1: of the world) from front to rear, left before right, high before low.

    A child's position is the mean of the positions of its subtree, so that a short girdle does not decide.
    """
    sums, counts = positions.copy(), np.ones(skeleton.n_joints)
    for j in reversed(range(skeleton.n_joints)):
        parent = skeleton.parents[j]
        if parent >= 0:
            sums[parent] += sums[j]
            counts[parent] += counts[j]
    middles = sums / counts[:, None]
    step = 0.05 * max(float(np.ptp(positions, axis=0).max()), 1e-9)  # makes mirror images equal in spite of rounding
    keys = np.round(middles / step)
    order: dict[int, list[int]] = {-1: list(skeleton.roots)}
    order |= {j: list(children) for j, children in enumerate(skeleton.children)}
    for children in order.values():
        children.sort(key=lambda j: (-keys[j, 2], -keys[j, 0], -keys[j, 1], j))
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
    """Joints of different trees have MAX_DISTANCE."""
    n = skeleton.n_joints
    distances = np.full((n, n), MAX_DISTANCE, dtype=np.int64)
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            distances[j, :j] = distances[:j, j] = np.minimum(distances[parent, :j] + 1, MAX_DISTANCE)
        distances[j, j] = 0
    return distances


def log_size(size: float) -> float:
    """The clamped logarithm of a rig's size, for the model: larger creatures move more slowly."""
    return math.log(min(max(size, 0.03), 30.0))


@dataclass(frozen=True, eq=False)
class Features:
    """T frames: ``joints`` (T, J, 10), ``path`` (T, 4), ``stretch`` (T, J, 3), at ``fps`` frames a second.

    ``origin`` (3,): x, z (metres) and heading (radians) of the first frame. The first frame has the second's speeds.
    """

    joints: Array
    path: Array
    stretch: Array
    origin: Array
    fps: float

    @property
    def n_frames(self) -> int:
        return len(self.joints)

    def cut(self, start: int, stop: int) -> Features:
        """Frames ``start`` up to, not including, ``stop``, moved to the origin."""
        return replace(
            self, joints=self.joints[start:stop], path=self.path[start:stop], stretch=self.stretch[start:stop],
            origin=np.zeros(3),
        )  # fmt: skip


def encode(clip: Clip) -> Features:
    """The features of ``clip`` at its own frame rate; :func:`decode` inverts it to float precision."""
    s, main = clip.skeleton, clip.skeleton.main_root
    size, rest = size_of(s), s.rest_positions()
    positions, rotations = clip.world()
    turns = rot.multiply(rotations, rot.inverse(s.rest_world()))
    heading = headings(turns[:, main])
    undo = rot.about("y", -heading)
    around = rot.rotate(undo[:, None], positions - positions[:, main, None]) / size
    joints = np.concatenate(
        [
            rot.to_6d(rot.multiply(undo[:, None], turns)) - IDENTITY_6D,
            around - (rest - rest[main]) / size,
            contacts(positions, clip.fps, size)[..., None],
        ],
        axis=-1,
    )
    place = positions[:, main]
    path = np.zeros((clip.n_frames, N_PATH))
    path[:, HEIGHT] = place[:, 1] / size
    if clip.n_frames > 1:
        moved = rot.rotate(undo[:-1], np.diff(place, axis=0)) * clip.fps / size
        path[1:, [LEFT, FORWARD]] = moved[:, [0, 2]]
        path[1:, TURNING] = np.diff(heading) * clip.fps
        path[0, LEFT:] = path[1, LEFT:]
    origin = np.array([place[0, 0], place[0, 2], heading[0]])
    return Features(joints, path, _stretch(clip, around, size), origin, clip.fps)


def decode(features: Features, skeleton: Skeleton) -> Clip:
    """The clip of ``skeleton`` with these features, of which positions and contacts are not used.

    Raises ClipError where the features are of another number of joints.
    """
    if features.joints.shape[1:] != (skeleton.n_joints, N_JOINT):
        raise ClipError(f"features of {features.joints.shape[1:]} do not fit a skeleton of {skeleton.n_joints} joints")
    size, main = size_of(skeleton), skeleton.main_root
    path, fps = features.path, features.fps
    heading = features.origin[2] + np.concatenate([[0.0], np.cumsum(path[1:, TURNING])]) / fps
    turn = rot.about("y", heading)
    steps = np.zeros((len(path), 3))
    steps[1:, [0, 2]] = path[1:, [LEFT, FORWARD]] * size / fps
    steps[1:] = rot.rotate(turn[:-1], steps[1:])
    place = np.cumsum(steps, axis=0) + np.array([features.origin[0], 0.0, features.origin[1]])
    place[:, 1] = path[:, HEIGHT] * size
    turns = rot.multiply(turn[:, None], rot.from_6d(features.joints[..., ROTATION] + IDENTITY_6D))
    rotations = rot.multiply(turns, skeleton.rest_world())
    local_r, _ = skeleton.local(np.zeros((*rotations.shape[:2], 3)), rotations)
    translations = skeleton.offsets + features.stretch * size
    rest = skeleton.rest_positions()
    for root in skeleton.roots:
        apart = (rest[root] - rest[main]) + features.stretch[:, root] * size
        translations[:, root] = place if root == main else place + rot.rotate(turn, apart)
    return Clip(skeleton, rot.continuous(local_r), translations, fps)


def headings(turns: Array) -> Array:
    """The heading (T,) in radians, without jumps, of turns away from rest (T, 4).

    The heading is the turn's twist about the vertical. In frames in which that is undefined, as in bodies upside down,
    it is interpolated.
    """
    upright = turns[:, 0] ** 2 + turns[:, 2] ** 2
    known = np.flatnonzero(upright > _UPRIGHT)
    if len(known) == 0:
        return np.zeros(len(turns))
    angles = np.unwrap(2.0 * np.arctan2(turns[known, 2], turns[known, 0]))
    return np.asarray(np.interp(np.arange(len(turns)), known, angles))


def contacts(positions: Array, fps: float, size: float) -> Array:
    """(T, J) with 1 where a joint is near the ground y = 0 and slow, in frames in which no joint is far below it."""
    low = positions[..., 1] < _LOW * size
    if len(positions) > 1:
        speed = np.linalg.norm(np.gradient(positions, axis=0), axis=-1) * fps / size
        low &= speed < _SLOW
    return np.asarray((low & (positions[..., 1].min(axis=1) > -_BURIED * size)[:, None]).astype(np.float64))


def _stretch(clip: Clip, around: Array, size: float) -> Array:
    """The displacements of joints from their offsets, and of roots from their rest position relative to the main
    root."""
    s = clip.skeleton
    stretch = (clip.translations - s.offsets) / size
    rest = s.rest_positions()
    for root in s.roots:
        stretch[:, root] = around[:, root] - (rest[root] - rest[s.main_root]) / size
    return np.asarray(stretch)
