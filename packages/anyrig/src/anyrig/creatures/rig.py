"""From a body plan to joints: the natural pose, each joint's role, the skeleton with its rest pose, leg kinematics.

Motions are turns away from the *natural pose*, about the creature's own axes (x left, y up, z forward): the world
rotation of joint j is ``W_j = D_j * N_j``, with ``D_j`` the turn and ``N_j`` the joint's rotation in the natural pose.
``D_j = D_parent * d_j``, so that a clip's local rotation is ``N_parent^-1 * d_j * N_j``, whatever the rest pose and the
joint axes of the skeleton are. Both therefore vary as they do between real rigs.

Legs are hinged chains of any number of bones that bend in one plane. The bends of a chain are its natural ones times
one number, its *fold*: 0 is straight, 1 natural, more is folded. The fold for a distance is exact: by the law of
cosines for two bones, by Newton's method from a table for more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from anyrig import rotations as rot
from anyrig.creatures.body import Arms, BodyPlan, Chain, Head, LegPair, Role, Wings, joint_names
from anyrig.rotations import Array
from anyrig.skeleton import Skeleton

FULLEST = 0.995  # of the straight length: beyond it a hinge would have to stretch at an unbounded rate
_MOST_BENT = np.radians(155.0)
_TABLE = 256
_NEWTON = 3


@dataclass(frozen=True, eq=False)
class Fold:
    """A planar chain of n bones, or L of them stacked (arrays then have a leading axis).

    ``lengths`` (n,); ``turns`` (n - 1,) are the natural bends, radians about ``axis``. ``along`` and ``axis`` are
    natural unit vectors: from the chain's base to its end, and the hinges' direction; ``bend`` is perpendicular to
    both, in the direction of positive angles. ``folds`` and ``distances`` tabulate the distance from base to end, which
    decreases with the fold.
    """

    lengths: Array
    turns: Array
    along: Array
    axis: Array
    bend: Array
    folds: Array
    distances: Array

    @cached_property
    def longest(self) -> Array:
        """The largest reachable distance, in metres."""
        return np.asarray(self.distances[..., 0])

    @cached_property
    def shortest(self) -> Array:
        """The smallest reachable distance, in metres."""
        return np.asarray(self.distances[..., -1])

    @cached_property
    def natural_first(self) -> Array:
        """The first bone's angle to the line from base to end in the natural pose."""
        x, y = self.end(self.turns)
        return np.asarray(-np.arctan2(y, x))

    def solve(self, distance: Array) -> tuple[Array, Array]:
        """Bends (..., n - 1) and the first bone's angle to the line from base to end (...,), for ``distance`` (...,).

        Distances are clipped to the reachable ones. The last axis of ``distance`` is that of the stack.
        """
        distance = np.clip(distance, self.shortest, self.longest)
        if self.lengths.shape[-1] == 2:
            a, b = self.lengths[..., 0], self.lengths[..., 1]
            cosine = (distance**2 - a * a - b * b) / (2 * a * b)
            bends = (np.sign(self.turns[..., 0]) * np.arccos(np.clip(cosine, -1.0, 1.0)))[..., None]
        else:
            bends = self._fold(distance)[..., None] * self.turns
        x, y = self.end(bends)
        return bends, -np.arctan2(y, x)

    def end(self, bends: Array) -> tuple[Array, Array]:
        """The chain's end (x, y) when its first bone is along x."""
        angles = np.cumsum(bends, axis=-1)
        x = self.lengths[..., 0] + np.sum(self.lengths[..., 1:] * np.cos(angles), axis=-1)
        return x, np.sum(self.lengths[..., 1:] * np.sin(angles), axis=-1)

    def _fold(self, distance: Array) -> Array:
        tables = zip(self.distances, self.folds, strict=True)
        rows = [np.interp(distance[..., k], d[::-1], f[::-1]) for k, (d, f) in enumerate(tables)]
        fold = np.stack(rows, axis=-1)
        rates = np.cumsum(self.turns, axis=-1)
        for _ in range(_NEWTON):
            angles = fold[..., None] * rates
            sine, cosine = self.lengths[..., 1:] * np.sin(angles), self.lengths[..., 1:] * np.cos(angles)
            x, y = self.lengths[..., 0] + cosine.sum(axis=-1), sine.sum(axis=-1)
            reached = np.hypot(x, y)
            slope = (y * (rates * cosine).sum(axis=-1) - x * (rates * sine).sum(axis=-1)) / reached
            fold = np.clip(fold - (reached - distance) / np.minimum(slope, -1e-9), 0.0, self.folds[..., -1])
        return np.asarray(fold)


