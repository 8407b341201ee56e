"""From a model's key frames to the frame rate that is wanted, by smooth curves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from anyrig import rotations as rot
from anyrig.conform import Array
from anyrig.errors import ClipError
from anyrig.skeleton import Clip


def upsampled(clip: Clip, fps: float) -> Clip:
    """The clip at ``fps`` by Catmull and Rom's splines through its frames, as far as its last frame.

    Rotations are curves through neighbouring quaternions, made unit: frames that fall on a frame of the clip are kept.
    Raises ClipError for a rate that is not positive.
    """
    if not math.isfinite(fps) or fps <= 0:
        raise ClipError(f"a clip's frame rate is a positive number, not {fps}")
    if fps == clip.fps or clip.n_frames < 2:
        return replace(clip, fps=fps)
    at = np.arange(math.floor(clip.seconds * fps + 1e-6) + 1) / fps * clip.fps
    return replace(
        clip,
        rotations=rot.continuous(rot.normalize(curve(rot.continuous(clip.rotations), at))),
        translations=curve(clip.translations, at),
        fps=fps,
    )


def curve(values: Array, at: Array) -> Array:
    """Values (T, ...) between their frames, at fractional frames (N,) from 0 to T - 1."""
    last = len(values) - 1
    k = np.clip(np.floor(at + 1e-9).astype(int), 0, max(last - 1, 0))
    u = np.clip(at - k, 0.0, 1.0).reshape(-1, *[1] * (values.ndim - 1))
    padded = np.concatenate([2 * values[:1] - values[1:2], values, 2 * values[-1:] - values[-2:-1]])
    a, b, c, d = (padded[k + n] for n in range(4))
    return np.asarray(0.5 * (2 * b + u * (c - a) + u**2 * (2 * a - 5 * b + 4 * c - d) + u**3 * (3 * b - a - 3 * c + d)))
