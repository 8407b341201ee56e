"""Legs and feet: found in a rig, set on the ground, kept in place while they stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.features import size_of
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

Bools = NDArray[np.bool_]

_REACH = 4
"""Bones of a leg that are bent at most, counted from its foot."""
_ROOT = 0.02
"""A joint so many sizes above the lowest one rests on the ground."""
_TAIL = 6
"""Bones of a tail or another limb that bend up from the ground at most."""
_EASE_S = 0.12
"""Seconds over which a correction of a foot fades in and out."""
_LOW = 0.12
"""Feet rest at most this share of the size above the lowest joint."""
_ROUNDS = 12


def feet(skeleton: Skeleton) -> tuple[int, ...]:
    """The feet: joints without a child, low at rest, at the end of a leg of at least two bones."""
    height = skeleton.rest_positions()[:, 1]
    low = height < height.min() + _LOW * size_of(skeleton)
    return tuple(
        j for j in range(skeleton.n_joints) if low[j] and not skeleton.children[j] and len(leg(skeleton, j)) >= 3
    )


def leg(skeleton: Skeleton, foot: int) -> tuple[int, ...]:
    """The joints from a hip to ``foot``: up to where limbs branch off, the main root, or ``_REACH`` bones."""
    chain = [foot]
    while len(chain) <= _REACH:
        parent = skeleton.parents[chain[-1]]
        if parent < 0 or parent in skeleton.roots:
            break
        if len(chain) > 1 and len(skeleton.children[parent]) > 1 and len(chain) >= 3:
            break
        chain.append(parent)
    return tuple(reversed(chain))


def lift(clip: Clip) -> Clip:
    """The clip without joints under the ground y = 0, but for a root that rests on it.

    It is raised, smoothly over time, by the depth of its trunk or of its highest foot; other feet, tails and necks bend
    up. What remains of the depth raises it too.
    """
    s = clip.skeleton
    solid = _solid(s)
    if clip.world()[0][:, solid, 1].min() >= 0:
        return clip
    legs, ends = [leg(s, foot) for foot in feet(s)], _ends(s)
    if legs:
        free = {j for chain in (*legs, *ends) for j in chain[1:]}
        heights = clip.world()[0][..., 1]
        body = heights[:, [j for j in solid if j not in free]].min(axis=1)
        clip = _raised(clip, -np.minimum(body, heights[:, [chain[-1] for chain in legs]].max(axis=1)))
        for chain in (*legs, *ends):
            at = clip.world()[0][:, list(chain[-2:])]
            depth = np.maximum(-at[..., 1].min(axis=1), 0.0)
            if depth.any():
                clip = _shifted(clip, chain, depth[:, None] * [0.0, 1.0, 0.0])
    return _raised(clip, -clip.world()[0][:, solid, 1].min(axis=1))


def _solid(skeleton: Skeleton) -> list[int]:
    """The joints without those that rest on the ground and carry all feet, which nothing is seen of."""
    height = skeleton.rest_positions()[:, 1]
    stand = feet(skeleton)
    carry = set.intersection(*({*skeleton.path(foot)} for foot in stand)) if stand else set()
    low = height < height.min() + _ROOT * size_of(skeleton)
    return [j for j in range(skeleton.n_joints) if j not in carry or not low[j]]


def _raised(clip: Clip, depth: Array) -> Clip:
    """The clip raised by at least ``depth`` (T,) where that is positive, smoothly over time."""
    depth = np.maximum(depth, 0.0)
    if not depth.any():
        return clip
    width = max(1, round(_EASE_S * clip.fps))
    held = np.array([depth[max(0, t - width) : t + width + 1].max() for t in range(len(depth))])
    padded = np.pad(held, width, mode="edge")
    smooth = np.convolve(padded, np.ones(2 * width + 1) / (2 * width + 1), mode="valid")
    translations = clip.translations.copy()
    translations[:, list(clip.skeleton.roots), 1] += np.maximum(smooth, depth)[:, None]
    return replace(clip, translations=translations)


def _ends(skeleton: Skeleton) -> list[tuple[int, ...]]:
    """Chains of at least two bones from where limbs branch off to their ends, none of them a foot's; none in a rig
    without feet."""
    found = []
    stand = feet(skeleton)
    on_legs = {j for foot in stand for j in skeleton.path(foot)}
    for j in range(skeleton.n_joints if stand else 0):
        if not skeleton.children[j] and j not in on_legs:
            chain = [j]
            while len(chain) <= _TAIL and len(skeleton.children[parent := skeleton.parents[chain[-1]]]) == 1:
                if parent in skeleton.roots or parent in on_legs:
                    break
                chain.append(parent)
            if len(chain) > 2:
                found.append(tuple(reversed(chain)))
    return found


def lock_feet(clip: Clip, contacts: Bools) -> Clip:
    """The clip with its feet fixed in place, at y >= 0, wherever ``contacts`` (T, J) is true.

    Legs bend; bones keep their lengths and feet their rotations. A foot beyond its leg's reach comes as near as
    possible.
    """
    for foot in feet(clip.skeleton):
        standing = _steady(contacts[:, foot], clip.fps)
        if standing.any():
            clip = _locked(clip, leg(clip.skeleton, foot), standing)
    return clip


def _steady(standing: Bools, fps: float) -> Bools:
    """``standing`` without gaps and stands shorter than a tenth of a second."""
    least = max(2, round(0.1 * fps))
    for value in (False, True):
        for start, stop in _runs(standing == value):
            if stop - start < least and (start > 0 and stop < len(standing)):
                standing = standing.copy()
                standing[start:stop] = not value
    return standing


def _runs(flags: Bools) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _locked(clip: Clip, chain: tuple[int, ...], standing: Bools) -> Clip:
    return _shifted(clip, chain, _corrections(clip.world()[0][:, chain[-1]], standing, clip.fps))


def _shifted(clip: Clip, chain: tuple[int, ...], way: Array) -> Clip:
    """The clip with the end of a chain moved by ``way`` (T, 3), or as near as it reaches; the end, and in a chain of
    more than two bones the last bone, keep their rotation in the world: a foot does not fold under its ankle."""
    chain = chain[:-1] if len(chain) > 3 else chain
    return bent(clip, chain, clip.world()[0][:, chain[-1]] + way)


def bent(clip: Clip, chain: tuple[int, ...], goal: Array) -> Clip:
    """The clip with the end of a chain at ``goal`` (T, 3), or as near as it reaches; the end keeps its rotation in the
    world."""
    positions, world = clip.world()
    before = positions[:, list(chain)]
    after = reach(before, goal)
    rotations = clip.rotations.copy()
    turned = world.copy()
    for k, j in enumerate(chain):
        if k < len(chain) - 1:  # the foot itself keeps its direction in the world
            bone, new = before[:, k + 1] - before[:, k], after[:, k + 1] - after[:, k]
            turned[:, j] = rot.multiply(rot.between(bone, new), world[:, j])
        parent = clip.skeleton.parents[j]
        rotations[:, j] = rot.multiply(rot.inverse(turned[:, parent]), turned[:, j]) if parent >= 0 else turned[:, j]
    return replace(clip, rotations=rot.continuous(rotations))


def _corrections(foot: Array, standing: Bools, fps: float) -> Array:
    """The displacement of a foot in each frame (T, 3): to its mean position while it stands, fading out around it."""
    out = np.zeros_like(foot)
    total = np.zeros(len(foot))
    ease = max(1, round(_EASE_S * fps))
    for start, stop in _runs(standing):
        place = foot[start:stop].mean(axis=0)
        place[1] = max(0.0, float(np.median(foot[start:stop, 1])))
        out[start:stop], total[start:stop] = place - foot[start:stop], 1.0
        for edge, step in ((start, -1), (stop - 1, 1)):
            for k in range(1, ease + 1):
                t = edge + step * k
                if not 0 <= t < len(foot) or standing[t]:
                    break
                weight = 0.5 + 0.5 * np.cos(np.pi * k / (ease + 1))
                out[t] += weight * (place - foot[edge])
                total[t] += weight
    return np.asarray(out / np.maximum(total, 1.0)[:, None])


def reach(chain: Array, goal: Array) -> Array:
    """Chains (T, n, 3) bent so that their ends are at ``goal`` (T, 3) or as near as possible, with lengths and starts
    kept.

    FABRIK: Aristidou and Lasenby, Graphical Models 2011.
    """
    lengths = np.linalg.norm(np.diff(chain, axis=1), axis=-1)
    start = chain[:, 0]
    way = goal - start
    far = np.linalg.norm(way, axis=-1)
    limit = 0.9995 * lengths.sum(axis=1)
    goal = start + way * np.minimum(1.0, limit / np.maximum(far, 1e-12))[:, None]
    points = chain.copy()
    for _ in range(_ROUNDS):
        points[:, -1] = goal
        for k in range(points.shape[1] - 2, -1, -1):
            points[:, k] = points[:, k + 1] + _scaled(points[:, k] - points[:, k + 1], lengths[:, k])
        points[:, 0] = start
        for k in range(points.shape[1] - 1):
            points[:, k + 1] = points[:, k] + _scaled(points[:, k + 1] - points[:, k], lengths[:, k])
    return points


def _scaled(vectors: Array, lengths: Array) -> Array:
    return np.asarray(vectors * (lengths / np.maximum(np.linalg.norm(vectors, axis=-1), 1e-12))[:, None])
