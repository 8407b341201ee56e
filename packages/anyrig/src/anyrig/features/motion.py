"""Clips as features and back: per joint and frame, in units of the rig's own size, exactly invertible.

With ``W_j(t)`` a joint's world rotation, ``R_j`` the one at rest, ``H(t)`` the heading (a turn about the vertical):

| feature | of | definition |
|---|---|---|
| rotation (6) | joint | ``H^-1 W_j R_j^-1`` as 6D less the identity: the turn away from rest, seen from the heading |
| position (3) | joint | ``H^-1 (p_j - p_root) / size``, less the same at rest |
| contact (1) | joint | 1 where it stands on the ground |
| height | path | of the main root over the ground, / size |
| speed (2) | path | of the main root to the left and forward, in the heading's frame, sizes a second |
| turning | path | of the heading, radians a second |

Turns away from rest do not depend on the joints' own axes, and those of the whole body do not add up along a chain. No
mean or deviation of any skeleton's clips is needed. Joints that move against their parents are kept in ``stretch``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.errors import ClipError
from anyrig.features.rig import size_of
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

ROTATION, POSITION, CONTACT = slice(0, 6), slice(6, 9), 9
"""Where the features of a joint stand in its last axis."""
N_JOINT, N_PATH = 10, 4
"""Features of a joint, and of the path."""
HEIGHT, LEFT, FORWARD, TURNING = range(4)
"""Where the features of the path stand."""

_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
_GROUND = np.array([1.0, 0.0, 1.0])
_LOW, _SLOW, _BURIED = 0.035, 0.35, 0.04  # sizes, sizes a second, sizes
_UPRIGHT = 0.15  # of a unit quaternion's square: less of it about the vertical says nothing of the heading


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
        """T."""
        return len(self.joints)

    def cut(self, start: int, stop: int) -> Features:
        """Frames ``start`` up to, not including, ``stop``, starting at the origin of the world."""
        return replace(
            self, joints=self.joints[start:stop], path=self.path[start:stop], stretch=self.stretch[start:stop],
            origin=np.zeros(3),
        )  # fmt: skip


def encode(clip: Clip) -> Features:
    """The features of ``clip`` at its own frame rate; :func:`decode` gives it back to float precision."""
    s, main = clip.skeleton, clip.skeleton.main_root
    size, rest = size_of(s), s.rest_positions()
    positions, rotations = clip.world()
    turns = rot.multiply(rotations, rot.inverse(s.rest_world()))
    heading = headings(turns[:, main])
    undo = rot.about("y", -heading)
    around = rot.rotate(undo[:, None], positions - positions[:, main, None]) / size
    joints = np.concatenate(
        [
            rot.to_6d(rot.multiply(undo[:, None], turns)) - _IDENTITY,
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
    """The clip of ``skeleton`` that has these features. Positions and contacts are not used: rotations give the pose.

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
    turns = rot.multiply(turn[:, None], rot.from_6d(features.joints[..., ROTATION] + _IDENTITY))
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

    It is the turn's twist about the vertical; where the body is upside down there is none to speak of, and the heading
    goes over from the last frame that had one to the next.
    """
    upright = turns[:, 0] ** 2 + turns[:, 2] ** 2
    known = np.flatnonzero(upright > _UPRIGHT)
    if len(known) == 0:
        return np.zeros(len(turns))
    angles = np.unwrap(2.0 * np.arctan2(turns[known, 2], turns[known, 0]))
    return np.asarray(np.interp(np.arange(len(turns)), known, angles))


def contacts(positions: Array, fps: float, size: float) -> Array:
    """(T, J) with 1 where a joint is low over the ground at y = 0 and slow, in frames in which no joint is below it."""
    low = positions[..., 1] < _LOW * size
    if len(positions) > 1:
        speed = np.linalg.norm(np.gradient(positions, axis=0), axis=-1) * fps / size
        low &= speed < _SLOW
    return np.asarray((low & (positions[..., 1].min(axis=1) > -_BURIED * size)[:, None]).astype(np.float64))


def _stretch(clip: Clip, around: Array, size: float) -> Array:
    """How far joints are from where their parents carry them, and roots from where the main root does."""
    s = clip.skeleton
    stretch = (clip.translations - s.offsets) / size
    rest = s.rest_positions()
    for root in s.roots:
        stretch[:, root] = around[:, root] - (rest[root] - rest[s.main_root]) / size
    return np.asarray(stretch)