def fold(points: Array) -> Fold:
    """The :class:`Fold` of a chain with natural joint positions ``points`` (n + 1, 3) in one plane."""
    bones = np.diff(points, axis=0)
    lengths = np.linalg.norm(bones, axis=-1)
    along = points[-1] - points[0]
    along = along / np.linalg.norm(along)
    # The plane: the bones' part across the line from base to end, taken where it is largest.
    across = points[1:-1] - points[0] - ((points[1:-1] - points[0]) @ along)[:, None] * along
    bend = across[int(np.argmax(np.linalg.norm(across, axis=-1)))]
    bend = bend / np.linalg.norm(bend)
    headings = np.arctan2(bones @ bend, bones @ along)
    turns = np.diff(headings)
    bare = Fold(lengths, turns, along, np.cross(along, bend), bend, np.zeros(1), np.zeros(1))
    folds = np.linspace(0.0, _MOST_BENT / np.abs(turns).max(), _TABLE)
    distances = np.hypot(*bare.end(folds[:, None] * turns))
    first = int(np.argmax(distances <= FULLEST * lengths.sum()))
    rising = np.flatnonzero(np.diff(distances[first:]) >= 0)  # the table ends where a chain folds past itself
    stop = first + int(rising[0]) + 1 if len(rising) else len(folds)
    steps = np.linspace(folds[first], folds[stop - 1], _TABLE)
    return replace(bare, folds=steps, distances=np.hypot(*bare.end(steps[:, None] * turns)))


def stack_chains(chains: Sequence[Fold]) -> Fold:
    """Chains with equal numbers of bones as one :class:`Fold`, whose arrays have a leading axis."""
    return Fold(*(np.stack([getattr(chain, f.name) for chain in chains]) for f in fields(Fold)))


def solve_chain(chain: Fold, base: Array, target: Array, parent: Array) -> tuple[Array, Array]:
    """Turns that bring a chain's end from its ``base`` (T, 3) to ``target`` (T, 3), under the turn ``parent`` (T, 4).

    Returns the local turns of its first n joints (T, n, 4) and the world turn of the last bone (T, 4). The chain's
    plane contains the target and the parent's ``bend`` direction. For a stack of L, all arrays have that axis after T.
    """
    reach = target - base
    distance = np.linalg.norm(reach, axis=-1)
    bends, first = chain.solve(distance)
    along = reach / np.maximum(distance, 1e-9)[..., None]
    axis = np.cross(along, rot.rotate(parent, chain.bend))
    axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    now = np.stack([along, axis, np.cross(along, axis)], axis=-1)
    natural = np.stack([chain.along, chain.axis, np.cross(chain.along, chain.axis)], axis=-1)
    plane = rot.from_matrix(now @ np.swapaxes(natural, -1, -2))
    world = rot.multiply(plane, _about(chain.axis, first - chain.natural_first))
    steps = _about(chain.axis[..., None, :], bends - chain.turns)
    local = np.concatenate([rot.multiply(rot.inverse(parent), world)[..., None, :], steps], axis=-2)
    # The hinges of a chain are parallel: their turns add up.
    return local, rot.multiply(world, _about(chain.axis, (bends - chain.turns).sum(axis=-1)))


def _about(axis: Array, angles: Array) -> Array:
    half = np.asarray(angles)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * axis], axis=-1)


@dataclass(frozen=True, eq=False)
class Leg:
    """One leg. ``chain`` are the joints from the hip to the end that inverse kinematics moves to a target; ``contact``
    is the joint on the ground (the chain's end or a child of it), ``toe`` a flat one ahead of it, or None.

    ``fold`` solves the chain; ``foot`` is the natural vector from the chain's end to the contact, ``home`` the natural
    position of the contact.
    """

    side: int
    pair: int
    chain: tuple[int, ...]
    contact: int
    toe: int | None
    fold: Fold
    foot: Array
    home: Array


