"""Rig augmentation: other bone lengths, more or fewer joints, another rest pose, with the motion kept.

After "How to Move Your Dragon" (arXiv 2503.04257), which augments rigs in these ways. ``W_j(t)`` is a joint's world
rotation, ``o_j`` its offset in its parent's frame.

| function | changes | keeps |
|---|---|---|
| :func:`scale_bones` | lengths, and with them the root's height and speed | every bone's direction in every frame |
| :func:`split_joint` | one more joint, on the bone to another | every other joint's world motion |
| :func:`remove_joint` | one joint fewer | every other joint's world motion |
| :func:`change_rest` | the rest pose | all world motion |
| :func:`anyrig.conform.reframed` | the joints' own axes | rest positions and all world positions |
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from anyrig import rotations as rot
from anyrig.conform import extent, reframed
from anyrig.errors import SettingsError, SkeletonError
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

_LOW = 0.05
"""A root at most this share of the skeleton's size above the lowest joint has no legs."""
_SIDE = re.compile(
    r"(?<![A-Za-z])(?i:left|right|[lr])(?![A-Za-z])"  # a word of its own: Leg.L, r_thigh, Bip01 L Thigh
    r"|(?<![A-Za-z])(?:Left|Right)(?=[A-Z])|(?<=[a-z])(?:Left|Right)(?![a-z])"  # LeftArm, armLeft
)


def scale_bones(clip: Clip, factors: ArrayLike) -> Clip:
    """Scales every joint's distance from its parent; ``factors`` is one number or (J,), all above zero.

    Rotations and the directions of bones are unchanged. A root's translation is scaled by the change of its height
    above the lowest joint at rest (of the total length where it has no such height), so that feet stay near the ground
    y = 0 and strides fit the legs.
    """
    s = clip.skeleton
    scale = np.broadcast_to(np.asarray(factors, dtype=np.float64), (s.n_joints,)).copy()
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise SettingsError("a bone's length is scaled by a number above zero")
    roots = list(s.roots)
    scale[roots] = 1.0
    longer = replace(s, offsets=s.offsets * scale[:, None])
    scale[roots] = _leg_ratio(s, longer)
    longer = replace(s, offsets=s.offsets * scale[:, None])
    return replace(clip, skeleton=longer, translations=clip.translations * scale[:, None])


def _leg_ratio(before: Skeleton, after: Skeleton) -> float:
    """The ratio of leg lengths, or of total lengths where there are no legs."""
    heights = []
    for skeleton in (before, after):
        y = skeleton.rest_positions()[:, 1]
        heights.append(float(y[skeleton.main_root] - y.min()))
    if heights[0] > _LOW * extent(before) and heights[1] > 0:
        return heights[1] / heights[0]
    below = [j for j, p in enumerate(before.parents) if p >= 0]
    lengths = [float(np.linalg.norm(s.offsets[below], axis=-1).sum()) for s in (before, after)]
    return lengths[1] / lengths[0] if lengths[0] > 0 else 1.0


def split_joint(clip: Clip, joint: int, at: float = 0.5, name: str | None = None) -> Clip:
    """Inserts a joint, at the index of ``joint``, on the bone to ``joint`` at the share ``at`` of its length.

    The new joint does not turn against its parent, so that all other joints move as before. Its ``name`` defaults to
    its parent's with ``_mid``. Raises SkeletonError for a root, and SettingsError for a share outside 0 to 1.
    """
    s = clip.skeleton
    _refuse_root(s, joint, "split")
    if not 0.0 < at < 1.0:
        raise SettingsError(f"a bone is split at a share between 0 and 1, not at {at}")
    parent = s.parents[joint]
    shifted = [p if p < joint else p + 1 for p in s.parents]
    shifted[joint] = joint
    new = name if name is not None else f"{s.names[parent]}_mid"
    offsets = np.insert(s.offsets, joint, at * s.offsets[joint], axis=0)
    translations = np.insert(clip.translations, joint, at * clip.translations[:, joint], axis=1)
    offsets[joint + 1] *= 1.0 - at
    translations[:, joint + 1] *= 1.0 - at
    skeleton = Skeleton(
        (*s.names[:joint], new, *s.names[joint:]),
        (*shifted[:joint], parent, *shifted[joint:]),
        offsets,
        np.insert(s.rest, joint, rot.IDENTITY, axis=0),
    )
    rotations = np.insert(clip.rotations, joint, rot.IDENTITY, axis=1)
    return replace(clip, skeleton=skeleton, rotations=rotations, translations=translations)


def remove_joint(clip: Clip, joint: int) -> Clip:
    """The clip without ``joint``, whose children hang on its parent and keep their motion in the world.

    ``r'_c = r_j r_c`` and ``t'_c = t_j + r_j(t_c)``, at rest and in every frame. Where the joint turned, its children's
    translations change over time; :func:`stretch` measures it. Raises SkeletonError for a root.
    """
    s = clip.skeleton
    _refuse_root(s, joint, "removed")
    children, parent = list(s.children[joint]), s.parents[joint]
    offsets, rest = s.offsets.copy(), s.rest.copy()
    translations, rotations = clip.translations.copy(), clip.rotations.copy()
    offsets[children] = s.offsets[joint] + rot.rotate(s.rest[joint], s.offsets[children])
    rest[children] = rot.multiply(s.rest[joint], s.rest[children])
    turn, move = clip.rotations[:, joint, None], clip.translations[:, joint, None]
    translations[:, children] = move + rot.rotate(turn, clip.translations[:, children])
    rotations[:, children] = rot.multiply(turn, clip.rotations[:, children])
    kept = [j for j in range(s.n_joints) if j != joint]
    parents = [parent if s.parents[j] == joint else s.parents[j] for j in kept]
    skeleton = Skeleton(
        tuple(s.names[j] for j in kept),
        tuple(p if p < joint else p - 1 for p in parents),
        offsets[kept],
        rest[kept],
    )
    return replace(clip, skeleton=skeleton, rotations=rotations[:, kept], translations=translations[:, kept])


