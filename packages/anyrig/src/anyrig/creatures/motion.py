"""A motion as it is put together: turns of joints, a path of the root, feet; and how a clip is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures.curves import Curve, wave
from anyrig.creatures.feet import Feet, standing
from anyrig.creatures.ground import keep_off_ground, plant
from anyrig.creatures.rig import Rig
from anyrig.creatures.style import Style

Array = NDArray[np.float64]

PITCH, YAW, ROLL = 0, 1, 2
_CLEARANCE = 0.01  # of the size: how far above the ground tails and heads are kept


@dataclass
class Motion:
    """T frames of a creature in the making.

    ``angles`` (T, J, 3) are pitch (nose down), yaw (to the left) and roll (left side up) of each joint from its natural
    pose, radians about the creature's axes; ``place`` (T, 3) is the world position of the body's root, its heading
    ``heading`` (T,), which is not in ``angles``. ``exact`` holds whole local turns (T, 4) of joints, which go before
    their angles. ``cyclic`` motions end as they began. Where ``lying`` (T,) is 1 the trunk lies on the ground.
    """

    rig: Rig
    style: Style
    times: Array
    fps: float
    angles: Array = field(init=False)
    place: Array = field(init=False)
    heading: Array = field(init=False)
    lying: Array = field(init=False)
    feet: Feet = field(init=False)
    chest: Array = field(init=False)
    exact: dict[int, Array] = field(default_factory=dict)
    cyclic: bool = False
    speed: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.times)
        self.angles = np.zeros((n, len(self.rig.natural), 3))
        self.place = np.tile(self.rig.natural[self.rig.root], (n, 1))
        self.heading = np.zeros(n)
        self.lying = np.zeros(n)
        self.feet = standing(self.rig, n)
        self.chest = np.zeros((n, 3))

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.times)

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.times[-1])

    @property
    def progress(self) -> Array:
        """From 0 in the first frame to 1 in the last, (T,)."""
        return self.times / self.times[-1] if self.times[-1] > 0 else self.times

    @property
    def size(self) -> float:
        """The scale that amplitudes in metres go with: the height of the hips, or a part of the body's length."""
        return self.rig.hip_height if self.rig.legs else 0.3 * self.rig.plan.size

    # -- turning joints

    def turn(self, joint: int | None, *, pitch: Curve = 0.0, yaw: Curve = 0.0, roll: Curve = 0.0) -> None:
        """Adds angles, numbers or (T,), to one joint's."""
        if joint is not None:
            self.angles[:, joint, PITCH] += pitch
            self.angles[:, joint, YAW] += yaw
            self.angles[:, joint, ROLL] += roll

    def bend(self, joints: Sequence[int], *, pitch: Curve = 0.0, yaw: Curve = 0.0, roll: Curve = 0.0) -> None:
        """Shares angles out over a chain, so that its end is turned by them."""
        for joint in joints:
            n = len(joints)
            self.turn(joint, pitch=np.asarray(pitch) / n, yaw=np.asarray(yaw) / n, roll=np.asarray(roll) / n)

    def ripple(self, joints: Sequence[int], axis: int, amplitude: Curve, cycles: Curve, lag: float = 0.1) -> None:
        """A wave that travels out along a chain, ``lag`` cycles a joint; ``amplitude`` is the whole chain's."""
        for k, joint in enumerate(joints):
            share = np.asarray(amplitude) * (0.6 + 0.8 * k / max(len(joints) - 1, 1)) / max(len(joints), 1)
            self.angles[:, joint, axis] += share * wave(cycles, lag * (k + 1))

    def trunk(self, pelvis: Sequence[Curve], chest: Sequence[Curve]) -> None:
        """Turns the pelvis and the chest by (pitch, yaw, roll), and what is between by what is between."""
        ends = [np.stack([np.broadcast_to(a, self.times.shape) for a in end], axis=-1) for end in (pelvis, chest)]
        at = dict(self.rig.trunk)
        for joint, u in self.rig.trunk:
            turned = (1 - u) * ends[0] + u * ends[1]
            parent = self.rig.skeleton.parents[joint]
            if parent in at:
                turned = turned - ((1 - at[parent]) * ends[0] + at[parent] * ends[1])
            self.angles[:, joint] += turned
        self.chest = self.chest + ends[1]

    def tilt(self, pitch: Curve) -> None:
        """Pitches the whole trunk (nose down) about the pelvis, which stays where it is."""
        arm = self.rig.natural[self.rig.root] - self.rig.natural[self.rig.pelvis]
        turned = rot.rotate(rot.about("x", np.broadcast_to(pitch, self.times.shape)), arm)
        self.place += rot.rotate(rot.about("y", self.heading), turned - arm)
        self.trunk((pitch, 0.0, 0.0), (pitch, 0.0, 0.0))

    def shift(self, *, forward: Curve = 0.0, left: Curve = 0.0, up: Curve = 0.0) -> None:
        """Moves the body by so many metres along the axes of its heading."""
        sine, cosine = np.sin(self.heading), np.cos(self.heading)
        self.place[:, 0] += forward * sine + left * cosine
        self.place[:, 1] += up
        self.place[:, 2] += forward * cosine - left * sine

    def heave(self, pelvis: Curve, chest: Curve) -> None:
        """Raises the pelvis and the chest by so many metres, which pitches the trunk."""
        at = dict(self.rig.trunk)[self.rig.root]
        self.place[:, 1] += (1 - at) * np.asarray(pelvis) + at * np.asarray(chest)
        run = abs(self.rig.natural[self.rig.chest, 2] - self.rig.natural[self.rig.pelvis, 2])
        if run > 0.3 * self.rig.plan.trunk.length:
            pitch = -np.arctan2(np.asarray(chest) - np.asarray(pelvis), run)
            self.trunk((pitch, 0.0, 0.0), (pitch, 0.0, 0.0))

    def look(self, *, pitch: Curve = 0.0, yaw: Curve = 0.0, roll: Curve = 0.0) -> None:
        """Turns the head relative to the chest: two thirds of it by the neck."""
        head = [] if self.rig.head is None else [self.rig.head]
        if not self.rig.neck:
            self.bend(head, pitch=pitch, yaw=yaw, roll=roll)
            return
        for joints, share in ((self.rig.neck, 0.65), (head, 0.35)):
            self.bend(
                joints, pitch=np.asarray(pitch) * share, yaw=np.asarray(yaw) * share, roll=np.asarray(roll) * share
            )

    def steady(self, amount: float = 0.8) -> None:
        """Keeps the head still against ``amount`` of the chest's turning so far."""
        pitch, yaw, roll = np.moveaxis(-amount * (self.chest - self.chest.mean(axis=0)), -1, 0)
        self.look(pitch=pitch, yaw=yaw, roll=roll)

    def open_jaw(self, amount: Curve) -> None:
        """Opens the mouth by ``amount`` (1 is wide), mandibles too."""
        self.turn(self.rig.jaw, pitch=0.6 * np.asarray(amount))
        for part in self.rig.mandibles:
            self.turn(part.joints[0], yaw=part.side * 0.5 * np.asarray(amount))

    # -- making the clip's numbers

    def local(self) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Solves the motion: local turns (T, J, 4), the place (T, 3) of joint 0, and which feet (T, L) stand firm."""
        turns = self.turns()
        self._lie_down(turns)
        firm = plant(self, turns)
        keep_off_ground(self.rig, turns, self.origin(), _CLEARANCE * self.size)
        places, _ = self.rig.world(turns, self.origin())
        bodies = [j for j in range(len(self.rig.natural)) if j != self.rig.ground]
        buried = np.maximum(-places[:, bodies, 1].min(axis=1), 0.0)
        self.place[:, 1] += buried
        return turns, self.origin(), firm & (buried < 1e-9)[:, None]

    def _lie_down(self, turns: Array) -> None:
        """Lets the trunk down on the ground, with the thickness it has between its hips."""
        if not self.lying.any():
            return
        rig = self.rig
        places, _ = rig.world(turns, self.origin(), upper=True)
        wide = max((pair.spread for pair in rig.plan.legs), default=rig.plan.trunk.height)
        half = min(0.8 * wide, 0.4 * rig.hip_height)
        lowest = places[:, [j for j, _ in rig.trunk], 1].min(axis=1) - half
        if rig.legs:
            lowest = np.minimum(lowest, places[:, [leg.chain[0] for leg in rig.legs], 1].min(axis=1))
        self.place[:, 1] -= self.lying * lowest

    def turns(self) -> Array:
        """Local turns (T, J, 4) but for the legs, which are left natural."""
        turns = rot.identity(*self.angles.shape[:2])
        for order, joints in _orders(self.rig).items():
            axes = [{"X": PITCH, "Y": YAW, "Z": ROLL}[letter] for letter in order]
            turns[:, joints] = rot.from_euler(self.angles[:, joints][..., axes], order)
        for joint, turn in self.exact.items():
            turns[:, joint] = turn
        if self.rig.ground is None:
            turns[:, self.rig.root] = rot.multiply(rot.about("y", self.heading), turns[:, self.rig.root])
        else:
            turns[:, self.rig.ground] = rot.about("y", self.heading)
        return turns

    def origin(self) -> Array:
        """The place (T, 3) of joint 0: the root's, or that of the joint under it."""
        if self.rig.ground is None:
            return self.place
        return np.asarray(self.place - rot.rotate(rot.about("y", self.heading), self.rig.natural[self.rig.root]))


def _orders(rig: Rig) -> dict[str, list[int]]:
    """Joints by the order of their three turns: a trunk's heading first, a wing's beat first, an arm's swing first."""
    limbs = (*rig.wings, *rig.ears, *rig.antennae, *rig.mandibles, *rig.pectorals, *rig.caudals)
    beating = {j for limb in limbs for j in (*limb.joints, *(f for finger in limb.fingers for f in finger))}
    swinging = {j for limb in rig.arms for j in (*limb.joints, *(f for finger in limb.fingers for f in finger))}
    rest = set(range(len(rig.natural))) - beating - swinging
    orders = {"YXZ": rest, "ZYX": beating, "XZY": swinging}
    return {order: sorted(joints) for order, joints in orders.items() if joints}