@dataclass(frozen=True, eq=False)
class Limb:
    """An arm, wing, ear or fin: ``joints`` from its base outward, and the ``fingers`` on it."""

    side: int
    joints: tuple[int, ...]
    fingers: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class Rig:
    """The joints of a creature by their role, as indices into ``skeleton``.

    ``natural`` (J, 3) are world positions in the natural pose, ``frames`` (J, 4) world rotations of the joints in it.
    ``trunk`` pairs joints with their position between pelvis (0) and chest (1). ``ground`` is a joint under the
    creature above all others in the tree, or None. ``mouth`` is the tip of the head relative to the head joint.
    """

    plan: BodyPlan
    skeleton: Skeleton
    natural: Array
    frames: Array
    root: int
    ground: int | None
    trunk: tuple[tuple[int, float], ...]
    head: int
    mouth: Array
    neck: tuple[int, ...] = ()
    jaw: int | None = None
    nose: tuple[int, ...] = ()
    tail: tuple[int, ...] = ()
    legs: tuple[Leg, ...] = ()
    arms: tuple[Limb, ...] = ()
    wings: tuple[Limb, ...] = ()
    ears: tuple[Limb, ...] = ()
    antennae: tuple[Limb, ...] = ()
    mandibles: tuple[Limb, ...] = ()
    pectorals: tuple[Limb, ...] = ()
    caudals: tuple[Limb, ...] = ()

    @property
    def pelvis(self) -> int:
        """The rearmost joint of the trunk."""
        return min(self.trunk, key=lambda pair: pair[1])[0]

    @property
    def chest(self) -> int:
        """The foremost joint of the trunk."""
        return max(self.trunk, key=lambda pair: pair[1])[0]

    @cached_property
    def centre(self) -> Array:
        """The middle (3,) of the feet in the natural pose, on the ground."""
        return np.asarray(np.mean([leg.home for leg in self.legs], axis=0) * np.array([0.0, 0.0, 1.0]))

    @cached_property
    def hip_height(self) -> float:
        """The mean natural height of the hips in metres; of the root where there are no legs."""
        hips = [leg.chain[0] for leg in self.legs] or [self.root]
        return float(np.mean([self.natural[hip, 1] for hip in hips]))

    @cached_property
    def length(self) -> float:
        """The length from the rearmost joint of the trunk to the tip of the head, in metres."""
        joints = [*(j for j, _ in self.trunk), self.head]
        return float(np.ptp(self.natural[joints, 2])) + abs(float(self.mouth[2]))

    @cached_property
    def hanging(self) -> tuple[tuple[int, ...], ...]:
        """Chains of joints, base first, that can reach below the ground; carriers precede what they carry."""
        # After the neck, the head with its tip, then its appendages: jaws, antennae, ears, a trunk.
        ends = [self._line(child) for child in self.skeleton.children[self.head]]
        chains = [self.tail, (*self.neck, self.head)]
        chains += [(self.head, *line) for line in ends if len(line) == 1][:1] + ends
        limbs = (*self.wings, *self.arms, *self.caudals, *self.pectorals)
        chains += [chain for limb in limbs for chain in (limb.joints, *limb.fingers)]
        return tuple(chain for chain in chains if chain)

    def _line(self, joint: int) -> tuple[int, ...]:
        """``joint`` and the chain of first children below it."""
        children = self.skeleton.children[joint]
        return (joint, *(self._line(children[0]) if children else ()))

    @cached_property
    def offsets(self) -> Array:
        """Natural offsets from the parent along the creature's axes, (J, 3)."""
        return np.asarray(self.natural - self.skeleton.of_parents(self.natural, 0.0))

    def world(self, turns: Array, position: Array) -> tuple[Array, Array]:
        """Positions (T, J, 3) and turns ``D`` (T, J, 4) of all joints for local turns ``d`` (T, J, 4) and the position
        (T, 3) of joint 0."""
        positions, world = np.zeros((len(turns), len(self.natural), 3)), turns.copy()
        positions[:, 0] = position
        for level in self.skeleton.levels[1:]:
            joints, parents = list(level), [self.skeleton.parents[j] for j in level]
            above = world[:, parents]
            positions[:, joints] = positions[:, parents] + rot.rotate(above, self.offsets[joints])
            world[:, joints] = rot.multiply(above, turns[:, joints])
        return positions, world


