"""Skeletons and clips, the two basic values.

Metres, y up, right-handed; quaternions are ``(w, x, y, z)``; arrays are float64 and read-only. "Local" is relative to
the parent joint, or to the world where there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from anyrig import rotations as rot
from anyrig.errors import ClipError, SkeletonError
from anyrig.rotations import Array

FREE = -2
"""The carrier of a joint that carries no part of the mesh."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A forest of J joints with a rest pose.

    ``names`` are as in their file and need not be unique. ``parents`` holds each joint's parent, -1 for a root; every
    parent precedes its children. ``offsets`` (J, 3) and ``rest`` (J, 4) are the local rest translations and rotations;
    ``rest`` may be one rotation for all. ``carriers`` is empty, or has for each joint the one that it moves with where
    that is not its parent (a foot that hangs on the world and follows a leg by inverse kinematics): its parent, another
    joint, -1 for none, or FREE for a helper that carries nothing; see :mod:`anyrig.conform`. Raises SkeletonError for
    invalid fields.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Array
    rest: Array = field(default_factory=rot.identity)
    carriers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "parents", tuple(int(p) for p in self.parents))
        object.__setattr__(self, "offsets", _frozen(self.offsets))
        rest = _units(np.asarray(self.rest, dtype=np.float64))
        object.__setattr__(self, "rest", _frozen(_fit(rest, (len(self.names), 4))))
        object.__setattr__(self, "carriers", tuple(int(c) for c in self.carriers))
        self._validate()

    def _validate(self) -> None:
        n = len(self.names)
        if n == 0:
            raise SkeletonError("a skeleton needs at least one joint")
        if len(self.parents) != n:
            raise SkeletonError(f"{n} joint names but {len(self.parents)} parents")
        for j, parent in enumerate(self.parents):
            if not -1 <= parent < j:
                raise SkeletonError(f"joint {j} ({self.names[j]!r}) has parent {parent}: a parent precedes it")
        if self.carriers and (len(self.carriers) != n or not all(FREE <= c < n for c in self.carriers)):
            raise SkeletonError(f"{len(self.carriers)} carriers for {n} joints, or one out of range")
        for kind, array, size in (("offsets", self.offsets, 3), ("rest", self.rest, 4)):
            if array.shape != (n, size):
                raise SkeletonError(f"{kind} of {n} joints are ({n}, {size}), not {array.shape}")
            bad = ~np.isfinite(array).all(axis=-1)
            if bad.any():
                raise SkeletonError(f"joint {self.names[int(bad.argmax())]!r} has a {kind} value that is not finite")

    @property
    def n_joints(self) -> int:
        return len(self.names)

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """The joints without a parent, in order."""
        return tuple(j for j, p in enumerate(self.parents) if p < 0)

    @cached_property
    def main_root(self) -> int:
        """The root with the most joints below it, the first of several; its travel is the creature's."""
        sizes = [1] * self.n_joints
        for j in reversed(range(self.n_joints)):
            if self.parents[j] >= 0:
                sizes[self.parents[j]] += sizes[j]
        return max(self.roots, key=lambda j: sizes[j])

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Each joint's children, in order."""
        below: list[list[int]] = [[] for _ in self.names]
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                below[parent].append(j)
        return tuple(tuple(c) for c in below)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """The number of joints above each joint."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
        return tuple(depths)

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The joints of each depth, which can be computed together on the way down the tree."""
        return tuple(tuple(j for j, d in enumerate(self.depths) if d == depth) for depth in range(max(self.depths) + 1))

    def path(self, j: int) -> tuple[int, ...]:
        """The joints from the root down to ``j``, both included."""
        path = [j]
        while self.parents[path[-1]] >= 0:
            path.append(self.parents[path[-1]])
        return tuple(reversed(path))

    def index(self, name: str) -> int:
        """The joint called ``name``. Raises SkeletonError where there is none, or more than one."""
        found = [j for j, n in enumerate(self.names) if n == name]
        if len(found) != 1:
            raise SkeletonError(f"{len(found) or 'no'} joints are called {name!r}")
        return found[0]

    @cached_property
    def _at_rest(self) -> tuple[Array, Array]:
        return self.world(self.rest, self.offsets)

    def rest_positions(self) -> Array:
        """World positions in the rest pose, (J, 3)."""
        return self._at_rest[0].copy()

    def rest_world(self) -> Array:
        """World rotations in the rest pose, (J, 4)."""
        return self._at_rest[1].copy()

    def rest_clip(self) -> Clip:
        """The rest pose as a clip of one frame."""
        return Clip(self, self.rest[None], self.offsets, 1.0)

    def of_parents(self, values: Array, of_roots: ArrayLike) -> Array:
        """For each joint its parent's row of ``values`` (J, ...); ``of_roots`` for roots."""
        parents = np.array(self.parents)
        has_parent = (parents >= 0).reshape(-1, *[1] * (values.ndim - 1))
        return np.where(has_parent, values[np.maximum(parents, 0)], of_roots)

    def world(self, rotations: ArrayLike, translations: ArrayLike) -> tuple[Array, Array]:
        """Forward kinematics from local rotations (..., J, 4) and translations (..., J, 3).

        ``W_j = W_parent * r_j`` and ``p_j = p_parent + W_parent(t_j)``. Returns the world's (positions,
        rotations), the latter of unit length at any depth.
        """
        local_r, local_t = np.asarray(rotations, dtype=np.float64), np.asarray(translations, dtype=np.float64)
        leading = np.broadcast_shapes(local_r.shape[:-2], local_t.shape[:-2])
        world_r = np.broadcast_to(local_r, (*leading, self.n_joints, 4)).copy()
        world_t = np.broadcast_to(local_t, (*leading, self.n_joints, 3)).copy()
        for level in self.levels[1:]:
            j, parent = list(level), [self.parents[i] for i in level]
            above = world_r[..., parent, :]
            world_t[..., j, :] = world_t[..., parent, :] + rot.rotate(above, world_t[..., j, :])
            world_r[..., j, :] = rot.normalize(rot.multiply(above, world_r[..., j, :]))
        return world_t, world_r

    def local(self, positions: ArrayLike, rotations: ArrayLike) -> tuple[Array, Array]:
        """The inverse of :meth:`world`, from world positions (..., J, 3) and rotations (..., J, 4).

        Returns local (rotations, translations), in the order of a :class:`Clip`.
        """
        world_t = np.array(positions, dtype=np.float64)
        world_r = rot.normalize(np.asarray(rotations, dtype=np.float64))  # else the inverse is not the conjugate
        local_t, local_r = world_t.copy(), world_r.copy()
        j = [i for i, p in enumerate(self.parents) if p >= 0]
        parent = [self.parents[i] for i in j]
        undo = rot.inverse(world_r[..., parent, :])
        local_t[..., j, :] = rot.rotate(undo, world_t[..., j, :] - world_t[..., parent, :])
        local_r[..., j, :] = rot.multiply(undo, world_r[..., j, :])
        return local_r, local_t


