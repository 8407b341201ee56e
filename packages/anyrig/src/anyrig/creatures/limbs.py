"""Legs, arms, wings and fins of a creature, added to its joints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures.ik import fold
from anyrig.creatures.joints import Joints, chain_points, flip, leg_parts, leg_points
from anyrig.creatures.plans import Arms, Chain, Fins, LegPair, Wings
from anyrig.creatures.rig import Leg, Limb

Array = NDArray[np.float64]


class LegJoints(NamedTuple):
    """A leg's joints: those of ``chain`` are placed by inverse kinematics, ``contact`` stands on the ground."""

    side: int
    pair: int
    girdle: int | None
    chain: tuple[int, ...]
    contact: int
    toe: int | None


def legs(joints: Joints, k: int, pair: LegPair) -> Iterator[LegJoints]:
    """Adds the left and the right leg of pair number ``k``."""
    place = joints.spine(pair.at)
    points, toe = leg_points(pair, float(place[1]) - pair.drop)
    for side in (1, -1):
        role = {"side": side, "pair": k, "n_pairs": len(joints.plan.legs)}
        hip = place + np.array([side * pair.spread, -pair.drop, 0.0])
        parent, girdle = joints.nearest(pair.at), None
        if pair.girdle:
            inner = joints.spine(pair.at - 0.06) + np.array([side * 0.4 * pair.spread, 0.0, 0.0])
            girdle = parent = joints.add(parent, inner, "girdle", **role)
        own: list[int] = []
        for part, point in zip(leg_parts(pair), points, strict=True):
            parent = joints.add(parent, hip + flip(point, side), part, **role)
            own.append(parent)
        end = joints.add(parent, hip + flip(toe, side), "toe_tip", **role) if pair.toe > 0 else None
        yield LegJoints(side, k, girdle, tuple(own[:-1] if pair.foot > 0 else own), own[-1], end)


def leg(
    natural: Array, side: int, pair: int, girdle: int | None, chain: tuple[int, ...], contact: int, toe: int | None
) -> Leg:
    """What a motion needs to know of a leg, from the natural places (J, 3)."""
    foot = natural[contact] - natural[chain[-1]]
    return Leg(side, pair, girdle, chain, contact, toe, fold(natural[list(chain)]), foot, natural[contact])


def both(joints: Joints, parent: int, part: str, n: int, place: Array, base: Array, out: Array) -> tuple[Limb, Limb]:
    """A straight row of ``n`` bones on each side, from ``place + base`` along ``out`` (given for the left)."""
    left, right = (
        Limb(side, joints.row(parent, [place + flip(base + out * k / n, side) for k in range(n + 1)], part, side))
        for side in (1, -1)
    )
    return left, right


def arm(joints: Joints, arms: Arms, side: int) -> Limb:
    """Adds an arm with its fingers."""
    parent, clavicle = joints.nearest(arms.at), None
    place = joints.spine(arms.at) + np.array([side * arms.spread, arms.rise, 0.0])
    if arms.clavicle:
        inner = joints.spine(arms.at) + np.array([side * 0.2 * arms.spread, arms.rise, 0.0])
        clavicle = parent = joints.add(parent, inner, "clavicle", side=side)
    outward = (1.0, 0.05, -0.5) if arms.pincer else (1.0, 0.4, 0.2)
    own: list[int] = []
    direction = np.zeros(3)
    for part, length, a, share in zip(
        ("upper_arm", "forearm", "hand"), arms.lengths, arms.angles, outward, strict=True
    ):
        parent = joints.add(parent, place, part, side=side)
        own.append(parent)
        out = arms.out * share
        direction = np.array([side * math.sin(out), -math.cos(a) * math.cos(out), math.sin(a) * math.cos(out)])
        place = place + length * direction
    fingers = tuple(_fingers(joints, arms, parent, place, direction, side))
    end = () if fingers else joints.tip(parent, place, "hand_tip", side=side)
    return Limb(side, (*own, *end), fingers, clavicle)


