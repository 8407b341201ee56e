"""Skeletons in the form that all readers of BVH agree on, and back: one ROOT, and joints that only turn.

Programs differ in what a position channel means where a joint has an OFFSET as well: Blender and bvhio let it replace
the OFFSET, three.js adds the two, pybvh refuses it on anything but the ROOT. They agree where the OFFSET is zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

STILL = 1e-7
"""A joint within this share of the skeleton's size of its offset does not move: float32 resolves no less."""
FIXED = 1e-6
"""A root that stays within this share of the size of its place in a joint's frame is fixed to that joint."""
MOVE = "_move"
"""Ends the name of a joint that moves the one below it."""
END = "_end"
"""Ends the name of a joint that stands for an End Site."""
STUB = 0.37
"""Length of the End Site of a last bone that has none of its own, as a share of the bone."""
_SHORTEST = 0.02  # the same, at least, as a share of the skeleton's size
# Blanks end a name in most readers; the others are separators to three.js, or braces.
_RESERVED = re.compile(r"[\s\x00-\x20\x7f\ufeff{}\[\]:/]+")
_PROPERTY = re.compile(r"\.(?=(?:materials?|bones|map)$)|^\.+$")  # "x.map" is the map of x to three.js, "." the root


def moving(clip: Clip) -> list[bool]:
    """For each joint whether its translation changes or is not its offset; roots always move."""
    s = clip.skeleton
    away = np.abs(clip.translations - s.offsets).max(axis=(0, 2)) > STILL * extent(s)
    return [parent < 0 or bool(away[j]) for j, parent in enumerate(s.parents)]


def one_tree(clip: Clip) -> Clip:
    """The same motion in the world with all roots but the main one hung on joints of its tree.

    A root goes to the nearest joint that it stays with as if it were fixed to it, and to the main root where there is
    none. Rest rotations have to be identities.
    """
    s = clip.skeleton
    if len(s.roots) == 1:
        return clip
    parents, held = list(s.parents), []
    for root, joint, fixed in _hangers(clip):
        parents[root] = joint
        held += [root] if fixed else []
    order = _depth_first(parents)
    at = {j: n for n, j in enumerate(order)}
    above = tuple(at[parents[j]] if parents[j] >= 0 else -1 for j in order)
    tree = Skeleton(tuple(s.names[j] for j in order), above, np.zeros((s.n_joints, 3)))
    _, offsets = tree.local(s.rest_positions()[order], rot.identity(s.n_joints))
    positions, turns = clip.world()
    rotations, translations = tree.local(positions[:, order], turns[:, order])
    translations[:, [at[root] for root in held]] = offsets[[at[root] for root in held]]
    return replace(clip, skeleton=replace(tree, offsets=offsets), rotations=rotations, translations=translations)


def _hangers(clip: Clip) -> Iterator[tuple[int, int, bool]]:
    """(root, joint, fixed) for each root but the main one: the joint to hang it on, and whether it is fixed to it."""
    s, least = clip.skeleton, FIXED * extent(clip.skeleton)
    top: list[int] = []  # the root above each joint
    for j, parent in enumerate(s.parents):
        top.append(j if parent < 0 else top[parent])
    tree = [j for j in range(s.n_joints) if top[j] == s.main_root]
    left = [root for root in s.roots if root != s.main_root]
    rest = s.rest_positions()
    positions, turns = clip.world()
    while left:
        hung, on = left[0], -1
        for root in left:
            apart = rest[root] - rest[tree]
            seen = rot.rotate(rot.inverse(turns[:, tree]), positions[:, [root]] - positions[:, tree])
            fixed = np.abs(seen - apart).max(axis=(0, 2)) <= least
            if fixed.any():
                hung, on = root, tree[int(np.where(fixed, np.linalg.norm(apart, axis=-1), np.inf).argmin())]
                break
        yield hung, on if on >= 0 else s.main_root, on >= 0
        left.remove(hung)
        tree += [j for j in range(s.n_joints) if top[j] == hung]


def _depth_first(parents: list[int]) -> list[int]:
    below: dict[int, list[int]] = {}
    for j, parent in enumerate(parents):
        below.setdefault(parent, []).append(j)
    order, todo = [], list(reversed(below[-1]))
    while todo:
        order.append(todo.pop())
        todo += reversed(below.get(order[-1], []))
    return order


