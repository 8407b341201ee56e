"""Rest poses that a file leaves out: joints whose bones have a length in motion only."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from anyrig.errors import FileError
from anyrig.io._model import Model

_NONE = 1e-9
"""An offset this short, as a share of the longest translation, says nothing."""


def shaped(model: Model, path: str | os.PathLike[str]) -> Model:
    """The model with offsets from its first clip's first frame for joints that have none but move as if they had.

    A skeleton with a mesh is changed only where all its joints lie at one point: its bones may be of no length on
    purpose. Raises FileError where no frame tells them apart either.
    """
    s = model.skeleton
    below = np.array([p >= 0 for p in s.parents])
    far = max(float(np.abs(c.translations).max()) for c in model.clips) if model.clips else 0.0
    empty = np.abs(s.offsets).max(axis=1) <= _NONE * max(far, 1.0)
    if not (empty & below).any():
        return model
    flat = bool(empty[below].all()) and bool(np.ptp(s.rest_positions(), axis=0).max() <= _NONE * max(far, 1.0))
    if model.source is not None and not flat:
        return model
    if model.clips:
        least = np.min([np.abs(c.translations).max(axis=-1).min(axis=0) for c in model.clips], axis=0)
        told = empty & (least > 1e-6 * max(far, 1e-300)) & (below | flat)
        offsets = np.where(told[:, None], model.clips[0].translations[0], s.offsets)
        if told[below].any():
            shape = replace(s, offsets=offsets)
            clips = tuple(replace(c, skeleton=shape) for c in model.clips)
            return replace(model, skeleton=shape, clips=clips)
    if flat and model.source is None:  # a mesh has its size without bones: a lever turns about one point
        point = f"all {s.n_joints} joints lie at one point, at rest and in motion"
        raise FileError(f"{path}: {point}; export it with its bones' offsets")
    return model
