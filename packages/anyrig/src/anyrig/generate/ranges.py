"""How far each joint of a rig turns in the clips that came with it, and motion kept to that.

What a model makes up for joints that no clip moves, such as the feathers of a wing, folds them over and stretches the
mesh between them. Clips that an animator made say how far a joint goes; the fewer they are, the less they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

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


@dataclass(frozen=True, eq=False)
class Ranges:
    """``middle`` (J, 4): the local rotation about which a joint moves; ``shown`` (J,): how far its clips take it from
    there, and ``most`` (J,): how far it may go, in radians."""

    middle: Array
    shown: Array
    most: Array


def learned(clips: Sequence[Clip]) -> Ranges | None:
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
    return Ranges(middle, shown, most)


def _stem(skeleton: Skeleton) -> list[int]:
    found = []
    for root in skeleton.roots:
        chain = [root]
        while len(skeleton.children[chain[-1]]) == 1:
            chain.append(skeleton.children[chain[-1]][0])
        found += chain if len(chain) <= _STEM else chain[:1]  # a snake's or a tail's bones are no such joints
    return found


def kept(clip: Clip, ranges: Ranges) -> Clip:
    """The clip with every joint within its range, and each as near to where it was turned in the world as that allows.

    What is within what the clips have shown stays as it is; beyond, a joint slows down towards its limit.
    """
    s = clip.skeleton
    wanted = s.world(clip.rotations, clip.translations)[1]
    world, local = wanted.copy(), clip.rotations.copy()
    for level in s.levels[1:]:
        j, parent = list(level), [s.parents[k] for k in level]
        turn = rot.multiply(rot.inverse(world[:, parent]), wanted[:, j])
        away = rot.angle(turn, ranges.middle[j])
        share = _held(away, ranges.shown[j], ranges.most[j]) / np.maximum(away, 1e-12)
        turn = np.where((share < 1.0)[..., None], rot.slerp(ranges.middle[j], turn, share), turn)
        local[:, j], world[:, j] = turn, rot.multiply(world[:, parent], turn)
    return replace(clip, rotations=rot.continuous(local))


def _held(angle: Array, shown: Array, most: Array) -> Array:
    """The angle that is left of each of ``angle`` (T, J): as it is up to ``shown``, never beyond ``most``."""
    room = np.where(np.isfinite(most), most - shown, 1.0)
    beyond = np.maximum(angle - shown, 0.0)
    held = np.minimum(angle, shown) + room * np.tanh(beyond / room)
    held *= np.where(angle > _OVER, (np.pi - angle) / (np.pi - _OVER), 1.0)
    return np.asarray(np.where(np.isfinite(most), held, angle))