def _fingers(
    joints: Joints, arms: Arms, hand: int, place: Array, direction: Array, side: int
) -> Iterator[tuple[int, ...]]:
    length = arms.lengths[2] * (0.8 if arms.pincer else 0.6)
    # Pincers open sideways; the fingers of a hand that hangs are in a row from front to back.
    across = np.array([float(side), 0.0, 0.0]) if arms.pincer else np.array([0.0, 0.0, 1.0])
    for f in range(arms.fingers):
        spread = (f / max(arms.fingers - 1, 1) - 0.5) * (0.9 if arms.pincer else 0.6)
        ray = direction + spread * across
        ray = length * ray / np.linalg.norm(ray)
        start = place - direction * length * 0.2 + across * spread * 0.3 * length
        parent, own = hand, []
        for k in range(arms.finger_joints):
            index = f * arms.finger_joints + k
            parent = joints.add(parent, start + ray * k / arms.finger_joints, "finger", side=side, index=index)
            own.append(parent)
        yield (*own, *joints.tip(parent, start + ray, "finger_tip", side=side, index=f))


_RAKES = {1: (-8,), 2: (6, -14), 3: (-14, 16, -12), 4: (-14, 18, -6, -22)}  # forward, degrees, of a spread wing's bones


def wing(joints: Joints, wings: Wings, side: int) -> Limb:
    """Adds a wing, with the fingers that hold a dragon's skin."""
    points = [joints.spine(wings.at) + np.array([side * wings.spread, wings.rise, 0.0])]
    for length, rake in zip(wings.lengths, np.radians(_RAKES[len(wings.lengths)]), strict=True):
        points.append(points[-1] + length * flip((math.cos(rake), 0.0, math.sin(rake)), side))
    own = joints.row(joints.nearest(wings.at), points, "wing", side)
    wrist, hand = points[-2], own[len(wings.lengths) - 1]
    fingers = []
    for f in range(wings.fingers):
        angle = math.radians(-35 - 65 * f / max(wings.fingers - 1, 1))
        ray = wings.lengths[-1] * (0.9 - 0.1 * f) * flip((math.cos(angle), 0.0, math.sin(angle)), side)
        parent, bones = hand, []
        for k in range(wings.finger_joints):
            index = f * wings.finger_joints + k
            place = wrist + ray * (0.06 + 0.94 * k / wings.finger_joints)
            parent = joints.add(parent, place, "membrane", side=side, index=index)
            bones.append(parent)
        fingers.append((*bones, *joints.tip(parent, wrist + ray, "membrane_tip", side=side, index=f)))
    return Limb(side, own, tuple(fingers))


def fins(joints: Joints, fins: Fins) -> dict[str, Any]:
    """Adds a fish's fins; those that motions use are returned by the names that a rig has for them."""
    length = joints.plan.size
    parts: dict[str, Any] = {}
    if fins.pectoral:
        place = joints.spine(0.8) + np.array([0.0, -0.03 * length, 0.0])
        out = np.array([0.78, -0.25, -0.57]) * fins.length
        base = np.array([0.05 * length, 0.0, 0.0])
        parts["pectorals"] = both(joints, joints.nearest(0.8), "pectoral", fins.pectoral, place, base, out)
    if fins.dorsal:
        rise = np.array([0.0, 0.09, -0.05]) * length
        base = joints.spine(0.55) + 0.6 * rise
        joints.row(joints.nearest(0.55), [base, base + rise], "dorsal")
    if fins.pelvic:
        base, out = np.array([0.03, -0.06, 0.0]) * length, np.array([0.05, -0.05, -0.05]) * length
        both(joints, joints.nearest(0.4), "pelvic", 1, joints.spine(0.4), base, out)
    return parts | _tail_fin(joints, fins.tail, length)


def _tail_fin(joints: Joints, shape: str, length: float) -> dict[str, Any]:
    pelvis, end = joints.nearest(0.0), joints.spine(0.0)
    if shape == "lobes":
        upper = np.array([[0.0, 0.02, -0.02], [0.0, 0.12, -0.10]]) * length
        lower = upper * np.array([1.0, -0.8, 1.0])
        return {
            "caudals": tuple(
                Limb(0, joints.row(pelvis, list(end + points), part))
                for part, points in (("lobe_up", upper), ("lobe_down", lower))
            )
        }
    if shape == "flukes":
        base, out = np.array([0.02, 0.0, -0.02]) * length, np.array([0.11, 0.0, -0.06]) * length
        return {"caudals": both(joints, pelvis, "fluke", 1, end, base, out)}
    if joints.plan.wings is not None:  # a ray's whip of a tail
        whip = Chain(4, 0.6 * length, 0.0, math.radians(4), 0.95)
        return {"tail": joints.row(pelvis, chain_points(whip, joints.spine(-0.04), -1.0), "tail")}
    return {}
