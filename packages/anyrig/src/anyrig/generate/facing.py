"""Which way a rig faces at rest; models know creatures that face along z."""

from __future__ import annotations

import numpy as np

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import Array, extent
from anyrig.errors import SettingsError
from anyrig.features import words
from anyrig.skeleton import Clip, Skeleton

FACINGS = {"z": 0.0, "x": np.pi / 2, "-z": np.pi, "-x": -np.pi / 2}
"""Radians about the vertical from z."""
_FRONT = {"head", "jaw", "nose", "snout", "face", "eye", "mouth", "antenna", "beak", "neck"}
_REAR = {"tail", "fluke"}


def facing_of(skeleton: Skeleton, facing: str = "auto") -> float:
    """The heading at rest in radians from z towards x, a multiple of a quarter turn.

    ``"auto"`` looks where joints that are named after a head lie from the rest (or the rest from a tail), else takes z.
    Raises SettingsError for anything but "auto", "z", "x", "-z" and "-x".
    """
    if facing in FACINGS:
        return FACINGS[facing]
    if facing != "auto":
        raise SettingsError(f"a rig faces z, x, -z or -x, or auto: not {facing!r}")
    positions = skeleton.rest_positions()
    middle = positions.mean(axis=0)
    for marks, sign in ((_FRONT, 1.0), (_REAR, -1.0)):
        marked = [j for j, name in enumerate(skeleton.names) if marks & set(words(name))]
        if marked:
            x, _, z = sign * (positions[marked].mean(axis=0) - middle)
            if np.hypot(x, z) > 0.05 * extent(skeleton):
                return round(float(np.arctan2(x, z)) / (np.pi / 2)) % 4 * np.pi / 2
    return 0.0


def faced(skeleton: Skeleton, radians: float) -> Skeleton:
    """The skeleton turned about the vertical by ``radians``, rest pose and all."""
    still = Clip(skeleton, skeleton.rest[None], skeleton.offsets, 1.0)
    return conform.turned(still, rot.about("y", radians)).skeleton


def turned_back(clip: Clip, skeleton: Skeleton, radians: float) -> Clip:
    """A clip of ``faced(skeleton, -radians)`` as one of ``skeleton`` itself."""
    back: Array = rot.about("y", radians)
    turned = conform.turned(clip, back)
    return Clip(
        skeleton, turned.rotations, turned.translations, clip.fps, name=clip.name, captions=clip.captions,
        action=clip.action,
    )  # fmt: skip
