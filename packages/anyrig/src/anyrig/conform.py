"""Brings clips to a unit, up axis, joint frames, loop or joint tree.

Game rigs often have joints whose parent does not carry them: feet that hang on the root because inverse kinematics
moved them, pole targets, control bones without vertices. Turning the leg of such a rig without its foot tears the mesh.
:func:`find` determines the joint that carries each such joint, :func:`whole` makes one tree of them, and :func:`spread`
takes motion of that tree back to all joints of the rig.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from anyrig import rotations as rot
from anyrig.errors import SettingsError
from anyrig.rotations import Array
from anyrig.skeleton import FREE, Clip, Skeleton

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
"""Metres in one unit."""
TURN_RAD = math.radians(15)
"""A clip that ends turned by more than this turns on purpose, and its loop continues the turn."""
_FLAT = np.array([1.0, 0.0, 1.0])
TRAVEL_SHARE = 0.1
"""A clip that ends further away than this share of the skeleton's size travels on purpose."""


def metres(unit: str | float) -> float:
    """Metres in one ``unit``: a name in :data:`UNITS`, or the number itself. Raises SettingsError for any other."""
    if unit in UNITS:
        return UNITS[str(unit)]
    try:
        number = float(unit)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        names = ", ".join(UNITS)
        raise SettingsError(f"a unit is one of {names}, or how many metres it has, above 0: not {unit!r}")
    return number


def upright(up: str) -> Array:
    """The rotation to y up from a world in which the axis ``up`` ("x", "y" or "z") points up."""
    if up not in ("x", "y", "z"):
        raise SettingsError(f"the up axis is x, y or z, not {up!r}")
    return {"x": rot.about("z", np.pi / 2), "y": rot.identity(), "z": rot.about("x", -np.pi / 2)}[up]


def extent(skeleton: Skeleton) -> float:
    """The longest side of the box around the rest pose, in metres; 1 where that is a point."""
    positions = skeleton.rest_positions()
    return float(np.max(np.ptp(positions, axis=0))) or 1.0


def scaled(clip: Clip, factor: float) -> Clip:
    """The clip with every length times ``factor``."""
    skeleton = replace(clip.skeleton, offsets=clip.skeleton.offsets * factor)
    return replace(clip, skeleton=skeleton, translations=clip.translations * factor)


def turned(clip: Clip, rotation: ArrayLike) -> Clip:
    """The clip, rest pose included, turned by ``rotation`` (4,); only the roots' values change."""
    s, roots = clip.skeleton, list(clip.skeleton.roots)
    offsets, rest = s.offsets.copy(), s.rest.copy()
    translations, rotations = clip.translations.copy(), clip.rotations.copy()
    offsets[roots], rest[roots] = rot.rotate(rotation, offsets[roots]), rot.multiply(rotation, rest[roots])
    translations[:, roots] = rot.rotate(rotation, translations[:, roots])
    rotations[:, roots] = rot.multiply(rotation, rotations[:, roots])
    skeleton = replace(s, offsets=offsets, rest=rest)
    return replace(clip, skeleton=skeleton, rotations=rotations, translations=translations)


def reframed(clip: Clip, axes: ArrayLike) -> Clip:
    """The same motion of the same rest pose with other joint frames: ``axes`` (J, 4) are the new rest world rotations.

    ``W'_j(t) = W_j(t) W_j,rest^-1 axes_j``, so every joint's turn away from rest, and with it every world position, is
    unchanged. Identity axes give the skeleton that a BVH file can hold.
    """
    s = clip.skeleton
    axes = np.broadcast_to(np.asarray(axes, dtype=np.float64), (s.n_joints, 4))
    change = rot.multiply(rot.inverse(s.rest_world()), axes)  # from the old joint frame to the new one, on the right
    rest, offsets = s.local(s.rest_positions(), axes)
    undo = rot.inverse(s.of_parents(change, rot.IDENTITY))
    return replace(
        clip,
        skeleton=replace(s, offsets=offsets, rest=rest),
        rotations=rot.multiply(rot.multiply(undo, clip.rotations), change),
        translations=rot.rotate(undo, clip.translations),
    )


