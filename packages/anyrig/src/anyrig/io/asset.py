"""The content of a file, and checks for missing offsets and implausible units and axes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anyrig.errors import ClipError, FileError, FileWarning
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

if TYPE_CHECKING:
    from anyrig.io.gltf_document import Document, Nodes

_NONE = 1e-9
"""An offset below this share of the longest translation counts as missing."""
HIGH, LONG = 20.0, 50.0
"""Metres in height and in any direction above which a size is implausible."""
SMALL = 0.25
"""Metres in the longest direction below which a size is implausible."""
_UPRIGHT = 0.7
"""Least cosine between the legs and the axis that counts as theirs."""
_FEET = ("foot", "toe", "ankle", "hoof", "paw", "heel")
_LEGS = ("leg", "thigh", "shin", "calf")
_LEG = 3  # joints from the foot up that are a leg


@dataclass(frozen=True, eq=False)
class Source:
    """The document behind an asset.

    ``joints`` has the node of each joint of ``skeleton``, ``clips`` each clip as read with its animation's index.
    """

    document: Document
    nodes: Nodes
    joints: tuple[int, ...]
    skeleton: Skeleton
    clips: tuple[tuple[Clip, int], ...]


@dataclass(frozen=True, eq=False)
class Asset:
    """A skeleton with any number of clips.

    ``source`` is the glTF document they came from (None for other formats), which is written with the clips, meshes,
    skins and materials included, as long as the joints are the same.
    """

    skeleton: Skeleton
    clips: tuple[Clip, ...] = ()
    source: Source | None = None

    def clip(self, name: str) -> Clip:
        """The clip called ``name``. Raises ClipError with the known names for any other."""
        for clip in self.clips:
            if clip.name == name:
                return clip
        names = ", ".join(repr(c.name) for c in self.clips) or "none"
        raise ClipError(f"no clip is called {name!r}; there are: {names}")


def shaped(asset: Asset, path: str | os.PathLike[str]) -> Asset:
    """The asset with missing offsets taken from the first frame of its first clip, where joints move as if they had
    any.

    A skeleton with a mesh is changed only where all its joints are at one point, since bones may have no length on
    purpose. Raises FileError where all joints are at one point in every frame too.
    """
    s = asset.skeleton
    below = np.array([p >= 0 for p in s.parents])
    far = max(float(np.abs(c.translations).max()) for c in asset.clips) if asset.clips else 0.0
    empty = np.abs(s.offsets).max(axis=1) <= _NONE * max(far, 1.0)
    if not (empty & below).any():
        return asset
    flat = bool(empty[below].all()) and bool(np.ptp(s.rest_positions(), axis=0).max() <= _NONE * max(far, 1.0))
    if asset.source is not None and not flat:
        return asset
    if asset.clips:
        least = np.min([np.abs(c.translations).max(axis=-1).min(axis=0) for c in asset.clips], axis=0)
        moving = empty & (least > 1e-6 * max(far, 1e-300)) & (below | flat)
        offsets = np.where(moving[:, None], asset.clips[0].translations[0], s.offsets)
        if moving[below].any():
            shape = replace(s, offsets=offsets)
            clips = tuple(replace(c, skeleton=shape) for c in asset.clips)
            return replace(asset, skeleton=shape, clips=clips)
    if flat and asset.source is None:  # with a mesh, a single point can be right: a lever turns about one
        point = f"all {s.n_joints} joints lie at one point, at rest and in motion"
        raise FileError(f"{path}: {point}; export it with its bones' offsets")
    return asset


def warn_of_units(asset: Asset, path: Path, *, up: bool, unit: bool) -> None:
    """Warns (FileWarning) of a skeleton whose pose (``up``) or size (``unit``) hints at another axis or unit.

    Each is off where the user named the axis or the unit.
    """
    lying = _up_axis(asset) if up else None
    if lying not in (None, "y"):
        said = f"pass up={lying!r} (--up {lying}) if that axis points up in it"
        warnings.warn(f"{path}: its legs hang along {lying}: {said}", FileWarning, stacklevel=3)
    size = _odd_size(asset.skeleton) if unit else None
    if size is not None:
        said = "pass the unit of its numbers (--unit cm, mm, in, ft, or how many metres one of them is)"
        warnings.warn(f"{path}: its skeleton is {size}: {said} if that is wrong", FileWarning, stacklevel=3)


def _odd_size(skeleton: Skeleton) -> str | None:
    """A text with an implausible size; None for a plausible one."""
    box = np.ptp(skeleton.rest_positions(), axis=0)
    height, length = float(box[1]), float(box.max())
    if height > HIGH:
        return f"{height:.3g} m high"
    if length > LONG:
        return f"{length:.3g} m long"
    return f"{length:.2g} m in its longest direction" if 0 < length < SMALL else None


def _up_axis(asset: Asset) -> str | None:
    """The axis ("x", "y", "z") of the legs at rest and in the first frame; None where it is ambiguous."""
    s = asset.skeleton
    poses = [s.rest_positions()]
    if asset.clips:
        first = asset.clips[0].cut(0, 1)
        poses.append(first.world()[0][0])
    legs = _legs(s)
    found = {_along(np.array([pose[foot] - pose[top] for top, foot in legs])) for pose in poses} if legs else {None}
    return found.pop() if len(found) == 1 else None


def _legs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """(top, foot) of each leg: the first joint named after a foot, else the last named after a leg, and one above."""
    lower = [name.lower() for name in skeleton.names]
    above = skeleton.carriers or skeleton.parents  # feet of game rigs hang beside their legs
    feet = [any(word in name for word in _FEET) for name in lower]
    first = [j for j, p in enumerate(above) if feet[j] and p >= 0 and not feet[p]]
    if not first:
        legs = [any(word in name for word in _LEGS) for name in lower]
        first = [j for j in range(len(legs)) if legs[j] and not any(legs[c] for c, p in enumerate(above) if p == j)]
    paths = [upward(above, j) for j in first]
    return [(path[min(_LEG, len(path) - 2)], path[0]) for path in paths if len(path) > 2]


def upward(above: Sequence[int], joint: int) -> list[int]:
    """``joint`` and all joints above it, up to a root."""
    path = []
    while joint >= 0:
        path.append(joint)
        joint = above[joint]
    return path


def _along(legs: Array) -> str | None:
    """The axis of the sum of all legs, in which sideways parts cancel out; None where it is near no axis."""
    total, lengths = legs.sum(axis=0), np.linalg.norm(legs, axis=-1).sum()
    if len(legs) < 2 or lengths <= 0 or np.abs(total).max() < _UPRIGHT * lengths:
        return None
    return "xyz"[int(np.abs(total).argmax())]