@dataclass(frozen=True, eq=False)
class Clip:
    """T frames of motion of one skeleton.

    ``rotations`` (T, J, 4) and ``translations`` (T, J, 3) are local and replace the rest pose's; a joint that only
    turns has its offset in every frame, so ``translations`` may be ``skeleton.offsets``. ``captions`` are ordered from
    short to long. Raises ClipError for invalid fields.
    """

    skeleton: Skeleton
    rotations: Array
    translations: Array
    fps: float
    name: str = ""
    captions: tuple[str, ...] = ()
    action: str = ""

    def __post_init__(self) -> None:
        rotations = np.asarray(self.rotations, dtype=np.float64)
        j = self.skeleton.n_joints
        if rotations.ndim != 3 or rotations.shape[0] < 1 or rotations.shape[1:] != (j, 4):
            raise ClipError(f"rotations of {j} joints are (frames, {j}, 4), not {rotations.shape}")
        translations = _fit(np.asarray(self.translations, dtype=np.float64), (len(rotations), j, 3))
        if translations.shape != (len(rotations), j, 3):
            raise ClipError(f"translations have the shape {translations.shape}, not {(len(rotations), j, 3)}")
        if not math.isfinite(self.fps) or self.fps <= 0:
            raise ClipError(f"a clip's frame rate is a positive number, not {self.fps}")
        for kind, array in (("rotation", rotations), ("translation", translations)):
            bad = np.argwhere(~np.isfinite(array).all(axis=-1))
            if len(bad):
                frame, joint = (int(i) for i in bad[0])
                raise ClipError(f"joint {self.skeleton.names[joint]!r}: the {kind} in frame {frame} is not finite")
        object.__setattr__(self, "rotations", _frozen(_units(rotations)))
        object.__setattr__(self, "translations", _frozen(translations))
        object.__setattr__(self, "fps", float(self.fps))
        object.__setattr__(self, "captions", tuple(self.captions))

    @property
    def n_frames(self) -> int:
        return len(self.rotations)

    @property
    def seconds(self) -> float:
        """From the first frame to the last: (T - 1) / fps."""
        return (self.n_frames - 1) / self.fps

    def world(self) -> tuple[Array, Array]:
        """World positions (T, J, 3) and rotations (T, J, 4)."""
        return self.skeleton.world(self.rotations, self.translations)

    def resampled(self, fps: float) -> Clip:
        """The clip at another frame rate: rotations by slerp, translations linearly, from its first frame on.

        The last frame is the last one at the new rate that is not past the clip's end. Raises ClipError for a rate that
        is not positive.
        """
        if not math.isfinite(fps) or fps <= 0:
            raise ClipError(f"a clip's frame rate is a positive number, not {fps}")
        if fps == self.fps:
            return self
        n = math.floor(self.seconds * fps + 1e-6) + 1
        at = np.minimum(np.arange(n) / fps * self.fps, self.n_frames - 1)
        # A time that equals a frame's up to rounding takes that frame unchanged.
        at = np.where(np.abs(at - np.round(at)) < 1e-9, np.round(at), at)
        before = np.floor(at).astype(int)
        after = np.minimum(before + 1, self.n_frames - 1)
        t = at - before
        whole = (t == 0)[:, None, None]
        blend = (1 - t)[:, None, None] * self.translations[before] + t[:, None, None] * self.translations[after]
        turned = rot.slerp(self.rotations[before], self.rotations[after], t[:, None])
        return replace(
            self,
            rotations=np.where(whole, self.rotations[before], turned),
            translations=np.where(whole, self.translations[before], blend),
            fps=fps,
        )

    def travel(self) -> Array:
        """How far the main root has moved over the ground since the first frame, (T, 3); y is zero."""
        main = self.translations[:, self.skeleton.main_root]
        return np.asarray((main - main[0]) * np.array([1.0, 0.0, 1.0]))

    def in_place(self) -> Clip:
        """The clip without its travel over the ground, taken from every root alike; height and turning stay."""
        translations = self.translations.copy()
        translations[:, list(self.skeleton.roots)] -= self.travel()[:, None]
        return replace(self, translations=translations)

    def cut(self, start: int, stop: int) -> Clip:
        """Frames ``start`` up to, not including, ``stop``. Raises ClipError for an empty or invalid range."""
        if not 0 <= start < stop <= self.n_frames:
            raise ClipError(f"frames {start} to {stop} are outside a clip of {self.n_frames} frames")
        return replace(self, rotations=self.rotations[start:stop], translations=self.translations[start:stop])


def _frozen(values: Array) -> Array:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def _fit(values: Array, shape: tuple[int, ...]) -> Array:
    """``values`` broadcast to ``shape`` if possible, else unchanged, for the caller to refuse."""
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        return values


def _units(q: Array) -> Array:
    """``q`` normalised where needed, so that quaternions of unit length keep their bits."""
    if q.shape[-1:] != (4,) or not np.isfinite(q).all():
        return q  # for the caller to refuse
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(np.abs(length - 1.0) <= 1e-12, q, rot.normalize(q))
