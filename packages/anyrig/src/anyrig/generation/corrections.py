"""Corrections of generated motion: feet that stand still, nothing under the ground, joints within limits.

What a model makes up for joints that no clip moves, such as the feathers of a wing, folds them over and stretches the
mesh between them. Clips that an animator made say how far a joint goes; the fewer they are, the less they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.features import size_of
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

Bools = NDArray[np.bool_]

_REACH = 4
"""Bones of a leg that give way at most, counted from its foot."""
_EASE_S = 0.12
"""Seconds over which a foot comes to its place and leaves it."""
_LOW = 0.12
"""Joints that rest higher than this share of the size over the lowest are no feet."""
_ROUNDS = 12
_STILL = np.radians(1.0)
"""A clip in which no joint turns by more is a pose, and says nothing of how far joints go."""
_LEAST, _ALONE = np.radians(30.0), np.radians(120.0)
"""Any joint may go this far with many clips to learn from, and with a single one; between them, by one over their
number."""
_SOFT = np.radians(6.0)
"""Over this much, at least, a joint comes to a stop at its limit."""
_STEM = 3
"""A root and the joints below it up to where limbs part, at most."""
_OVER = np.radians(150.0)
"""A turn beyond this goes back towards the middle: at 180 degrees, the nearest turn within a range jumps across it."""


def feet(skeleton: Skeleton) -> tuple[int, ...]:
    """Joints that may stand: those without a child, low at rest, that a leg of two bones at least leads to."""
    height = skeleton.rest_positions()[:, 1]
    low = height < height.min() + _LOW * size_of(skeleton)
    return tuple(
        j for j in range(skeleton.n_joints) if low[j] and not skeleton.children[j] and len(leg(skeleton, j)) >= 3
    )


def leg(skeleton: Skeleton, foot: int) -> tuple[int, ...]:
    """The joints from a hip to ``foot``: up to where other limbs spring off, the main root, or ``_REACH`` bones."""
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
    """The clip raised, smoothly over time, by as much as any joint is under the ground at y = 0."""
    depth = np.maximum(-clip.world()[0][..., 1].min(axis=1), 0.0)
    if not depth.any():
        return clip
    width = max(1, round(_EASE_S * clip.fps))
    held = np.array([depth[max(0, t - width) : t + width + 1].max() for t in range(len(depth))])
    padded = np.pad(held, width, mode="edge")
    smooth = np.convolve(padded, np.ones(2 * width + 1) / (2 * width + 1), mode="valid")
    translations = clip.translations.copy()
    translations[:, list(clip.skeleton.roots), 1] += np.maximum(smooth, depth)[:, None]
    return replace(clip, translations=translations)


def lock_feet(clip: Clip, contacts: Bools) -> Clip:
    """The clip with its feet still, at y >= 0, wherever ``contacts`` (T, J) says that they stand.

    Legs bend to let them; bones keep their lengths and feet their directions. A foot that its leg cannot reach is
    brought as near as the leg goes.
    """
    for foot in feet(clip.skeleton):
        standing = _steady(contacts[:, foot], clip.fps)
        if standing.any():
            clip = _locked(clip, leg(clip.skeleton, foot), standing)
    return clip


def _steady(standing: Bools, fps: float) -> Bools:
    """Without gaps and stands shorter than a tenth of a second."""
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
    positions, world = clip.world()
    foot = positions[:, chain[-1]]
    goal = foot + _corrections(foot, standing, clip.fps)
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
    """How far the foot has to move in each frame (T, 3): to its stand's place, fading out on both sides of it."""
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
    """Chains (T, n, 3) bent so that their ends are at ``goal`` (T, 3) or as near as can be; lengths and starts stay.

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


@dataclass(frozen=True, eq=False)
class JointLimits:
    """``middle`` (J, 4): the local rotation about which a joint moves; ``shown`` (J,): how far its clips take it from
    there, and ``most`` (J,): how far it may go, in radians."""

    middle: Array
    shown: Array
    most: Array


def learn_limits(clips: Sequence[Clip]) -> JointLimits | None:
    """The ranges in ``clips``, which are of one skeleton; None where nothing turns in them.

    Roots, and a joint or two that lead from one to where limbs part, turn the whole body: they have no limit.
    """
    n = sum(bool(rot.angle(c.rotations, c.rotations[:1]).max() > _STILL) for c in clips)
    if n == 0:
        return None
    q = np.concatenate([c.rotations for c in clips])
    # The mean rotation: Markley et al., Averaging quaternions, JGCD 2007.
    middle = np.linalg.eigh(np.einsum("tja,tjb->jab", q, q))[1][..., -1]
    shown = rot.angle(q, middle).max(axis=0)
    most = np.maximum(shown + _SOFT, max(_LEAST, _ALONE / n))
    most[most > _OVER] = np.inf
    most[_stem(clips[0].skeleton)] = np.inf
    return JointLimits(middle, shown, most)


def _stem(skeleton: Skeleton) -> list[int]:
    found = []
    for root in skeleton.roots:
        chain = [root]
        while len(skeleton.children[chain[-1]]) == 1:
            chain.append(skeleton.children[chain[-1]][0])
        found += chain if len(chain) <= _STEM else chain[:1]  # a snake's or a tail's bones are no such joints
    return found


def limit_joints(clip: Clip, limits: JointLimits) -> Clip:
    """The clip with every joint within its range, and each as near to where it was turned in the world as that allows.

    What is within what the clips have shown stays as it is; beyond, a joint slows down towards its limit.
    """
    s = clip.skeleton
    wanted = s.world(clip.rotations, clip.translations)[1]
    world, local = wanted.copy(), clip.rotations.copy()
    for level in s.levels[1:]:
        j, parent = list(level), [s.parents[k] for k in level]
        turn = rot.multiply(rot.inverse(world[:, parent]), wanted[:, j])
        away = rot.angle(turn, limits.middle[j])
        share = _held(away, limits.shown[j], limits.most[j]) / np.maximum(away, 1e-12)
        turn = np.where((share < 1.0)[..., None], rot.slerp(limits.middle[j], turn, share), turn)
        local[:, j], world[:, j] = turn, rot.multiply(world[:, parent], turn)
    return replace(clip, rotations=rot.continuous(local))


def _held(angle: Array, shown: Array, most: Array) -> Array:
    """The angle that is left of each of ``angle`` (T, J): as it is up to ``shown``, never beyond ``most``."""
    room = np.where(np.isfinite(most), most - shown, 1.0)
    beyond = np.maximum(angle - shown, 0.0)
    held = np.minimum(angle, shown) + room * np.tanh(beyond / room)
    held *= np.where(angle > _OVER, (np.pi - angle) / (np.pi - _OVER), 1.0)
    return np.asarray(np.where(np.isfinite(most), held, angle))