@lru_cache(maxsize=64)
def assemble(plan: BodyPlan) -> Rig:
    """The rig of ``plan``, whose parents come before their children."""
    joints = _Joints(plan)
    ground = joints.add(-1, np.zeros(3), "root") if plan.rest.ground else None
    root = joints.add_trunk(-1 if ground is None else ground)
    parts: dict[str, Any] = {"tail": joints.add_tail()} if plan.rest.tail_first else {}
    parts |= joints.add_front()
    parts["legs"] = tuple(leg for k, pair in enumerate(plan.legs) for leg in joints.add_legs(k, pair))
    if plan.wings:
        parts["wings"] = tuple(joints.add_wing(plan.wings, side) for side in (1, -1))
    if plan.arms:
        parts["arms"] = tuple(joints.add_arm(plan.arms, side) for side in (1, -1))
    parts |= joints.add_fins()
    if "tail" not in parts:
        parts["tail"] = joints.add_tail()
    natural, parents = np.stack(joints.positions), tuple(joints.parents)
    skeleton, frames = _at_rest(plan, joint_names(plan.naming, joints.roles), parents, natural, parts)
    return Rig(plan, skeleton, natural, frames, root, ground, tuple(joints.trunk), **parts)


_RAKES = {1: (-8,), 2: (6, -14), 3: (-14, 16, -12), 4: (-14, 18, -6, -22)}  # forward, degrees, of a spread wing's bones


