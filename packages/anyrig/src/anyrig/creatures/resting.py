"""The rest pose that a creature's file would have: the natural pose, turned a little as rigs differ in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures.plans import Plan
from anyrig.creatures.rig import Leg, Limb
from anyrig.creatures.wings import folded
from anyrig.skeleton import Skeleton

Array = NDArray[np.float64]


def skeleton(
    plan: Plan,
    names: tuple[str, ...],
    parents: tuple[int, ...],
    natural: Array,
    parts: Mapping[str, Any],
) -> tuple[Skeleton, Array]:
    """The skeleton with its rest pose, and the world rotations (J, 4) that its joints have in the natural pose.

    ``natural`` (J, 3) are the places in the natural pose; ``parts`` hold the limbs as :class:`~.rig.Rig` names them.
    """
    turns = _turns(plan, natural, parts)
    moved, world = _pose(parents, natural, turns)
    moved[:, 1] -= moved[1 if plan.rest.ground else 0 :, 1].min()
    axes = _axes(plan, parents, moved)
    # In the natural pose a joint is turned as at rest, less the turn that leads from the natural pose to the rest pose.
    frames = rot.multiply(rot.inverse(world), axes)
    local = axes.copy()
    offsets = moved.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            undo = rot.inverse(axes[parent])
            local[j] = rot.multiply(undo, axes[j])
            offsets[j] = rot.rotate(undo, moved[j] - moved[parent])
    return Skeleton(names, parents, offsets, local), frames


def _pose(parents: Sequence[int], natural: Array, turns: Array) -> tuple[Array, Array]:
    places, world = natural.copy(), turns.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            places[j] = places[parent] + rot.rotate(world[parent], natural[j] - natural[parent])
            world[j] = rot.multiply(world[parent], turns[j])
    return places, world


def _turns(plan: Plan, natural: Array, parts: Mapping[str, Any]) -> Array:
    """Local turns (J, 4) from the natural pose to the rest pose."""
    rest, turns = plan.rest, rot.identity(len(natural))
    if rest.arms and plan.arms is not None:
        for arm in parts["arms"]:
            turns[arm.joints[0]] = rot.about("z", arm.side * rest.arms)
    if rest.wings and plan.kind != "fish" and plan.wings is not None:
        _fold_wings(turns, parts["wings"], len(plan.wings.lengths), rest.wings)
    if rest.legs:
        for leg in parts["legs"]:
            _straighten(turns, leg, rest.legs)
    if rest.level:
        _level(turns, natural, parts.get("neck", ()), -1.0, 0.5 * rest.level)
        if "sting" not in plan.habits:
            _level(turns, natural, parts.get("tail", ()), 1.0, rest.level)
    return turns


def _fold_wings(turns: Array, wings: Sequence[Limb], n: int, amount: float) -> None:
    for wing in wings:
        for joint, yaw in zip(wing.joints, folded(n, amount, wing.side), strict=False):
            turns[joint] = rot.about("y", yaw)


def _straighten(turns: Array, leg: Leg, amount: float) -> None:
    """Takes ``amount`` of the bends out of a leg and keeps its line from hip to foot."""
    chain = leg.fold
    bends = chain.turns * (1.0 - amount)
    x, y = chain.end(bends)
    x0, y0 = chain.end(chain.turns)
    half = rot.from_rotvec(chain.axis * (math.atan2(y0, x0) - math.atan2(y, x)))
    turns[leg.chain[0]] = half
    left = half
    for joint, bend in zip(leg.chain[1:-1], bends - chain.turns, strict=True):
        turns[joint] = rot.from_rotvec(chain.axis * bend)
        left = rot.multiply(left, turns[joint])
    turns[leg.chain[-1]] = rot.inverse(left)


def _level(turns: Array, natural: Array, joints: Sequence[int], sign: float, amount: float) -> None:
    """Takes ``amount`` of the pitch out of each bone of a chain that leads backward (``sign`` 1) or forward (-1)."""
    before = 0.0
    for joint, after in itertools.pairwise(joints):
        bone = natural[after] - natural[joint]
        pitch = math.atan2(bone[1], math.hypot(bone[0], bone[2]))
        turns[joint] = rot.about("x", -sign * amount * pitch - before)
        before = -sign * amount * pitch


def _axes(plan: Plan, parents: Sequence[int], places: Array) -> Array:
    """World rotations (J, 4) of the joints at rest: the world's axes, or with the bone along y or x."""
    n = len(parents)
    axes = rot.identity(n)
    if plan.rest.frame != "world":
        unit = np.array([0.0, 1.0, 0.0]) if plan.rest.frame == "y" else np.array([1.0, 0.0, 0.0])
        first = {parent: j for j, parent in reversed(list(enumerate(parents)))}
        for j, parent in enumerate(parents):
            if j in first:
                axes[j] = rot.between(unit, places[first[j]] - places[j])
            elif parent >= 0:
                axes[j] = axes[parent]
    if plan.rest.ground:
        axes[0] = rot.about("x", -math.pi / 2) if plan.rest.armature else rot.identity()
    return axes
