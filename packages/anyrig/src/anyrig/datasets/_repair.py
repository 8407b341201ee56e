"""Making one tree of the bones that an animator left in several.

Game rigs come with helpers baked in: feet that hang on the world because inverse kinematics moved them, targets that
point knees, control bones that carry no vertex. All functions keep the world motion of every joint they keep, except
:func:`rigid`, which says what it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

WEIGHTLESS = 0.002
"""A joint that carries less than this share of the mesh carries nothing to speak of."""


def rehung(clip: Clip, kept: Sequence[int], parents: Sequence[int]) -> Clip:
    """The joints ``kept`` with other parents (-1 for none), at rest and in motion where they were in the world.

    ``parents`` has one for each of ``kept``; both count joints as ``clip`` does, in any order that makes a forest.
    """
    s = clip.skeleton
    order = parents_first(kept, parents)
    parent_of = dict(zip(kept, parents, strict=True))
    at = {j: n for n, j in enumerate(order)}
    above = tuple(at[parent_of[j]] if parent_of[j] >= 0 else -1 for j in order)
    forest = Skeleton(tuple(s.names[j] for j in order), above, np.zeros((len(order), 3)))
    rest, offsets = forest.local(s.rest_positions()[order], s.rest_world()[order])
    positions, turns = clip.world()
    rotations, translations = forest.local(positions[:, order], turns[:, order])
    skeleton = replace(forest, offsets=offsets, rest=rest)
    return replace(clip, skeleton=skeleton, rotations=rotations, translations=translations)


def parents_first(kept: Sequence[int], parents: Sequence[int]) -> list[int]:
    """``kept`` as one goes down the tree, children in their old order: the order in which :func:`rehung` has them."""
    below: dict[int, list[int]] = {}
    for j, parent in sorted(zip(kept, parents, strict=True)):
        below.setdefault(parent, []).append(j)
    order, todo = [], list(reversed(below.get(-1, [])))
    while todo:
        order.append(todo.pop())
        todo += reversed(below.get(order[-1], []))
    return order


def one_tree(
    clips: Sequence[Clip], weights: Array, trunk_names: Sequence[str]
) -> tuple[list[int], list[int], list[int]]:
    """How to make one tree of the joints of ``clips``: (kept, parents, hung), the first two for :func:`rehung`.

    Joints that carry nothing and have nothing below them that does are dropped, and so is a root that carries nothing.
    Of the trees that are left, the one whose root has the first of ``trunk_names``, else the largest, is the trunk.
    Each other is hung on the joint that it moves with best over all clips: a foot that inverse kinematics moved, on its
    lower leg. ``hung`` has their roots.
    """
    skeleton = clips[0].skeleton
    kept = _carrying(skeleton, weights)
    parents = {j: skeleton.parents[j] for j in kept}
    _drop_hub(kept, parents, weights)
    trees = [j for j in kept if parents[j] < 0]
    trunk = _trunk(skeleton, kept, parents, trees, trunk_names)
    hung = _hang(clips, kept, parents, [j for j in trees if j != trunk])
    _drop_stem(kept, parents, weights)
    return kept, [parents[j] for j in kept], hung


def _carrying(skeleton: Skeleton, weights: Array) -> list[int]:
    """The joints that carry something or have something below them that does; all, where none does."""
    total = weights.copy()
    for j in reversed(range(skeleton.n_joints)):
        if skeleton.parents[j] >= 0:
            total[skeleton.parents[j]] += total[j]
    return [j for j in range(skeleton.n_joints) if total[j] > 1e-9 * weights.sum() or not weights.any()]


def _drop_hub(kept: list[int], parents: dict[int, int], weights: Array) -> None:
    """Takes away a single root that carries nothing and has several trees on it, which then have roots of their own."""
    roots = [j for j in kept if parents[j] < 0]
    below = [j for j in kept if parents[j] == roots[0]]
    if len(roots) == 1 and len(below) > 1 and _is_empty(roots[0], weights):
        kept.remove(roots[0])
        parents.update(dict.fromkeys(below, -1))


def _drop_stem(kept: list[int], parents: dict[int, int], weights: Array) -> None:
    """Takes away roots that carry nothing, as long as they have a single child."""
    while True:
        root = next(j for j in kept if parents[j] < 0)
        below = [j for j in kept if parents[j] == root]
        if len(below) != 1 or not _is_empty(root, weights):
            return
        kept.remove(root)
        parents[below[0]] = -1


def _is_empty(joint: int, weights: Array) -> bool:
    return bool(weights.any() and weights[joint] <= WEIGHTLESS * weights.sum())


def _trunk(skeleton: Skeleton, kept: list[int], parents: dict[int, int], trees: list[int], names: Sequence[str]) -> int:
    for name in names:
        for j in trees:
            if skeleton.names[j].lower() == name:
                return j
    tops = [_top(parents, j) for j in kept]
    return max(trees, key=tops.count)


def _top(parents: dict[int, int], joint: int) -> int:
    """The root of the tree that ``joint`` is in."""
    while parents[joint] >= 0:
        joint = parents[joint]
    return joint


def _hang(clips: Sequence[Clip], kept: list[int], parents: dict[int, int], loose: list[int]) -> list[int]:
    """Sets the parents of the ``loose`` roots, the surest first; returns them in that order."""
    world = [c.world() for c in clips]
    positions = np.concatenate([p for p, _ in world])
    rotations = np.concatenate([r for _, r in world])
    hung: list[int] = []
    while len(hung) < len(loose):
        tree = [k for k in kept if _top(parents, k) not in loose]
        choices = [(_play(positions, rotations, j, k), j, k) for j in loose if j not in hung for k in tree]
        _, joint, parent = min(choices)
        parents[joint] = parent
        hung.append(joint)
    return hung


def _play(positions: Array, rotations: Array, joint: int, parent: int) -> float:
    """How badly ``joint`` goes along with ``parent``: by how much it moves in that one's frame, in metres.

    The 90th percentile of its distance from its median place there; a hundredth of that place's distance from the
    parent decides between joints that do not move against one another.
    """
    local = rot.rotate(rot.inverse(rotations[:, parent]), positions[:, joint] - positions[:, parent])
    middle = np.median(local, axis=0)
    away = np.percentile(np.linalg.norm(local - middle, axis=-1), 90)
    return float(away + 0.01 * np.linalg.norm(middle))


def rigid(clip: Clip, reach: Sequence[int] = ()) -> Clip:
    """The clip with every joint but the root at its offset, as formats and models that know rotations only need it.

    What that moves is mended where it shows most: the joints ``reach``, feet for example, are brought back to where
    they were by bending the two bones above them, as far as those reach, and keep their world rotation.
    """
    positions, rotations = clip.world()
    still = clip.translations.copy()
    below = [j for j, parent in enumerate(clip.skeleton.parents) if parent >= 0]
    still[:, below] = clip.skeleton.offsets[below]
    clip = replace(clip, translations=still)
    for joint in reach:
        lower = clip.skeleton.parents[joint]
        if lower >= 0 and clip.skeleton.parents[lower] >= 0:
            clip = _reaching(clip, joint, positions[:, joint], rotations[:, joint])
    return clip


def _reaching(clip: Clip, joint: int, target: Array, facing: Array) -> Clip:
    """``joint`` at ``target`` (T, 3), turned as ``facing`` (T, 4), by the two bones above it.

    FABRIK (Aristidou and Lasenby, Graphical Models 2011) on the three points; it stays near the bend that there is.
    """
    s = clip.skeleton
    lower = s.parents[joint]
    upper = s.parents[lower]
    world, turns = clip.world()
    hip, knee, foot = world[:, upper], world[:, lower], world[:, joint]
    long, short = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (knee - hip, foot - knee))
    bent, end = knee, foot
    for _ in range(16):
        end = target
        bent = _at(end, bent, short)
        bent = _at(hip, bent, long)
        end = _at(bent, target, short)
    upper_w = rot.multiply(rot.between(knee - hip, bent - hip), turns[:, upper])
    carried = rot.multiply(rot.between(knee - hip, bent - hip), turns[:, lower])
    swung = rot.rotate(rot.between(knee - hip, bent - hip), foot - knee)
    lower_w = rot.multiply(rot.between(swung, end - bent), carried)
    rotations = clip.rotations.copy()
    above = turns[:, s.parents[upper]] if s.parents[upper] >= 0 else rot.identity(clip.n_frames)
    rotations[:, upper] = rot.multiply(rot.inverse(above), upper_w)
    rotations[:, lower] = rot.multiply(rot.inverse(upper_w), lower_w)
    rotations[:, joint] = rot.multiply(rot.inverse(lower_w), facing)
    return replace(clip, rotations=rotations)


def _at(centre: Array, towards: Array, distance: Array) -> Array:
    """The point at ``distance`` from ``centre`` in the direction of ``towards``."""
    away = towards - centre
    return np.asarray(centre + away * distance / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-12))


def settled(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with a joint that keeps one and the same translation in all of them resting there.

    Where rest pose and clips were authored apart, offsets otherwise disagree with every frame there is.
    """
    skeleton = clips[0].skeleton
    translations = np.concatenate([c.translations for c in clips])
    middle = np.median(translations, axis=0)
    steady = np.linalg.norm(translations - middle, axis=-1).max(axis=0) < 1e-4 * extent(skeleton)
    steady[list(skeleton.roots)] = False
    offsets = np.where(steady[:, None], middle, skeleton.offsets)
    rested = replace(skeleton, offsets=offsets)
    return [replace(c, skeleton=rested, translations=np.where(steady[:, None], offsets, c.translations)) for c in clips]
