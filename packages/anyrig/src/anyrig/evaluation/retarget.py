"""The baseline that every model has to beat: the clip whose caption is nearest to the prompt, put on the rig."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import Array
from anyrig.features import N_BUCKETS, ROTATION, Features, decode, encode, rig_code, text_ids
from anyrig.features.rig import RigCode
from anyrig.skeleton import Clip, Skeleton

_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


class Nearest:
    """A bank of clips that is asked by text: words weighted by how rare they are in the captions."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = list(clips)
        texts = [(k, caption) for k, clip in enumerate(self._clips) for caption in clip.captions]
        self._owners = np.array([k for k, _ in texts])
        table = np.stack([_counts(text) for _, text in texts])
        self._weight = np.log(len(table) / (1.0 + (table > 0).sum(axis=0)))
        self._table = _unit(table * self._weight)

    def find(self, text: str) -> Clip:
        """The clip with the nearest caption, the first of equals."""
        query = _unit(_counts(text) * self._weight)
        return self._clips[int(self._owners[int(np.argmax(self._table @ query))])]


def _counts(text: str) -> Array:
    return np.bincount(text_ids(text)[:, 0], minlength=N_BUCKETS).astype(np.float64)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12))


def retarget(clip: Clip, skeleton: Skeleton, n_frames: int) -> Clip:
    """The motion of ``clip`` on another skeleton, played once and then held, or cut, at ``n_frames``.

    Every joint goes along with the joint of the clip that is most like it in place and name; its bones point where that
    joint's bones point, whatever the two rest poses are. The path is scaled to the skeleton's size.
    """
    source, target = rig_code(clip.skeleton), rig_code(skeleton)
    match = matched(source, target)
    seen = encode(clip)
    turns = rot.from_6d(seen.joints[..., ROTATION] + _IDENTITY)[:, match]
    swing = rot.between(_towards(target), _towards(source)[match])
    joints = np.zeros((seen.n_frames, target.n_joints, seen.joints.shape[-1]))
    joints[..., ROTATION] = rot.to_6d(rot.multiply(turns, swing)) - _IDENTITY
    path = seen.path.copy()
    path[:, 0] *= (target.floor + 1e-6) / (source.floor + 1e-6) if min(source.floor, target.floor) > 0.02 else 1.0
    features = Features(joints, path, np.zeros((seen.n_frames, target.n_joints, 3)), np.zeros(3), clip.fps)
    at = np.minimum(np.arange(n_frames), seen.n_frames - 1)
    held = path[at].copy()
    held[np.arange(n_frames) >= seen.n_frames, 1:] = 0.0
    features = replace(features, joints=joints[at], path=held, stretch=np.zeros((n_frames, target.n_joints, 3)))
    return replace(decode(features, skeleton), name=clip.name, action=clip.action, captions=clip.captions)


def matched(source: RigCode, target: RigCode) -> NDArray[np.int64]:
    """For each joint of ``target`` the joint of ``source`` that is most like it, (J,)."""
    places = [_boxed(code) for code in (source, target)]
    far = np.linalg.norm(places[1][:, None] - places[0][None], axis=-1)
    shared = np.array([[_alike(a, b) for b in source.names] for a in target.names])
    depth = np.abs(_relative_depth(target)[:, None] - _relative_depth(source)[None])
    return np.asarray(np.argmin(far + 0.5 * (1.0 - shared) + 0.3 * depth, axis=1))


def _boxed(code: RigCode) -> Array:
    """Rest positions from -1 to 1 along each axis of the rig's own box; across, the middle is the root."""
    low, high = code.rest.min(axis=0), code.rest.max(axis=0)
    middle = (low + high) / 2
    middle[0] = 0.0
    return np.asarray((code.rest - middle) / np.maximum((high - low) / 2, 0.05))


def _relative_depth(code: RigCode) -> Array:
    return np.asarray(code.depths / max(int(code.depths.max()), 1))


def _alike(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    first, second = set(a[a > 0].tolist()), set(b[b > 0].tolist())
    return len(first & second) / max(len(first | second), 1)


def _towards(code: RigCode) -> Array:
    """The direction (J, 3) in which each joint's bones leave it at rest; its own bone's where it has no child."""
    out = np.zeros((code.n_joints, 3))
    for j, parent in enumerate(code.parents):
        if parent >= 0:
            out[parent] += code.bones[j]
    blunt = np.linalg.norm(out, axis=-1) < 1e-3
    out[blunt] = code.bones[blunt]
    return out
