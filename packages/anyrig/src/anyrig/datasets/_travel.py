"""How fast a creature that walks on the spot would get along, from the feet that stand on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig.conform import extent
from anyrig.skeleton import Clip

Array = NDArray[np.float64]

ON_GROUND = 0.15
"""A foot stands while it is no higher above its lowest place than this share of how high it is lifted in the clip."""
_SMOOTH_S = 0.08


def with_travel(clip: Clip, feet: Sequence[int], *, steady: bool) -> Clip:
    """The clip moved over the ground so that its standing feet stay where they are, as far as they agree.

    ``steady`` gives it the one velocity that fits best, for a gait that goes round and round; otherwise the velocity
    follows the feet from frame to frame, and while none stands it is what lies between. The path begins where the clip
    did. Without feet on the ground nothing is changed.
    """
    velocity = ground_velocity(clip, feet)
    seen = np.isfinite(velocity[:, 0])
    if not seen.any():
        return clip
    if steady:
        path = np.arange(clip.n_frames)[:, None] / clip.fps * _steady_velocity(clip, feet)
    else:
        frames = np.arange(clip.n_frames)
        filled = np.stack([np.interp(frames, frames[seen], velocity[seen, k]) for k in range(2)], axis=-1)
        smooth = _smoothed(filled, _SMOOTH_S * clip.fps)
        steps = 0.5 * (smooth[1:] + smooth[:-1]) / clip.fps
        path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    translations = clip.translations.copy()
    translations[:, list(clip.skeleton.roots), 0] += path[:, :1]
    translations[:, list(clip.skeleton.roots), 2] += path[:, 1:]
    return replace(clip, translations=translations)


def ground_velocity(clip: Clip, feet: Sequence[int]) -> Array:
    """What the standing feet say of the body's velocity (x and z, metres a second) in each frame, (T, 2).

    The mean of the feet's own, turned round; NaN in frames in which no foot stands.
    """
    speed, standing = _feet(clip, feet)
    count = standing.sum(axis=1)
    total = np.where(standing[..., None], speed, 0.0).sum(axis=1)
    return np.where(count[:, None] > 0, -total / np.maximum(count, 1)[:, None], np.nan)


def _steady_velocity(clip: Clip, feet: Sequence[int]) -> Array:
    """The mean over feet of each one's median while it stands, turned round, (2,).

    The median, because frames in which a foot comes down or leaves are still low and already swing.
    """
    speed, standing = _feet(clip, feet)
    each = [np.median(speed[standing[:, k], k], axis=0) for k in range(len(feet)) if standing[:, k].any()]
    return np.asarray(-np.mean(each, axis=0))


def _feet(clip: Clip, feet: Sequence[int]) -> tuple[Array, NDArray[np.bool_]]:
    """Each foot's velocity over the ground (T, K, 2), and whether it stands (T, K)."""
    at = clip.world()[0][:, list(feet)]
    lift = at[..., 1] - at[..., 1].min(axis=0)
    standing = lift <= ON_GROUND * lift.max(axis=0) + 1e-6 * extent(clip.skeleton)
    if clip.n_frames < 2:
        return np.zeros((*at.shape[:2], 2)), standing
    return np.gradient(at[..., [0, 2]], axis=0) * clip.fps, standing


def _smoothed(values: Array, sigma: float) -> Array:
    """A Gaussian mean over time, with the ends held."""
    reach = max(1, int(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(values.shape[1])], axis=-1)
