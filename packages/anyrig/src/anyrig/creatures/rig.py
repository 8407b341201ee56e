"""A body plan made into joints: the natural pose, what each joint is for, and the skeleton a file would hold.

Motions are told as turns away from the *natural pose*, about the creature's own axes (x left, y up, z forward): the
world rotation of joint j is ``W_j = D_j * N_j``, with ``D_j`` the turn and ``N_j`` the joint's rotation in the natural
pose. ``D_j = D_parent * d_j``, so that a clip's local rotation is ``N_parent^-1 * d_j * N_j``, whatever the rest pose
and the joint axes of the skeleton are. Both are thus free to differ as they do between real rigs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures.ik import Fold, stack
from anyrig.creatures.plans import Plan
from anyrig.skeleton import Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Leg:
    """One leg. ``chain`` runs from the hip to the bone end that inverse kinematics places; ``contact`` is the joint
    that stands on the ground (the chain's end or a child of it), ``toe`` one before it that lies flat or None.

    ``fold`` solves the chain; ``foot`` is the natural vector from the chain's end to the contact, ``home`` the natural
    place of the contact.
    """

    side: int
    pair: int
    girdle: int | None
    chain: tuple[int, ...]
    contact: int
    toe: int | None
    fold: Fold
    foot: Array
    home: Array


@dataclass(frozen=True, eq=False)
class LegTable:
    """What is asked of all L legs at once: joint numbers (L,), sides (L,), vectors (L, 3).

    ``lines`` are natural vectors from hip to contact; ``footed`` says whose contact is not the chain's end.
    ``groups`` stack the legs with as many bones: their numbers, their chains, and the chains' joints (legs, n + 1).
    """

    hips: NDArray[np.intp]
    parents: NDArray[np.intp]
    ends: NDArray[np.intp]
    contacts: NDArray[np.intp]
    sides: Array
    lines: Array
    feet: Array
    longest: Array
    footed: NDArray[np.bool_]
    groups: tuple[tuple[list[int], Fold, NDArray[np.intp]], ...]


@dataclass(frozen=True, eq=False)
class Limb:
    """An arm, a wing, an ear, a fin: ``joints`` from its base outward, and ``fingers`` that spring from it."""

    side: int
    joints: tuple[int, ...]
    fingers: tuple[tuple[int, ...], ...] = ()
    clavicle: int | None = None


@dataclass(frozen=True, eq=False)
class Rig:
    """The joints of a creature by what they do; indices into ``skeleton``.

    ``natural`` (J, 3) are world positions in the natural pose, ``frames`` (J, 4) world rotations of the joints in it.
    ``trunk`` pairs joints with their place between pelvis (0) and chest (1). ``ground`` is a joint under the creature
    that holds all others, or None. ``mouth`` is the tip of the head relative to the head joint.
    """

    plan: Plan
    skeleton: Skeleton
    natural: Array
    frames: Array
    root: int
    ground: int | None
    trunk: tuple[tuple[int, float], ...]
    neck: tuple[int, ...] = ()
    head: int | None = None
    mouth: Array | None = None
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
        """The middle of the feet in the natural pose, on the ground; under the root where there are no legs. (3,)"""
        if not self.legs:
            return np.asarray(self.natural[self.root] * np.array([1.0, 0.0, 1.0]))
        return np.asarray(np.mean([leg.home for leg in self.legs], axis=0) * np.array([0.0, 0.0, 1.0]))

    @cached_property
    def hip_height(self) -> float:
        """The mean natural height of the hips in metres; of the root where there are no legs."""
        if not self.legs:
            return float(self.natural[self.root, 1])
        return float(np.mean([self.natural[leg.chain[0], 1] for leg in self.legs]))

    @cached_property
    def length(self) -> float:
        """From the rearmost to the foremost joint of head and trunk, in metres."""
        joints = [j for j, _ in self.trunk] + ([self.head] if self.head is not None else [])
        return float(np.ptp(self.natural[joints, 2])) + (0.0 if self.mouth is None else abs(float(self.mouth[2])))

    @cached_property
    def levels(self) -> tuple[tuple[list[int], list[int]], ...]:
        """(joints, their parents) by depth, roots left out."""
        return _levels(self.skeleton, range(self.skeleton.n_joints))

    @cached_property
    def upper_levels(self) -> tuple[tuple[list[int], list[int]], ...]:
        """:attr:`levels` up to and including the hips: what the legs hang from."""
        below = {j for leg in self.legs for j in leg.chain[1:]}
        below |= {j for leg in self.legs for j in (leg.contact, leg.toe) if j is not None}
        for j, parent in enumerate(self.skeleton.parents):
            if parent in below:
                below.add(j)
        return _levels(self.skeleton, [j for j in range(self.skeleton.n_joints) if j not in below])

    @cached_property
    def leg_table(self) -> LegTable:
        """The legs side by side."""
        legs = self.legs
        hips = np.array([leg.chain[0] for leg in legs])
        ends, contacts = np.array([leg.chain[-1] for leg in legs]), np.array([leg.contact for leg in legs])
        groups = []
        for n in sorted({len(leg.chain) for leg in legs}):
            own = [k for k, leg in enumerate(legs) if len(leg.chain) == n]
            groups.append((own, stack([legs[k].fold for k in own]), np.array([legs[k].chain for k in own])))
        return LegTable(
            hips=hips,
            parents=np.array([self.skeleton.parents[j] for j in hips]),
            ends=ends,
            contacts=contacts,
            sides=np.array([float(leg.side) for leg in legs]),
            lines=np.stack([leg.home for leg in legs]) - self.natural[hips],
            feet=np.stack([leg.foot for leg in legs]),
            longest=np.array([leg.fold.longest for leg in legs]),
            footed=ends != contacts,
            groups=tuple(groups),
        )

    @cached_property
    def hanging(self) -> tuple[tuple[int, ...], ...]:
        """Chains of joints, base first, that may hang into the ground; what carries others stands before them."""
        chains = [self.tail]
        if self.head is not None:
            # The head with its tip, then what else grows from it: jaws, feelers, ears, a trunk.
            ends = [self._line(child) for child in self.skeleton.children[self.head]]
            chains.append((*self.neck, self.head))
            chains += [(self.head, *line) for line in ends if len(line) == 1][:1] + ends
        limbs = (*self.wings, *self.arms, *self.caudals, *self.pectorals)
        chains += [chain for limb in limbs for chain in (limb.joints, *limb.fingers)]
        return tuple(chain for chain in chains if chain)

    def _line(self, joint: int) -> tuple[int, ...]:
        """``joint`` and what follows it, first child by first child."""
        line = [joint]
        while self.skeleton.children[line[-1]]:
            line.append(self.skeleton.children[line[-1]][0])
        return tuple(line)

    @cached_property
    def offsets(self) -> Array:
        """Natural offsets from the parent along the creature's axes, (J, 3)."""
        parents = np.array(self.skeleton.parents)
        above = np.where(parents[:, None] >= 0, self.natural[np.maximum(parents, 0)], 0.0)
        return np.asarray(self.natural - above)

    def world(self, turns: Array, position: Array, *, upper: bool = False) -> tuple[Array, Array]:
        """Positions (T, J, 3) and turns ``D`` (T, J, 4) of all joints for local turns ``d`` (T, J, 4) and the place
        (T, 3) of joint 0. With ``upper`` what is below the hips is left unset."""
        n = len(turns)
        places = np.zeros((n, len(self.natural), 3))
        world = turns.copy()
        places[:, 0] = position
        for joints, parents in self.upper_levels if upper else self.levels:
            above = world[:, parents]
            places[:, joints] = places[:, parents] + rot.rotate(above, self.offsets[joints])
            world[:, joints] = rot.multiply(above, turns[:, joints])
        return places, world


def _levels(skeleton: Skeleton, joints: Sequence[int]) -> tuple[tuple[list[int], list[int]], ...]:
    wanted = set(joints)
    levels = []
    for level in skeleton.levels[1:]:
        here = [j for j in level if j in wanted]
        if here:
            levels.append((here, [skeleton.parents[j] for j in here]))
    return tuple(levels)
