"""Measures of motion, in units of the rig's size, and of sets of motions; tables with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from anyrig.features import ROTATION, encode, size_of
from anyrig.generation.corrections import feet
from anyrig.rotations import Array
from anyrig.skeleton import Clip

_STANDING = 0.02
"""Sizes over the ground below which a foot is taken to stand."""
Results = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]
"""Set -> method -> a row of measures for each seed."""

# Two-sided 95 % points of Student's t by degrees of freedom.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def energy(clip: Clip) -> float:
    """The mean speed of the joints in the world, sizes a second: nothing for a still pose."""
    positions = clip.world()[0] / size_of(clip.skeleton)
    if clip.n_frames < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=-1).mean() * clip.fps)


def foot_skate(clip: Clip) -> float:
    """The mean speed over the ground of feet that are on it, sizes a second; 0 where there are none."""
    ends = list(feet(clip.skeleton))
    if not ends or clip.n_frames < 2:
        return 0.0
    positions = clip.world()[0][:, ends] / size_of(clip.skeleton)
    low = (positions[1:, :, 1] < _STANDING) & (positions[:-1, :, 1] < _STANDING)
    speed = np.linalg.norm(np.diff(positions, axis=0)[..., [0, 2]], axis=-1) * clip.fps
    return float(speed[low].mean()) if low.any() else 0.0


def penetration(clip: Clip) -> float:
    """The mean depth of the lowest joint under the ground, sizes."""
    return float(np.maximum(-clip.world()[0][..., 1].min(axis=1), 0.0).mean() / size_of(clip.skeleton))


def jerk(clip: Clip) -> float:
    """The mean third derivative of the joints' positions, sizes a second cubed."""
    if clip.n_frames < 4:
        return 0.0
    positions = clip.world()[0] / size_of(clip.skeleton)
    return float(np.linalg.norm(np.diff(positions, n=3, axis=0), axis=-1).mean() * clip.fps**3)


def bone_length_error(clip: Clip) -> float:
    """How much a bone's length differs from the rest pose's at most, as a share of the size."""
    s = clip.skeleton
    joints = [j for j, p in enumerate(s.parents) if p >= 0]
    if not joints:
        return 0.0
    positions = clip.world()[0]
    bones = positions[:, joints] - positions[:, [s.parents[j] for j in joints]]
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


def interval(values: Sequence[float]) -> tuple[float, float]:
    """(mean, half the width of its 95 % interval over seeds); the width is not a number for a single value."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, math.nan
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, _T95[min(n - 2, len(_T95) - 1)] * spread / math.sqrt(n)


def table(results: Results) -> str:
    """Markdown, one table a set."""
    parts = []
    for name, methods in results.items():
        columns = list(dict.fromkeys(c for rows in methods.values() for row in rows for c in row))
        lines = [f"### {name}", "", f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
        for method, rows in methods.items():
            cells = [_cell([row[c] for row in rows if c in row]) for c in columns]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean, half = interval(values)
    return f"{mean:.3g}" if math.isnan(half) else f"{mean:.3g} ± {half:.2g}"