class _Joints:
    """The joints of a plan while they are added: roles, parents and natural positions."""

    def __init__(self, plan: BodyPlan) -> None:
        self.plan = plan
        self.roles: list[Role] = []
        self.parents: list[int] = []
        self.positions: list[Array] = []
        self.trunk: list[tuple[int, float]] = []

    def add(self, parent: int, position: Array, part: str, **role: int) -> int:
        self.roles.append(Role(part, **role))
        self.parents.append(parent)
        self.positions.append(np.asarray(position, dtype=np.float64))
        return len(self.roles) - 1

    def tip(self, parent: int, position: Array, part: str, **role: int) -> tuple[int, ...]:
        return (self.add(parent, position, part, **role),) if self.plan.rest.tips else ()

    def bones(
        self, parent: int, points: Sequence[Array], part: str, side: int = 0, finger: int | None = None
    ) -> tuple[int, ...]:
        """A chain of joints at ``points``; ``finger`` is its number among fingers."""
        n, own = len(points), [parent]
        for k, point in enumerate(points):
            index = {"index": finger * n + k} if finger is not None else {"index": k} if n > 1 else {}
            own.append(self.add(own[-1], point, part, side=side, **index))
        return tuple(own[1:])

    def row(
        self, parent: int, points: Sequence[Array], part: str, side: int = 0, finger: int | None = None
    ) -> tuple[int, ...]:
        """:meth:`bones` but for the last of ``points``, which is an end joint."""
        own = self.bones(parent, points[:-1], part, side, finger)
        index = {} if finger is None else {"index": finger}
        return (*own, *self.tip(own[-1], points[-1], f"{part}_tip", side=side, **index))

    def both(self, parent: int, part: str, n: int, position: Array, base: Array, out: Array) -> tuple[Limb, ...]:
        """A straight row of ``n`` bones on each side, from ``place + base`` along ``out`` (given for the left)."""
        points = [base + out * k / n for k in range(n + 1)]
        return tuple(
            Limb(side, self.row(parent, [position + _flip(point, side) for point in points], part, side))
            for side in (1, -1)
        )

    def spine(self, u: float) -> Array:
        """The position at the share ``u`` of the way from the pelvis to the chest."""
        trunk = self.plan.trunk
        forward = np.array([0.0, math.sin(trunk.pitch), math.cos(trunk.pitch)])
        start = np.array([0.0, trunk.height, -0.5 * trunk.length * math.cos(trunk.pitch)])
        return np.asarray(start + u * trunk.length * forward)

    def nearest(self, u: float) -> int:
        """The trunk's joint nearest to ``u``."""
        return min(self.trunk, key=lambda pair: abs(pair[1] - u))[0]

    def add_trunk(self, parent: int) -> int:
        """Adds the spine from its root out to both ends; returns the root."""
        trunk = self.plan.trunk
        n = trunk.n + 1 if trunk.root == "centre" and trunk.n % 2 == 0 else trunk.n
        at = [k / (n - 1) for k in range(n)]
        middle = {"hips": 0, "centre": n // 2, "front": n - 1}[trunk.root]
        root = self.add(parent, self.spine(at[middle]), "pelvis" if trunk.root != "front" else "chest")
        self.trunk.append((root, at[middle]))
        for step, stop in ((1, n), (-1, -1)):
            joint = root
            for k in range(middle + step, stop, step):
                part = "chest" if k == n - 1 and step == 1 else "spine"
                joint = self.add(joint, self.spine(at[k]), part, index=len(self.trunk) - 1)
                self.trunk.append((joint, at[k]))
        return root

    def add_tail(self) -> tuple[int, ...]:
        tail = self.plan.tail
        return self.row(self.nearest(0.0), _chain_points(tail, self.spine(-0.06), -1.0), "tail") if tail else ()

    def add_front(self) -> dict[str, Any]:
        plan, parent = self.plan, self.nearest(1.0)
        neck: tuple[int, ...] = ()
        end = self.spine(1.0 + (0.12 if plan.legs else 0.02))
        if plan.neck is not None:
            *points, end = _chain_points(plan.neck, self.spine(1.06), 1.0)
            neck = self.bones(parent, points, "neck")
        return {"neck": neck, **self._add_head(plan.head, neck[-1] if neck else parent, end)}

    def _add_head(self, head: Head, parent: int, position: Array) -> dict[str, Any]:
        joint = self.add(parent, position, "head")
        forward = np.array([0.0, math.sin(head.pitch), math.cos(head.pitch)])
        left, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, forward[2], -forward[1]])
        mouth = head.length * forward
        parts: dict[str, Any] = {"head": joint, "mouth": mouth}
        self.tip(joint, position + mouth, "head_tip")
        if head.jaw:
            parts["jaw"] = self.add(joint, position + mouth * 0.25 - up * 0.12 * head.length, "jaw")
            self.tip(parts["jaw"], position + mouth * 0.92 - up * 0.16 * head.length, "jaw_tip")
        for key, part, n, base, out in (
            ("ears", "ear", head.ears, 0.32 * left + 0.3 * up + 0.1 * forward, 0.12 * left + 0.4 * up),
            ("antennae", "antenna", head.antennae, 0.12 * left + 0.9 * forward + 0.2 * up,
             0.45 * left + 0.8 * forward + 0.7 * up),
            ("mandibles", "mandible", int(head.mandibles), 0.2 * left + 0.85 * forward - 0.15 * up,
             0.4 * forward - 0.08 * left),
        ):  # fmt: skip
            if n:
                parts[key] = self.both(joint, part, n, position, head.length * base, head.length * out)
        if head.nose is not None:
            parts["nose"] = self.row(joint, _chain_points(head.nose, position + mouth, 1.0), "nose")
        return parts

    def add_legs(self, k: int, pair: LegPair) -> Iterator[Leg]:
        """Adds the left and the right leg of pair number ``k``."""
        position = self.spine(pair.at)
        points, toe = _leg_points(pair, float(position[1]) - pair.drop)
        for side in (1, -1):
            role = {"side": side, "pair": k, "n_pairs": len(self.plan.legs)}
            hip = position + np.array([side * pair.spread, -pair.drop, 0.0])
            own = [self.nearest(pair.at)]
            if pair.girdle:
                inner = self.spine(pair.at - 0.06) + np.array([side * 0.4 * pair.spread, 0.0, 0.0])
                own = [self.add(own[0], inner, "girdle", **role)]
            for part, point in zip(_leg_parts(pair), points, strict=True):
                own.append(self.add(own[-1], hip + _flip(point, side), part, **role))
            end = self.add(own[-1], hip + _flip(toe, side), "toe_tip", **role) if pair.toe > 0 else None
            chain = tuple(own[1:-1] if pair.foot > 0 else own[1:])
            bones, home = fold(np.stack([self.positions[j] for j in chain])), self.positions[own[-1]]
            yield Leg(side, k, chain, own[-1], end, bones, home - self.positions[chain[-1]], home)

    def add_arm(self, arms: Arms, side: int) -> Limb:
        own = [self.nearest(1.0)]
        position = self.spine(1.0) + np.array([side * arms.spread, arms.rise, 0.0])
        if arms.clavicle:
            inner = self.spine(1.0) + np.array([side * 0.2 * arms.spread, arms.rise, 0.0])
            own = [self.add(own[0], inner, "clavicle", side=side)]
        outward = (1.0, 0.05, -0.5) if arms.pincer else (1.0, 0.4, 0.2)
        direction = np.zeros(3)
        bones = zip(("upper_arm", "forearm", "hand"), arms.lengths, arms.angles, outward, strict=True)
        for part, length, a, share in bones:
            own.append(self.add(own[-1], position, part, side=side))
            out = arms.out * share
            direction = np.array([side * math.sin(out), -math.cos(a) * math.cos(out), math.sin(a) * math.cos(out)])
            position = position + length * direction
        fingers = tuple(self._add_fingers(arms, own[-1], position, direction, side))
        end = () if fingers else self.tip(own[-1], position, "hand_tip", side=side)
        return Limb(side, (*own[1:], *end), fingers)

    def _add_fingers(
        self, arms: Arms, hand: int, position: Array, direction: Array, side: int
    ) -> Iterator[tuple[int, ...]]:
        length, n = arms.lengths[2] * (0.8 if arms.pincer else 0.6), arms.finger_joints
        # Pincers open sideways; the fingers of a hanging hand are in a row from front to back.
        across = np.array([float(side), 0.0, 0.0]) if arms.pincer else np.array([0.0, 0.0, 1.0])
        for f in range(arms.fingers):
            spread = (f / max(arms.fingers - 1, 1) - 0.5) * (0.9 if arms.pincer else 0.6)
            ray = direction + spread * across
            ray = length * ray / np.linalg.norm(ray)
            start = position - direction * length * 0.2 + across * spread * 0.3 * length
            yield self.row(hand, [start + ray * k / n for k in range(n + 1)], "finger", side, f)

    def add_wing(self, wings: Wings, side: int) -> Limb:
        """Adds a wing, with the fingers of a dragon's membrane."""
        points = [self.spine(wings.at) + np.array([side * wings.spread, wings.rise, 0.0])]
        for length, rake in zip(wings.lengths, np.radians(_RAKES[len(wings.lengths)]), strict=True):
            points.append(points[-1] + length * _flip((math.cos(rake), 0.0, math.sin(rake)), side))
        own = self.row(self.nearest(wings.at), points, "wing", side)
        wrist, hand, n = points[-2], own[len(wings.lengths) - 1], wings.finger_joints
        fingers = []
        for f in range(wings.fingers):
            angle = math.radians(-35 - 65 * f / max(wings.fingers - 1, 1))
            ray = wings.lengths[-1] * (0.9 - 0.1 * f) * _flip((math.cos(angle), 0.0, math.sin(angle)), side)
            along = [wrist + ray * (0.06 + 0.94 * k / n) for k in range(n + 1)]
            fingers.append(self.row(hand, along, "membrane", side, f))
        return Limb(side, own, tuple(fingers))

    def add_fins(self) -> dict[str, Any]:
        """Adds a fish's fins; returns those used by motions by their names in :class:`Rig`."""
        fins, length = self.plan.fins, self.plan.size
        parts: dict[str, Any] = {}
        if fins is None:
            return parts
        if fins.pectoral:
            position = self.spine(0.8) + np.array([0.0, -0.03 * length, 0.0])
            base, out = np.array([0.05 * length, 0.0, 0.0]), np.array([0.78, -0.25, -0.57]) * fins.length
            parts["pectorals"] = self.both(self.nearest(0.8), "pectoral", fins.pectoral, position, base, out)
        if fins.dorsal:
            rise = np.array([0.0, 0.09, -0.05]) * length
            base = self.spine(0.55) + 0.6 * rise
            self.row(self.nearest(0.55), [base, base + rise], "dorsal")
        if fins.pelvic:
            base, out = np.array([0.03, -0.06, 0.0]) * length, np.array([0.05, -0.05, -0.05]) * length
            self.both(self.nearest(0.4), "pelvic", 1, self.spine(0.4), base, out)
        pelvis, end = self.nearest(0.0), self.spine(0.0)
        if fins.tail == "lobes":
            upper = np.array([[0.0, 0.02, -0.02], [0.0, 0.12, -0.10]]) * length
            lobes = (("lobe_up", upper), ("lobe_down", upper * np.array([1.0, -0.8, 1.0])))
            parts["caudals"] = tuple(Limb(0, self.row(pelvis, list(end + points), part)) for part, points in lobes)
        elif fins.tail == "flukes":
            base, out = np.array([0.02, 0.0, -0.02]) * length, np.array([0.11, 0.0, -0.06]) * length
            parts["caudals"] = self.both(pelvis, "fluke", 1, end, base, out)
        elif self.plan.wings is not None:  # a ray's thin tail
            whip = Chain(4, 0.6 * length, 0.0, math.radians(4), 0.95)
            parts["tail"] = self.row(pelvis, _chain_points(whip, self.spine(-0.04), -1.0), "tail")
        return parts


