"""Position channels that were meant to be added to a joint's OFFSET, in files where most replace it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyrig.conform import extent
from anyrig.errors import FileWarning
from anyrig.skeleton import Skeleton

Array = NDArray[np.float64]

_SEEN = 0.05  # a root's height in its OFFSET, as a share of the skeleton's size, below which nothing can be told
_NEAR = 0.3  # how near to the ground feet are expected, as a share of that height
_COLLAPSED = 0.1  # a bone that is shorter than this share of its OFFSET all the time has collapsed


def absolute(
    skeleton: Skeleton, rotations: Array, translations: Array, placed: list[bool], up: str, path: Path
) -> Array:
    """``translations`` (T, J, 3) with the OFFSETs added to those that were written without them, and a warning.

    ``placed`` says which joints have three position channels; the other joints stay. Roots were, where the rest pose
    stands on the ground and the whole motion as far below it as the main root's OFFSET is high. Other joints were,
    where their bones would have no length to speak of otherwise.
    """
    s = skeleton
    roots = [j for j in s.roots if placed[j]]
    others = [j for j in range(s.n_joints) if placed[j] and s.parents[j] >= 0 and np.any(s.offsets[j])]
    added = []
    if others:
        lengths = np.median(np.linalg.norm(translations[:, others], axis=-1), axis=0)
        if (lengths < _COLLAPSED * np.linalg.norm(s.offsets[others], axis=-1)).all():
            added += others
    translations = translations.copy()
    translations[:, added] += s.offsets[added]
    if s.main_root in roots and _is_buried(s, rotations, translations, "xyz".index(up)):
        added += roots
        translations[:, roots] += s.offsets[roots]
    if added:
        who = f"{s.names[added[0]]!r}" + (f" and {len(added) - 1} more joints" if len(added) > 1 else "")
        message = f"{path}: the positions of {who} are relative to the OFFSET, which is added to them"
        warnings.warn(message, FileWarning, stacklevel=2)
    return translations


def _is_buried(skeleton: Skeleton, rotations: Array, translations: Array, up: int) -> bool:
    """Whether the motion lies under the ground that the rest pose stands on, by the height of the root's OFFSET."""
    height = float(skeleton.offsets[skeleton.main_root, up])
    ground = float(skeleton.rest_positions()[:, up].min())
    if height < _SEEN * extent(skeleton) or abs(ground) > _NEAR * height:
        return False
    positions, _ = skeleton.world(rotations, translations)
    lowest = float(np.median(positions[..., up].min(axis=1)))
    return abs(lowest + height - ground) <= _NEAR * height
