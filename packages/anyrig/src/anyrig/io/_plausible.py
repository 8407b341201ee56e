"""What a skeleton's size and pose say about the unit and the up axis of its file, where nobody else says it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyrig.errors import FileWarning
from anyrig.io._model import Model
from anyrig.skeleton import Skeleton

Array = NDArray[np.float64]

HIGH, LONG = 20.0, 50.0
"""Metres in height and in any direction from which on no creature is that large."""
SMALL = 0.25
"""Metres that most creatures measure in some direction."""
_UPRIGHT = 0.7
"""Cosine between the legs and the axis that they hang along."""
_FEET = ("foot", "toe", "ankle", "hoof", "paw", "heel")
_LEGS = ("leg", "thigh", "shin", "calf")
_LEG = 3  # joints from the foot up that are a leg


def warn(model: Model, path: Path, *, up: bool, unit: bool) -> None:
    """Warns (FileWarning) of a skeleton whose pose (``up``) or size (``unit``) hints at another axis or unit.

    A caller that was told the axis or the unit asks for no warning of it.
    """
    lying = _up_axis(model) if up else None
    if lying not in (None, "y"):
        said = f"pass up={lying!r} (--up {lying}) if that axis points up in it"
        warnings.warn(f"{path}: its legs hang along {lying}: {said}", FileWarning, stacklevel=3)
    size = _odd_size(model.skeleton) if unit else None
    if size is not None:
        said = "pass the unit of its numbers (--unit cm, mm, in, ft, or how many metres one of them is)"
        warnings.warn(f"{path}: its skeleton is {size}: {said} if that is wrong", FileWarning, stacklevel=3)


def _odd_size(skeleton: Skeleton) -> str | None:
    """How large it is, where hardly any creature is that large or that small."""
    box = np.ptp(skeleton.rest_positions(), axis=0)
    height, length = float(box[1]), float(box.max())
    if height > HIGH:
        return f"{height:.3g} m high"
    if length > LONG:
        return f"{length:.3g} m long"
    return f"{length:.2g} m in its longest direction" if 0 < length < SMALL else None


def _up_axis(model: Model) -> str | None:
    """The axis ("x", "y", "z") along which the legs hang, at rest and in the first frame; None where none is told."""
    s = model.skeleton
    poses = [s.rest_positions()]
    if model.clips:
        first = model.clips[0].cut(0, 1)
        poses.append(first.world()[0][0])
    legs = _legs(s)
    found = {_along(np.array([pose[foot] - pose[top] for top, foot in legs])) for pose in poses} if legs else {None}
    return found.pop() if len(found) == 1 else None


def _legs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """(top, foot) of each leg: a joint that is named after a foot, else the last named after a leg, and one above."""
    lower = [name.lower() for name in skeleton.names]
    feet = [any(word in name for word in _FEET) for name in lower]
    first = [j for j, p in enumerate(skeleton.parents) if feet[j] and p >= 0 and not feet[p]]
    if not first:
        legs = [any(word in name for word in _LEGS) for name in lower]
        first = [j for j in range(skeleton.n_joints) if legs[j] and not any(legs[c] for c in skeleton.children[j])]
    paths = [skeleton.path(j) for j in first]
    return [(path[max(len(path) - 1 - _LEG, 1)], path[-1]) for path in paths if len(path) > 2]


def _along(legs: Array) -> str | None:
    """The axis along which all legs together go, if it is one: what goes to the sides cancels out."""
    total, lengths = legs.sum(axis=0), np.linalg.norm(legs, axis=-1).sum()
    if len(legs) < 2 or lengths <= 0 or np.abs(total).max() < _UPRIGHT * lengths:
        return None
    return "xyz"[int(np.abs(total).argmax())]