def _flip(vector: Sequence[float] | Array, side: int) -> Array:
    """A vector of the left side, mirrored to ``side``."""
    return np.asarray(np.asarray(vector, dtype=np.float64) * np.array([side, 1.0, 1.0]))


def _chain_points(chain: Chain, start: Array, forward: float) -> list[Array]:
    """The n + 1 points of a chain that goes forward (1) or backward (-1)."""
    lengths = chain.taper ** np.arange(chain.n)
    lengths = chain.length * lengths / lengths.sum()
    points = [start]
    for k, length in enumerate(lengths):
        pitch = chain.pitch + (chain.end_pitch - chain.pitch) * (k + 0.5) / chain.n
        points.append(points[-1] + length * np.array([0.0, math.sin(pitch), forward * math.cos(pitch)]))
    return points


def _leg_parts(pair: LegPair) -> tuple[str, ...]:
    """The parts of a leg's joints, hip to contact."""
    if pair.azimuth > 0 and pair.foot == 0.0:
        return ("coxa", "thigh", "shin", "toe")
    if len(pair.lengths) == 3:
        return ("thigh", "shin", "metatarsus", *(("pastern",) if pair.foot > 0 else ()), "toe")
    return ("thigh", "shin", "foot", "toe")


def _leg_points(pair: LegPair, height: float) -> tuple[list[Array], Array]:
    """A left leg's joints relative to its hip at ``height``, down to the contact; and the end of its toe."""
    outward = np.array([math.sin(pair.azimuth), 0.0, math.cos(pair.azimuth)])
    down, foot = np.array([0.0, -1.0, 0.0]), np.zeros(3)
    if pair.foot > 0:
        ahead = np.array([0.12, 0.0, 1.0]) / math.hypot(0.12, 1.0)
        foot = pair.foot * height * (math.cos(pair.foot_pitch) * ahead + math.sin(pair.foot_pitch) * down)
    tilt, points = 0.0, [np.zeros(3)]
    for _ in range(8):  # turns the whole chain until the foot is at ``home``
        angles = [a + tilt for a in pair.angles]
        bones = np.array(
            [w * (math.cos(a) * down + math.sin(a) * outward) for w, a in zip(pair.lengths, angles, strict=True)]
        )
        scale = (height + foot[1]) / -bones[:, 1].sum()
        points = [np.zeros(3), *np.cumsum(bones * scale, axis=0)]
        if pair.home is None:
            break
        tilt += pair.home - float(points[-1][2] + foot[2]) / height
    if pair.foot > 0:
        points.append(points[-1] + foot)
    ahead = np.array([0.1, 0.0, 1.0]) if pair.foot > 0 or pair.azimuth == 0 else outward
    return points, points[-1] + pair.toe * height * ahead / np.linalg.norm(ahead)