def with_movers(clip: Clip) -> Clip:
    """The clip with a joint above each one that moves against its parent, which does the moving in its place.

    It is called after that joint with :data:`MOVE` at the end, rests where the parent is and does not turn, so that
    every joint with position channels has an OFFSET of zero and every other one keeps its own.
    """
    s = clip.skeleton
    moves = [j for j, moved in enumerate(moving(clip)) if moved and s.parents[j] >= 0]
    if not moves:
        return clip
    rows: list[tuple[int, bool]] = []  # each old joint, and before one that moves its mover
    new = {}
    for j in range(s.n_joints):
        if j in moves:
            rows.append((j, True))
        new[j] = len(rows)
        rows.append((j, False))
    parents = [new[j] - 1 if j in moves and not mover else _at(new, s.parents[j]) for j, mover in rows]
    old = [j for j, _ in rows]
    movers = [n for n, (_, mover) in enumerate(rows) if mover]
    moved = [new[j] for j in moves]
    offsets, translations, rotations = s.offsets[old], clip.translations[:, old], clip.rotations[:, old]
    offsets[movers] = 0.0
    rotations[:, movers] = rot.IDENTITY
    translations[:, movers] -= s.offsets[moves]
    translations[:, moved] = s.offsets[moves]
    names = tuple(s.names[j] + MOVE * mover for j, mover in rows)
    return replace(clip, skeleton=Skeleton(names, tuple(parents), offsets), rotations=rotations,
                   translations=translations)  # fmt: skip


def _at(new: dict[int, int], parent: int) -> int:
    return new[parent] if parent >= 0 else -1


def without_movers(skeleton: Skeleton, rotations: Array, translations: Array) -> tuple[Skeleton, Array, Array]:
    """The inverse of :func:`with_movers`: skeleton, rotations (T, J, 4) and translations (T, J, 3) without movers."""
    s, least = skeleton, STILL * extent(skeleton)
    gone = {}  # the mover of a joint
    for j, parent in enumerate(s.parents):
        if (
            parent >= 0
            and s.parents[parent] >= 0
            and s.names[parent] == s.names[j] + MOVE
            and s.children[parent] == (j,)
            and not np.any(s.offsets[parent])
            and np.abs(translations[:, j] - s.offsets[j]).max(initial=0.0) <= least
            and rot.angle(rotations[:, parent], rot.IDENTITY).max(initial=0.0) < 1e-9
        ):
            gone[j] = parent
    if not gone:
        return skeleton, rotations, translations
    kept = [j for j in range(s.n_joints) if j not in gone.values()]
    new = {j: n for n, j in enumerate(kept)}
    parents = tuple(_at(new, s.parents[gone.get(j, j)]) for j in kept)
    translations = translations.copy()
    for j, mover in gone.items():
        translations[:, j] += translations[:, mover]
    skeleton = Skeleton(tuple(s.names[j] for j in kept), parents, s.offsets[kept])
    return skeleton, rotations[:, kept], translations[:, kept]


def joints_extent(skeleton: Skeleton, ends: Sequence[bool]) -> float:
    """The skeleton's size without its End Sites: the longest side of the box around the others at rest, or 1."""
    at = skeleton.rest_positions()[~np.array(ends, dtype=bool)]
    return float(np.max(np.ptp(at, axis=0))) or 1.0


def stub(offset: Array, size: float) -> Array:
    """The End Site (3,) of a last bone that leads to ``offset``: it goes on in its direction, or up where it has none.

    ``size`` is that of the skeleton without End Sites.
    """
    length = float(np.linalg.norm(offset))
    if length <= 1e-6 * size:
        return np.array([0.0, _SHORTEST * size, 0.0])
    return np.asarray(offset / length * max(STUB * length, _SHORTEST * size))


def is_stub(end: Array, offset: Array, size: float) -> bool:
    """Whether an End Site is none of the rig's own but one that :func:`stub` made, to the digits that are written."""
    return bool(np.abs(end - stub(offset, size)).max() <= 1e-8 * size)


def plain_names(names: tuple[str, ...]) -> list[str]:
    """The names as every reader of BVH can bind them: without blanks, braces and separators, each once."""
    taken = {"ENDSITE"}  # what three.js calls an End Site
    result = []
    for j, name in enumerate(names):
        plain = _PROPERTY.sub("_", _RESERVED.sub("_", name.strip())) or f"joint_{j}"
        base, n = plain, 1
        while plain in taken:
            n += 1
            plain = f"{base}_{n}"
        taken.add(plain)
        result.append(plain)
    return result
