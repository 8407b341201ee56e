"""From a plan to a :class:`Rig`: where every joint stands in the natural pose, and what it is called."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures import limbs, resting
from anyrig.creatures.joints import Joints, chain_points
from anyrig.creatures.names import joint_names
from anyrig.creatures.plans import Head, Plan
from anyrig.creatures.rig import Rig

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def assemble(plan: Plan) -> Rig:
    """The joints of ``plan``, in an order in which parents come first."""
    joints = Joints(plan)
    ground = joints.add(-1, np.zeros(3), "root") if plan.rest.ground else None
    root = _trunk(joints, -1 if ground is None else ground)
    parts: dict[str, Any] = {}
    if plan.rest.tail_first:
        parts["tail"] = _tail(joints)
    parts |= _front(joints)
    legs = [leg for k, pair in enumerate(plan.legs) for leg in limbs.legs(joints, k, pair)]
    if plan.wings:
        parts["wings"] = tuple(limbs.wing(joints, plan.wings, side) for side in (1, -1))
    if plan.arms:
        parts["arms"] = tuple(limbs.arm(joints, plan.arms, side) for side in (1, -1))
    if plan.fins:
        parts |= limbs.fins(joints, plan.fins)
    if not plan.rest.tail_first:
        parts["tail"] = parts.get("tail", ()) or _tail(joints)
    natural = np.stack(joints.places)
    parts["legs"] = tuple(limbs.leg(natural, *leg) for leg in legs)
    names = joint_names(plan.naming, joints.roles)
    skeleton, frames = resting.skeleton(plan, names, tuple(joints.parents), natural, parts)
    return Rig(plan, skeleton, natural, frames, root, ground, tuple(joints.trunk), **parts)


def _trunk(joints: Joints, parent: int) -> int:
    """Adds the spine from its root out to both ends; returns the root."""
    trunk = joints.plan.trunk
    n = trunk.n + 1 if trunk.root == "centre" and trunk.n % 2 == 0 else trunk.n
    at = [k / (n - 1) for k in range(n)]
    middle = {"hips": 0, "centre": n // 2, "front": n - 1}[trunk.root]
    root = joints.add(parent, joints.spine(at[middle]), "pelvis" if trunk.root != "front" else "chest")
    joints.trunk.append((root, at[middle]))
    for step, stop in ((1, n), (-1, -1)):
        joint = root
        for k in range(middle + step, stop, step):
            part = "chest" if k == n - 1 and step == 1 else "spine"
            joint = joints.add(joint, joints.spine(at[k]), part, index=len(joints.trunk) - 1)
            joints.trunk.append((joint, at[k]))
    return root


def _front(joints: Joints) -> dict[str, Any]:
    """Adds neck and head."""
    plan, parent = joints.plan, joints.nearest(1.0)
    parts: dict[str, Any] = {}
    end = joints.spine(1.0 + (0.12 if plan.legs else 0.02))
    if plan.neck is not None:
        *points, end = chain_points(plan.neck, joints.spine(1.06), 1.0)
        neck: list[int] = []
        for k, point in enumerate(points):
            index = {"index": k} if plan.neck.n > 1 else {}
            parent = joints.add(parent, point, "neck", **index)
            neck.append(parent)
        parts["neck"] = tuple(neck)
    if plan.head is not None:
        parts |= _head(joints, plan.head, parent, end)
    return parts


def _head(joints: Joints, head: Head, parent: int, place: Array) -> dict[str, Any]:
    joint = joints.add(parent, place, "head")
    forward = np.array([0.0, math.sin(head.pitch), math.cos(head.pitch)])
    up = np.array([0.0, forward[2], -forward[1]])
    left = np.array([1.0, 0.0, 0.0])
    mouth = head.length * forward
    parts: dict[str, Any] = {"head": joint, "mouth": mouth}
    joints.tip(joint, place + mouth, "head_tip")
    if head.jaw:
        parts["jaw"] = joints.add(joint, place + mouth * 0.25 - up * 0.12 * head.length, "jaw")
        joints.tip(parts["jaw"], place + mouth * 0.92 - up * 0.16 * head.length, "jaw_tip")
    rows = {
        "ears": ("ear", head.ears, 0.32 * left + 0.3 * up + 0.1 * forward, 0.12 * left + 0.4 * up),
        "antennae": ("antenna", head.antennae, 0.12 * left + 0.9 * forward + 0.2 * up,
                     0.45 * left + 0.8 * forward + 0.7 * up),
        "mandibles": ("mandible", int(head.mandibles), 0.2 * left + 0.85 * forward - 0.15 * up,
                      0.4 * forward - 0.08 * left),
    }  # fmt: skip
    for key, (part, n, base, out) in rows.items():
        if n:
            parts[key] = limbs.both(joints, joint, part, n, place, head.length * base, head.length * out)
    if head.nose is not None:
        parts["nose"] = joints.row(joint, chain_points(head.nose, place + mouth, 1.0), "nose")
    return parts


def _tail(joints: Joints) -> tuple[int, ...]:
    tail = joints.plan.tail
    if tail is None:
        return ()
    return joints.row(joints.nearest(0.0), chain_points(tail, joints.spine(-0.06), -1.0), "tail")