# Yaw of each joint when folded, degrees, backward positive: the arm back, the forearm forward along it, the hand back.
_FOLDED = {1: (80.0,), 2: (76.0, 10.0), 3: (62.0, -132.0, 146.0), 4: (62.0, -132.0, 138.0, 14.0)}


def folded(n: int, amount: float | Array, side: int) -> Array:
    """Yaw angles (..., n) in radians of a wing's ``n`` joints for a fold ``amount`` (...) from 0, spread, to 1."""
    return np.asarray(side * np.radians(_FOLDED[n]) * np.asarray(amount, dtype=np.float64)[..., None])


def _at_rest(
    plan: BodyPlan, names: tuple[str, ...], parents: tuple[int, ...], natural: Array, parts: Mapping[str, Any]
) -> tuple[Skeleton, Array]:
    """The skeleton with its rest pose, and the world rotations (J, 4) that its joints have in the natural pose.

    ``natural`` (J, 3) are the natural positions; ``parts`` has the limbs by their names in :class:`Rig`.
    """
    turns = _rest_turns(plan, natural, parts)
    positions, world = natural.copy(), turns.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            positions[j] = positions[parent] + rot.rotate(world[parent], natural[j] - natural[parent])
            world[j] = rot.multiply(world[parent], turns[j])
    positions[:, 1] -= positions[1 if plan.rest.ground else 0 :, 1].min()
    axes = _axes(plan, parents, positions)
    # In the natural pose a joint is turned as at rest, less the turn that leads from the natural pose to the rest pose.
    frames = rot.multiply(rot.inverse(world), axes)
    local, offsets = axes.copy(), positions.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            undo = rot.inverse(axes[parent])
            local[j] = rot.multiply(undo, axes[j])
            offsets[j] = rot.rotate(undo, positions[j] - positions[parent])
    return Skeleton(names, parents, offsets, local), frames