def looped(clip: Clip) -> Clip:
    """The clip with its last pose equal to its first, so that it can be repeated.

    The difference is spread over the clip by a smooth step, which leaves the speed at both ends unchanged. Travel of
    the main root over the ground and turns about the vertical are kept where they exceed :data:`TRAVEL_SHARE` and
    :data:`TURN_RAD`; each repetition then starts where the previous one ended.
    """
    if clip.n_frames < 2:
        return clip
    target_r, target_t = _seam(clip)
    share = np.linspace(0.0, 1.0, clip.n_frames)
    share = share * share * (3.0 - 2.0 * share)
    correction = rot.multiply(target_r, rot.inverse(clip.rotations[-1]))
    turns = rot.slerp(rot.IDENTITY, correction, np.broadcast_to(share[:, None], clip.rotations.shape[:2]))
    rotations = rot.multiply(turns, clip.rotations)
    rotations[-1] = np.where(np.sum(rotations[-1] * target_r, axis=-1, keepdims=True) < 0, -target_r, target_r)
    translations = clip.translations + share[:, None, None] * (target_t - clip.translations[-1])
    translations[-1] = target_t
    return replace(clip, rotations=rotations, translations=translations)


def repeated(clip: Clip, times: int) -> Clip:
    """The clip made to loop (:func:`looped`) and played ``times`` times, each beginning where the one before ended."""
    loop, main = looped(clip), clip.skeleton.main_root
    if clip.n_frames < 2 or times < 2:
        return loop
    roots, start = list(clip.skeleton.roots), loop.translations[0, main] * _FLAT
    turn = _yaw(rot.multiply(loop.rotations[-1, main], rot.inverse(loop.rotations[0, main])))
    step, turned_by, place = loop.travel()[-1], rot.identity(), np.zeros(3)
    rotations, translations = [loop.rotations[:1]], [loop.translations[:1]]
    for _ in range(times):
        r, t = loop.rotations[1:].copy(), loop.translations[1:].copy()
        r[:, roots] = rot.multiply(turned_by, r[:, roots])
        t[:, roots] = start + place + rot.rotate(turned_by, t[:, roots] - start)
        rotations.append(r)
        translations.append(t)
        place = place + rot.rotate(turned_by, step)
        turned_by = rot.normalize(rot.multiply(turned_by, turn))
    return replace(loop, rotations=rot.continuous(np.concatenate(rotations)), translations=np.concatenate(translations))


def returned(clip: Clip, first: Clip) -> Clip:
    """The clip placed, over the ground and about the vertical, where ``first`` begins."""
    roots, main = list(clip.skeleton.roots), clip.skeleton.main_root
    turn = _yaw(rot.multiply(first.rotations[0, main], rot.inverse(clip.rotations[0, main])))
    away, place = clip.translations[0, main] * _FLAT, first.translations[0, main] * _FLAT
    rotations, translations = clip.rotations.copy(), clip.translations.copy()
    rotations[:, roots] = rot.multiply(turn, rotations[:, roots])
    translations[:, roots] = place + rot.rotate(turn, translations[:, roots] - away)
    return replace(clip, rotations=rotations, translations=translations)


def _seam(clip: Clip) -> tuple[Array, Array]:
    """The local pose (rotations, translations) that the last frame has to take."""
    skeleton, main = clip.skeleton, clip.skeleton.main_root
    roots = list(skeleton.roots)
    first_r, first_t = clip.rotations[0], clip.translations[0]
    turn = _yaw(rot.multiply(clip.rotations[-1, main], rot.inverse(first_r[main])))
    if rot.angle(turn, rot.IDENTITY) < TURN_RAD:
        turn = rot.identity()
    travel = clip.travel()[-1]
    if np.linalg.norm(travel) < TRAVEL_SHARE * extent(skeleton):
        travel = np.zeros(3)
    target_r, target_t = first_r.copy(), first_t.copy()
    target_r[roots] = rot.multiply(turn, first_r[roots])
    target_t[roots] = first_t[main] + travel + rot.rotate(turn, first_t[roots] - first_t[main])
    return target_r, target_t


def _yaw(q: Array) -> Array:
    """The twist of a rotation about the vertical; the identity where there is none."""
    return rot.normalize(q * np.array([1.0, 0.0, 1.0, 0.0]))