def stretch(clip: Clip) -> Array:
    """The largest distance of each joint's translation from its offset, as a share of the offset's length, (J,).

    Lengths are at least a hundredth of the skeleton's size. Zero for roots, and for joints that only turn.
    """
    s = clip.skeleton
    away = np.linalg.norm(clip.translations - s.offsets, axis=-1).max(axis=0)
    away[list(s.roots)] = 0.0
    return np.asarray(away / np.maximum(np.linalg.norm(s.offsets, axis=-1), 0.01 * extent(s)))


def change_rest(clip: Clip, rest: ArrayLike) -> Clip:
    """The same motion of a skeleton with the local rest rotations ``rest`` (J, 4).

    A clip's rotations replace the rest pose's and are unchanged; their turns away from rest change.
    :func:`anyrig.conform.reframed` changes the joints' axes.
    """
    return replace(clip, skeleton=replace(clip.skeleton, rest=np.asarray(rest, dtype=np.float64)))


def _refuse_root(skeleton: Skeleton, joint: int, what: str) -> None:
    if not 0 <= joint < skeleton.n_joints:
        raise SkeletonError(f"there is no joint {joint} among {skeleton.n_joints}")
    if skeleton.parents[joint] < 0:
        raise SkeletonError(f"{skeleton.names[joint]!r} is a root, which cannot be {what}")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The ranges of :func:`augment`.

    ``lengths`` bounds the factors of bone lengths, ``size`` that of the whole body. Up to ``n_splits`` bones are split
    and up to ``n_removals`` joints removed, those that stretch no bone by more than ``max_stretch``. The rest pose
    turns by about ``rest_rad`` at each joint, and with ``axes`` the joints' own axes become arbitrary.
    """

    lengths: tuple[float, float] = (0.8, 1.2)
    size: tuple[float, float] = (1.0, 1.0)
    n_splits: int = 3
    n_removals: int = 3
    max_stretch: float = 0.02
    rest_rad: float = math.radians(10)
    axes: bool = False


def augment(clip: Clip, rng: np.random.Generator, settings: Augmentation | None = None) -> Clip:
    """One random variation of the clip's rig with its motion, the same for the same ``rng`` state.

    Mirrored bones (by left and right in their names) get the same length.
    """
    settings = settings or Augmentation()
    drawn: dict[str, float] = {}
    factors = [drawn.setdefault(sideless(n), float(rng.uniform(*settings.lengths))) for n in clip.skeleton.names]
    clip = scale_bones(clip, np.array(factors) * rng.uniform(*settings.size))
    for _ in range(int(rng.integers(0, settings.n_splits + 1))):
        clip = _with_split(clip, rng)
    for _ in range(int(rng.integers(0, settings.n_removals + 1))):
        clip = _with_removal(clip, rng, settings.max_stretch)
    if settings.rest_rad > 0:
        turns = rot.from_rotvec(rng.normal(scale=settings.rest_rad / math.sqrt(3), size=(clip.skeleton.n_joints, 3)))
        turns[list(clip.skeleton.roots)] = rot.IDENTITY  # a creature's orientation is not part of its rig
        clip = change_rest(clip, rot.multiply(clip.skeleton.rest, turns))
    return reframed(clip, rot.random(rng, clip.skeleton.n_joints)) if settings.axes else clip


def sideless(name: str) -> str:
    """A joint's name with ``*`` for left or right: equal for a joint and its mirror image.

    >>> sideless("Leg.L") == sideless("Leg.R"), sideless("LeftArm") == sideless("RightArm"), sideless("Rib")
    (True, True, 'Rib')
    """
    return _SIDE.sub("*", name)


def _with_split(clip: Clip, rng: np.random.Generator) -> Clip:
    s = clip.skeleton
    shortest = 0.02 * extent(s)
    bones = [j for j, p in enumerate(s.parents) if p >= 0 and np.linalg.norm(s.offsets[j]) > shortest]
    return split_joint(clip, int(rng.choice(bones)), float(rng.uniform(0.3, 0.7))) if bones else clip


def _with_removal(clip: Clip, rng: np.random.Generator, max_stretch: float) -> Clip:
    """The clip without a random joint whose removal stretches little, with the bones below it made rigid again."""
    s = clip.skeleton
    before = stretch(clip)
    for j in rng.permutation([j for j, p in enumerate(s.parents) if p >= 0]).tolist():
        less = remove_joint(clip, j)
        below = [c - 1 for c in s.children[j]]
        if s.n_joints > 2 and np.all(stretch(less)[below] <= max(max_stretch, before[j])):
            if before[j] > max_stretch:
                return less
            translations = less.translations.copy()
            translations[:, below] = less.skeleton.offsets[below]
            return replace(less, translations=translations)
    return clip