def _rest_turns(plan: BodyPlan, natural: Array, parts: Mapping[str, Any]) -> Array:
    """Local turns (J, 4) from the natural pose to the rest pose."""
    rest, turns = plan.rest, rot.identity(len(natural))
    if rest.arms and plan.arms is not None:
        for arm in parts["arms"]:
            turns[arm.joints[0]] = rot.about("z", arm.side * rest.arms)
    if rest.wings and plan.kind != "fish" and plan.wings is not None:
        for wing in parts["wings"]:
            for joint, yaw in zip(wing.joints, folded(len(plan.wings.lengths), rest.wings, wing.side), strict=False):
                turns[joint] = rot.about("y", yaw)
    if rest.legs:
        for leg in parts["legs"]:
            _straighten(turns, leg, rest.legs)
    if rest.level:
        _level(turns, natural, parts["neck"], -1.0, 0.5 * rest.level)
        if "sting" not in plan.habits:
            _level(turns, natural, parts["tail"], 1.0, rest.level)
    return turns


def _straighten(turns: Array, leg: Leg, amount: float) -> None:
    """Reduces the bends of a leg by the share ``amount`` and keeps its line from hip to foot."""
    chain = leg.fold
    bends = chain.turns * (1.0 - amount)
    x, y = chain.end(bends)
    x0, y0 = chain.end(chain.turns)
    left = turns[leg.chain[0]] = rot.from_rotvec(chain.axis * (math.atan2(y0, x0) - math.atan2(y, x)))
    for joint, bend in zip(leg.chain[1:-1], bends - chain.turns, strict=True):
        turns[joint] = rot.from_rotvec(chain.axis * bend)
        left = rot.multiply(left, turns[joint])
    turns[leg.chain[-1]] = rot.inverse(left)


def _level(turns: Array, natural: Array, joints: Sequence[int], sign: float, amount: float) -> None:
    """Reduces the pitch of each bone of a chain to the rear (``sign`` 1) or the front (-1) by the share ``amount``."""
    before = 0.0
    for joint, after in itertools.pairwise(joints):
        bone = natural[after] - natural[joint]
        pitch = math.atan2(bone[1], math.hypot(bone[0], bone[2]))
        turns[joint] = rot.about("x", -sign * amount * pitch - before)
        before = -sign * amount * pitch


def _axes(plan: BodyPlan, parents: Sequence[int], positions: Array) -> Array:
    """World rotations (J, 4) of the joints at rest: the world's axes, or with the bone along y or x."""
    axes = rot.identity(len(parents))
    if plan.rest.frame != "world":
        unit = np.array([0.0, 1.0, 0.0]) if plan.rest.frame == "y" else np.array([1.0, 0.0, 0.0])
        first = {parent: j for j, parent in reversed(list(enumerate(parents)))}
        for j, parent in enumerate(parents):
            if j in first:
                axes[j] = rot.between(unit, positions[first[j]] - positions[j])
            elif parent >= 0:
                axes[j] = axes[parent]
    if plan.rest.ground:
        axes[0] = rot.about("x", -math.pi / 2) if plan.rest.armature else rot.identity()
    return axes
