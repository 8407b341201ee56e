"""Measures of motion, in units of the rig's size, and of sets of motions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anyrig.conform import Array
from anyrig.features import ROTATION, encode, size_of
from anyrig.generate.footing import feet
from anyrig.skeleton import Clip

_STANDING = 0.02
"""Sizes over the ground below which a foot is taken to stand."""


def energy(clip: Clip) -> float:
    """The mean speed of the joints in the world, sizes a second: nothing for a still pose."""
    places = clip.world()[0] / size_of(clip.skeleton)
    if clip.n_frames < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(places, axis=0), axis=-1).mean() * clip.fps)


def foot_skate(clip: Clip) -> float:
    """The mean speed over the ground of feet that are on it, sizes a second; 0 where there are none."""
    ends = list(feet(clip.skeleton))
    if not ends or clip.n_frames < 2:
        return 0.0
    places = clip.world()[0][:, ends] / size_of(clip.skeleton)
    low = (places[1:, :, 1] < _STANDING) & (places[:-1, :, 1] < _STANDING)
    speed = np.linalg.norm(np.diff(places, axis=0)[..., [0, 2]], axis=-1) * clip.fps
    return float(speed[low].mean()) if low.any() else 0.0


def penetration(clip: Clip) -> float:
    """The mean depth of the lowest joint under the ground, sizes."""
    return float(np.maximum(-clip.world()[0][..., 1].min(axis=1), 0.0).mean() / size_of(clip.skeleton))


def jerk(clip: Clip) -> float:
    """The mean third derivative of the joints' places, sizes a second cubed."""
    if clip.n_frames < 4:
        return 0.0
    places = clip.world()[0] / size_of(clip.skeleton)
    return float(np.linalg.norm(np.diff(places, n=3, axis=0), axis=-1).mean() * clip.fps**3)


def bone_length_error(clip: Clip) -> float:
    """How much a bone's length differs from the rest pose's at most, as a share of the size."""
    s = clip.skeleton
    joints = [j for j, p in enumerate(s.parents) if p >= 0]
    if not joints:
        return 0.0
    places = clip.world()[0]
    bones = places[:, joints] - places[:, [s.parents[j] for j in joints]]
    lengths = np.linalg.norm(s.offsets[joints], axis=-1)
    return float(np.abs(np.linalg.norm(bones, axis=-1) - lengths).max() / size_of(s))


def frechet(a: Array, b: Array) -> float:
    """The squared Frechet distance of two sets of vectors (N, D), taken as normal. Heusel et al., NeurIPS 2017."""
    mean = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    spread_a, spread_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The trace of the root of a product of two covariances, by the root of one of them: always of a symmetric matrix.
    values, vectors = np.linalg.eigh(spread_a)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    both = np.linalg.eigvalsh(root @ spread_b @ root)
    return float(mean + np.trace(spread_a) + np.trace(spread_b) - 2 * np.sqrt(np.maximum(both, 0.0)).sum())


def r_precision(
    texts: Array, motions: Array, pools: Sequence[NDArray[np.intp]], k: int, counted: NDArray[np.bool_] | None = None
) -> float:
    """How often a motion's own text is among the ``k`` nearest of its pool's; vectors (N, D) of length 1.

    With ``counted`` (N,) only those motions are asked, each among all texts of its pool all the same.
    """
    hits: list[bool] = []
    for pool in pools:
        scores = motions[pool] @ texts[pool].T
        # Equal scores are counted against: a motion that is alike to all texts tells none.
        rank = (scores >= np.diagonal(scores)[:, None]).sum(axis=1)
        hits.extend((rank <= k)[slice(None) if counted is None else counted[pool]].tolist())
    return float(np.mean(hits)) if hits else 0.0


def coverage(real: Sequence[Clip], made: Sequence[Clip], window: int = 8, near: float = 0.35) -> float:
    """The share of the real clips' windows of poses that some made window is near to; all clips of one skeleton.

    As AnyTop has it (Gat et al., SIGGRAPH 2025): a window is covered where the mean distance of the joints' rotations,
    as 6D numbers, to its nearest made one is below ``near``.
    """
    seen, there = (np.concatenate([_windows(c, window) for c in clips]) for clips in (made, real))
    nearest = np.array([_distance(w, seen).min() for w in there])
    return float((nearest < near).mean())


def diversity(clips: Sequence[Clip], window: int = 8) -> tuple[float, float]:
    """(between, within): mean distances of windows of different clips and of one clip, as :func:`coverage` has them."""
    parts = [_windows(c, window) for c in clips]
    within = [float(_distance(w, p).sum() / (len(p) - 1)) for p in parts if len(p) > 1 for w in p]
    between = [
        float(_distance(w, np.concatenate(parts[:k] + parts[k + 1 :])).mean())
        for k, p in enumerate(parts)
        if len(parts) > 1
        for w in p
    ]
    return (float(np.mean(between)) if between else 0.0, float(np.mean(within)) if within else 0.0)


def _windows(clip: Clip, n: int) -> Array:
    """(W, n, J, 6), half overlapping."""
    turns = encode(clip).joints[..., ROTATION]
    n = min(n, len(turns))
    starts = range(0, len(turns) - n + 1, max(1, n // 2))
    return np.stack([turns[s : s + n] for s in starts])


def _distance(one: Array, many: Array) -> Array:
    n = min(one.shape[0], many.shape[1])
    return np.asarray(np.linalg.norm(many[:, :n] - one[:n], axis=-1).mean(axis=(1, 2)))