def settled(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with offsets replaced by translations that stay constant in all of them.

    Offsets of a rest pose that was authored separately can otherwise disagree with every frame.
    """
    skeleton = clips[0].skeleton
    translations = np.concatenate([c.translations for c in clips])
    middle = np.median(translations, axis=0)
    steady = np.linalg.norm(translations - middle, axis=-1).max(axis=0) < 1e-4 * extent(skeleton)
    steady[list(skeleton.roots)] = False
    offsets = np.where(steady[:, None], middle, skeleton.offsets)
    rested = replace(skeleton, offsets=offsets)
    return [replace(c, skeleton=rested, translations=np.where(steady[:, None], offsets, c.translations)) for c in clips]


Poses = tuple[Array, Array]
"""Local rotations (T, J, 4) and translations (T, J, 3)."""

TRUNKS = ("body", "root")
"""Names of the trunk's root, for choosing it among several trees of joints."""
WEIGHTLESS = 0.002
"""A joint with less than this share of the mesh counts as carrying nothing."""
_FRAMES = 240
"""Number of poses sampled from all clips together."""
_SLIDES = 0.02
"""A joint that slides by at most this share of the rig's size against its parent is carried by it."""
_BETTER = 0.3
"""Another joint carries it only where its movement against that joint is below this share."""
_ALIKE, _DOUBT = 0.5, 6.0
"""A joint that slides by this share of another's movement slides alike; the factor on its cost as a carrier."""
_FAR = 0.15
"""Without clips, a joint this share of the size away from its parent may be carried by another."""
_TOUCHES = 0.05
"""Two parts touch where at least this share of the shared mesh of one is shared with the other."""


def find(skeleton: Skeleton, motions: Sequence[Poses], weights: Array, between: Array) -> tuple[int, ...]:
    """``Skeleton.carriers`` for ``skeleton``: empty where it is one tree whose parents carry their joints.

    ``motions`` are its clips, ``weights`` (J,) the share of the mesh that each joint carries, ``between`` (J, J) that
    shared by two joints (zeros without a mesh). Joints with another carrier are the roots of trees beside the trunk,
    and joints that slide against their parent but not against another joint; without clips, joints far from a parent
    with which they share no vertex. The carrier is the joint against which they move least, among those with shared
    vertices if there are any.
    """
    kept = _carrying(skeleton, weights)
    parents = {j: skeleton.parents[j] if skeleton.parents[j] in kept else -1 for j in kept}
    poses = _Poses(skeleton, motions, between)
    trees = [j for j in kept if parents[j] < 0]
    trunk = _trunk(skeleton, kept, parents, trees)
    loose = [j for j in trees if j != trunk]
    while found := [j for j in kept if j not in loose and parents[j] >= 0 and poses.loose(j, parents, weights, loose)]:
        loose += found  # joints on these may have another carrier too: a sword in a hand
    if not loose and len(trees) == len(skeleton.roots):
        return ()
    for joint, parent in poses.hung(kept, parents, loose):
        parents[joint] = parent
    _drop_stem(parents, weights)
    return tuple(parents.get(j, FREE) for j in range(skeleton.n_joints))


def _carrying(skeleton: Skeleton, weights: Array) -> list[int]:
    """The joints whose subtrees carry something; all joints where none does."""
    total = weights.copy()
    for j in reversed(range(skeleton.n_joints)):
        if skeleton.parents[j] >= 0:
            total[skeleton.parents[j]] += total[j]
    return [j for j in range(skeleton.n_joints) if total[j] > 1e-9 * weights.sum() or not weights.any()]


def _trunk(skeleton: Skeleton, kept: list[int], parents: dict[int, int], trees: list[int]) -> int:
    """The tree whose root has a name of :data:`TRUNKS`, else the largest."""
    for name in TRUNKS:
        for j in trees:
            if skeleton.names[j].lower() == name:
                return j
    tops = [_top(parents, j) for j in kept]
    return max(trees, key=tops.count)


def _top(parents: dict[int, int], joint: int) -> int:
    while parents[joint] >= 0:
        joint = parents[joint]
    return joint


def _drop_stem(parents: dict[int, int], weights: Array) -> None:
    """Removes roots that carry nothing as long as they have a single child."""
    while True:
        root = next(j for j in parents if parents[j] < 0)
        below = [j for j in parents if parents[j] == root]
        if len(below) != 1 or not weights.any() or weights[root] > WEIGHTLESS * weights.sum():
            return
        del parents[root]
        parents[below[0]] = -1


class _Poses:
    """Sampled poses of all clips, or the rest pose alone."""

    def __init__(self, skeleton: Skeleton, motions: Sequence[Poses], between: Array) -> None:
        self.skeleton, self.between, self.size = skeleton, between, extent(skeleton)
        frames = [(m, t) for m, (r, _) in enumerate(motions) for t in range(len(r))]
        some = [frames[i] for i in np.linspace(0, len(frames) - 1, min(_FRAMES, len(frames))).astype(int)]
        self.moving = len(some) > 1
        if self.moving:
            local = np.stack([motions[m][0][t] for m, t in some]), np.stack([motions[m][1][t] for m, t in some])
        else:
            local = skeleton.rest[None], skeleton.offsets[None]
        self.positions, self.rotations = skeleton.world(*local)
        self.slides = np.abs(local[1] - np.median(local[1], axis=0)).max(axis=(0, 2))  # against the parent, metres
        self._below: dict[int, list[int]] = {}

    def below(self, joint: int) -> list[int]:
        """``joint`` and all joints below it."""
        if joint not in self._below:
            inside = {joint}
            for j in range(joint + 1, self.skeleton.n_joints):
                if self.skeleton.parents[j] in inside:
                    inside.add(j)
            self._below[joint] = sorted(inside)
        return self._below[joint]

    def play(self, joint: int, parent: int) -> float:
        """How much ``joint`` moves in the frame of ``parent``, in metres.

        The 90th percentile of its distance from its median position there; a hundredth of that position's distance from
        the parent decides between joints that do not move against each other.
        """
        away = self.positions[:, joint] - self.positions[:, parent]
        local = rot.rotate(rot.inverse(self.rotations[:, parent]), away)
        middle = np.median(local, axis=0)
        off = np.percentile(np.linalg.norm(local - middle, axis=-1), 90)
        return float(off + 0.01 * np.linalg.norm(middle))

    def touched(self, joint: int) -> Array:
        """The share of the mesh between the part below ``joint`` and each joint outside it, (J,)."""
        part = self.below(joint)
        outside = self.between[part].sum(axis=0)
        outside[part] = 0.0
        return np.asarray(outside / max(float(outside.sum()), 1e-12))

    def loose(self, joint: int, parents: dict[int, int], weights: Array, known: Sequence[int]) -> bool:
        """Whether a joint is carried by another joint than its parent."""
        part = self.below(joint)
        if len(part) > len(parents) / 2 or (weights.any() and weights[part].sum() <= 1e-6 * weights.sum()):
            return False
        others = [k for k in parents if k not in part]
        if self.moving:
            if self.slides[joint] <= _SLIDES * self.size:
                return False
            now = self.play(joint, parents[joint])
            best = min(self.cost(joint, k, known) for k in self.candidates(joint, others))
            return now > _SLIDES * self.size and best < _BETTER * now
        touched, above = self.touched(joint), parents[joint]
        while above >= 0 and weights[above] <= WEIGHTLESS * weights.sum():
            above = parents[above]
        best = int(touched.argmax())
        far = np.linalg.norm(self.positions[0, joint] - self.positions[0, parents[joint]]) > _FAR * self.size
        deep = parents[joint] not in (best, self.skeleton.parents[best])  # no sibling, as thigh and spine are
        return bool((far or deep) and touched[best] > 0.5 and (above < 0 or touched[above] < _TOUCHES))

    def cost(self, joint: int, carrier: int, known: Sequence[int]) -> float:
        """The play of ``joint`` on ``carrier``, times a factor where joints above the latter slide about as far and are
        not ``known`` to have another carrier: hips that slide alike do not carry each other."""
        shared, half = set(self.skeleton.path(joint)), self.skeleton.n_joints / 2
        between = [k for k in self.skeleton.path(carrier)[1:] if k not in shared and len(self.below(k)) <= half]
        alike = any(self.slides[k] > _ALIKE * self.slides[joint] and k not in known for k in between)
        return self.play(joint, carrier) * (_DOUBT if alike else 1.0)

    def candidates(self, joint: int, others: Sequence[int]) -> list[int]:
        """Those of ``others`` that share vertices with the part below ``joint``, or all where none does."""
        touched = self.touched(joint)
        return [k for k in others if touched[k] > _TOUCHES] or list(others)

    def hung(self, kept: list[int], parents: dict[int, int], loose: list[int]) -> list[tuple[int, int]]:
        """Each loose joint with its carrier, in order of cost."""
        cut = {j: -1 if j in loose else parent for j, parent in parents.items()}
        left, done = list(loose), []
        cost: dict[tuple[int, int], float] = {}
        while left:
            tree = [k for k in kept if _top(cut, k) not in left]
            reach = []
            for j in left:
                for k in self.candidates(j, tree):
                    if (j, k) not in cost:
                        cost[j, k] = self.cost(j, k, loose)
                    reach.append((cost[j, k], j, k))
            _, joint, parent = min(reach)
            cut[joint] = parent
            left.remove(joint)
            done.append((joint, parent))
        return done


def rehung(clip: Clip, kept: Sequence[int], parents: Sequence[int]) -> Clip:
    """The joints ``kept`` with new ``parents`` (-1 for none), which carry them; world positions and rotations are
    unchanged.

    ``parents`` has one for each of ``kept``; both are indices of ``clip``'s joints, in any order that makes a forest.
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
    skeleton = replace(forest, offsets=offsets, rest=rest, carriers=above)
    return replace(clip, skeleton=skeleton, rotations=rotations, translations=translations)


def parents_first(kept: Sequence[int], parents: Sequence[int]) -> list[int]:
    """``kept`` in depth-first order, children in their old order, as :func:`rehung` orders them."""
    below: dict[int, list[int]] = {}
    for j, parent in sorted(zip(kept, parents, strict=True)):
        below.setdefault(parent, []).append(j)
    order, todo = [], list(reversed(below.get(-1, [])))
    while todo:
        order.append(todo.pop())
        todo += reversed(below.get(order[-1], []))
    return order


def tree(skeleton: Skeleton) -> tuple[list[int], list[int]]:
    """(kept, parents) for :func:`rehung`: the joints that carry something, and their carriers."""
    carriers = skeleton.carriers or skeleton.parents
    kept = [j for j, c in enumerate(carriers) if c != FREE]
    return kept, [carriers[j] for j in kept]


def whole(clip: Clip) -> Clip:
    """The clip with every joint on its carrier and without those that carry nothing; unchanged without carriers."""
    return rehung(clip, *tree(clip.skeleton)) if clip.skeleton.carriers else clip


def spread(clip: Clip, skeleton: Skeleton) -> Clip:
    """The inverse of :func:`whole`: a clip of the one tree as a clip of ``skeleton``.

    Joints that carry nothing rest on their parents; a root among them follows the main root over the ground, upright.
    """
    if not skeleton.carriers:
        return replace(clip, skeleton=skeleton)
    order, main = parents_first(*tree(skeleton)), clip.skeleton.main_root
    place, turn = clip.world()
    positions = np.zeros((clip.n_frames, skeleton.n_joints, 3))
    rotations = rot.identity(clip.n_frames, skeleton.n_joints)
    positions[:, order], rotations[:, order] = place, turn
    rest, turned = clip.skeleton.rest_positions()[main], clip.skeleton.rest_world()[main]
    yaw = _yaw(rot.multiply(turn[:, main], rot.inverse(turned)))
    for j, parent in enumerate(skeleton.parents):
        if j in order:
            continue
        if parent >= 0:
            positions[:, j] = positions[:, parent] + rot.rotate(rotations[:, parent], skeleton.offsets[j])
            rotations[:, j] = rot.multiply(rotations[:, parent], skeleton.rest[j])
        else:
            positions[:, j] = place[:, main] + rot.rotate(yaw, skeleton.offsets[j] - rest)
            positions[:, j, 1] = skeleton.offsets[j, 1]
            rotations[:, j] = rot.multiply(yaw, skeleton.rest[j])
    local_r, local_t = skeleton.local(positions, rotations)
    return replace(clip, skeleton=skeleton, rotations=rot.continuous(local_r), translations=local_t)
