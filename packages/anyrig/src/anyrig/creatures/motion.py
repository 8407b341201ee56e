"""The data that an action fills: curves over time, a style, turns of joints, the root's path, targets of the feet.

:meth:`Motion.local` then brings the feet to their targets and keeps the body above the ground.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures.rig import Limb, Rig, folded, solve_chain, stack_chains
from anyrig.rotations import Array

Curve = float | Array  # a number, or one per frame
Mask = NDArray[np.bool_]

TAU = 2.0 * math.pi
GRAVITY = 9.81
PITCH, YAW, ROLL = 0, 1, 2
_CLEARANCE = 0.01  # of the size: how far above the ground tails and heads are kept
_UP = np.array([0.0, 1.0, 0.0])


# -- curves: scalar functions of time, vectorised and C1 at least


def smooth(u: Curve) -> Array:
    """From 0 at u <= 0 to 1 at u >= 1 with zero velocity and acceleration at the ends (minimum jerk)."""
    u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
    return np.asarray(u * u * u * (10.0 + u * (6.0 * u - 15.0)))


def bump(u: Curve, skew: float = 1.0) -> Array:
    """0 at u <= 0 and u >= 1 with zero slope, 1 once in between (in the middle for ``skew`` 1, earlier below 1)."""
    u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
    return np.asarray(np.sin(np.pi * u**skew) ** 2)


def track(u: Curve, *keys: tuple[float, float]) -> Array:
    """A curve through ``keys`` (u, value) in order of u: at rest at each key, minimum jerk in between."""
    u = np.asarray(u, dtype=np.float64)
    value = np.full(u.shape, float(keys[0][1]))
    for (left, a), (right, b) in itertools.pairwise(keys):
        value = value + (b - a) * smooth((u - left) / max(right - left, 1e-9))
    return value


def wave(cycles: Curve, lag: float = 0.0) -> Array:
    """sin(2 pi (cycles - lag))."""
    return np.asarray(np.sin(TAU * (np.asarray(cycles, dtype=np.float64) - lag)))


def spans(u: Curve, rise: tuple[float, float], fall: tuple[float, float]) -> Array:
    """0, then 1 from the end of ``rise`` to the start of ``fall``, then 0 again."""
    u = np.asarray(u, dtype=np.float64)
    up, down = (smooth((u - start) / max(end - start, 1e-9)) for start, end in (rise, fall))
    return np.asarray(up - down)


def hermite(t: Curve, *knots: tuple[float, float, float]) -> Array:
    """The piecewise cubic through ``knots`` (time, value, velocity); constant outside them."""
    t = np.asarray(t, dtype=np.float64)
    out = np.full(t.shape, float(knots[0][1]))
    for (t0, y0, v0), (t1, y1, v1) in itertools.pairwise(knots):
        h = max(t1 - t0, 1e-9)
        u = (t - t0) / h
        start = (1 + 2 * u) * (1 - u) ** 2 * y0 + u * (1 - u) ** 2 * h * v0
        cubic = start + u * u * (3 - 2 * u) * y1 + u * u * (u - 1) * h * v1
        out = np.where((u >= 0) & (u < 1), cubic, out)
    return np.where(t >= knots[-1][0], float(knots[-1][1]), out)


def running_max(values: Array, reach: int) -> Array:
    """A smooth curve nowhere below ``values`` (T,): a running maximum, then a mean, ``reach`` frames each way."""
    window = 2 * reach + 1
    padded = np.pad(values, 2 * reach, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, window).max(axis=-1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(highest, window).mean(axis=-1))


# -- style


@dataclass(frozen=True)
class Style:
    """``speed`` multiplies the cadence, ``energy`` the amplitudes (1 is typical). ``head`` and ``tail`` are raised by
    these radians, the body is lowered by ``crouch`` (a share of the leg's length). ``seed`` is for all other variation.
    """

    mood: str = "neutral"
    speed: float = 1.0
    energy: float = 1.0
    head: float = 0.0
    tail: float = 0.0
    crouch: float = 0.0
    seed: int = 0

    @property
    def pace(self) -> str:
        """The speed in a caption: ``"slow"``, ``"fast"`` or ``""``."""
        return "slow" if self.speed < 0.87 else "fast" if self.speed > 1.13 else ""


# mood: (share, speed, energy, head, tail, crouch)
_MOODS = {
    "neutral": (0.46, 1.0, 1.0, 0.0, 0.0, 0.0),
    "calm": (0.12, 0.9, 0.85, -0.03, -0.05, 0.0),
    "alert": (0.10, 1.0, 1.0, 0.22, 0.3, 0.0),
    "tired": (0.10, 0.8, 0.7, -0.38, -0.3, 0.04),
    "angry": (0.08, 1.12, 1.25, -0.18, 0.1, 0.05),
    "playful": (0.08, 1.08, 1.3, 0.15, 0.5, 0.0),
    "fearful": (0.06, 1.1, 0.8, -0.25, -0.6, 0.09),
}


def draw_style(rng: random.Random) -> Style:
    """A random style."""
    mood = rng.choices(list(_MOODS), [share for share, *_ in _MOODS.values()])[0]
    _, speed, energy, head, tail, crouch = _MOODS[mood]
    speed, energy = speed * rng.uniform(0.82, 1.2), energy * rng.uniform(0.8, 1.2)
    head, tail = head + rng.uniform(-0.06, 0.06), tail + rng.uniform(-0.12, 0.12)
    return Style(mood, speed, energy, head, tail, crouch * rng.uniform(0.7, 1.3), rng.getrandbits(32))


# -- feet


class Feet:
    """Targets of L feet over T frames.

    ``point`` (T, L, 3) is the contact's position in the world, ``yaw`` (T, L) the foot's heading, ``pitch`` the angle
    of a raised heel, ``toe`` that of a hanging toe. ``planted`` (T, L) marks standing feet. With ``loose`` (T, L) above
    0 the foot follows the body instead, entirely at 1: at ``stretch`` times its natural distance from the hip, swung
    forward by ``swing`` and outward by ``spread`` (radians).
    """

    def __init__(self, rig: Rig, n_frames: int) -> None:
        """Feet planted at their natural positions."""
        shape = (n_frames, len(rig.legs))
        home = np.array([leg.home for leg in rig.legs]).reshape(-1, 3)
        self.point, self.planted = np.broadcast_to(home, (*shape, 3)).copy(), np.ones(shape, dtype=bool)
        self.yaw, self.pitch, self.toe = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.loose, self.stretch = np.zeros(shape), np.ones(shape)
        self.swing, self.spread = np.zeros(shape), np.zeros(shape)

    def release(
        self,
        leg: int,
        weight: Array,
        stretch: Curve = 1.0,
        swing: Curve = 0.0,
        spread: Curve = 0.0,
        hang: Curve | None = None,
    ) -> None:
        """Releases ``leg`` by ``weight`` (T,) into the pose of the other values; foot and toe ``hang`` down."""
        self.loose[:, leg] = np.maximum(self.loose[:, leg], weight)
        self.stretch[:, leg], self.swing[:, leg], self.spread[:, leg] = stretch, swing, spread
        if hang is not None:
            self.pitch[:, leg] = self.toe[:, leg] = hang


# -- motion


class Motion:
    """T frames, at ``times`` (T,), of a creature's motion, filled by an action.

    ``angles`` (T, J, 3) are pitch (nose down), yaw (to the left) and roll (left side up) of each joint from its natural
    pose, radians about the creature's axes; ``position`` (T, 3) is the world position of the body's root, ``heading``
    (T,) its heading, which is not in ``angles``. ``exact`` has complete local turns (T, 4) of joints, which replace
    their angles. ``cyclic`` motions end in their first pose. Where ``lying`` (T,) is 1 the trunk lies on the ground.
    """

    def __init__(self, rig: Rig, style: Style, times: Array, fps: float) -> None:
        n = self.n_frames = len(times)
        self.rig, self.style, self.times, self.fps = rig, style, times, fps
        self.angles = np.zeros((n, len(rig.natural), 3))
        self.position = np.tile(rig.natural[rig.root], (n, 1))
        self.heading, self.lying, self.chest = np.zeros(n), np.zeros(n), np.zeros((n, 3))
        self.feet, self.exact = Feet(rig, n), dict[int, Array]()
        self.cyclic, self.speed = False, 0.0

    @property
    def seconds(self) -> float:
        return float(self.times[-1])

    @property
    def progress(self) -> Array:
        """From 0 in the first frame to 1 in the last, (T,)."""
        return np.asarray(self.times / self.times[-1])

    @property
    def size(self) -> float:
        """The scale of amplitudes in metres: the height of the hips, or a share of the body's length."""
        return self.rig.hip_height if self.rig.legs else 0.3 * self.rig.plan.size

    def times_in(self, period: float, least: int = 1) -> int:
        """The number of periods of ``period`` seconds in the clip, at least ``least``."""
        return max(least, round(self.seconds / period))

    # -- turning joints

    def turn(self, joint: int | None, *, pitch: Curve = 0.0, yaw: Curve = 0.0, roll: Curve = 0.0) -> None:
        """Adds angles, numbers or (T,), to one joint's."""
        if joint is not None:
            self.angles[:, joint, PITCH] += pitch
            self.angles[:, joint, YAW] += yaw
            self.angles[:, joint, ROLL] += roll

    def bend(self, joints: Sequence[int], *, pitch: Curve = 0.0, yaw: Curve = 0.0, roll: Curve = 0.0) -> None:
        """Distributes angles over a chain, whose end is then turned by them."""
        n = len(joints)
        for joint in joints:
            self.turn(joint, pitch=np.asarray(pitch) / n, yaw=np.asarray(yaw) / n, roll=np.asarray(roll) / n)

    def ripple(self, joints: Sequence[int], axis: int, amplitude: Curve, cycles: Curve, lag: float = 0.1) -> None:
        """A wave that travels outward along a chain, ``lag`` cycles per joint; ``amplitude`` is the whole chain's."""
        for k, joint in enumerate(joints):
            share = np.asarray(amplitude) * (0.6 + 0.8 * k / max(len(joints) - 1, 1)) / max(len(joints), 1)
            self.angles[:, joint, axis] += share * wave(cycles, lag * (k + 1))

    def trunk(self, pelvis: Sequence[Curve], chest: Sequence[Curve]) -> None:
        """Turns the pelvis and the chest by (pitch, yaw, roll), and interpolates between them."""
        ends = [np.stack([np.broadcast_to(a, self.times.shape) for a in end], axis=-1) for end in (pelvis, chest)]
        at = dict(self.rig.trunk)
        for joint, u in self.rig.trunk:
            turned = (1 - u) * ends[0] + u * ends[1]
            parent = self.rig.skeleton.parents[joint]
            if parent in at:
                turned = turned - ((1 - at[parent]) * ends[0] + at[parent] * ends[1])
            self.angles[:, joint] += turned
        self.chest = self.chest + ends[1]

    def bow(self, pitch: Curve, yaw: Curve = 0.0, roll: Curve = 0.0) -> None:
        """Turns the chest over an unchanged pelvis."""
        self.trunk((0.0, 0.0, 0.0), (pitch, yaw, roll))

    def tilt(self, pitch: Curve) -> None:
        """Pitches the whole trunk (nose down) about the pelvis, whose position is unchanged."""
        arm = self.rig.natural[self.rig.root] - self.rig.natural[self.rig.pelvis]
        turned = rot.rotate(rot.about("x", np.broadcast_to(pitch, self.times.shape)), arm)
        self.position += rot.rotate(rot.about("y", self.heading), turned - arm)
        self.trunk((pitch, 0.0, 0.0), (pitch, 0.0, 0.0))

    def shift(self, *, forward: Curve = 0.0, left: Curve = 0.0, up: Curve = 0.0) -> None:
        """Moves the body by these metres along the axes of its heading."""
        sine, cosine = np.sin(self.heading), np.cos(self.heading)
        self.position[:, 0] += forward * sine + left * cosine
        self.position[:, 1] += up
        self.position[:, 2] += forward * cosine - left * sine

    def heave(self, pelvis: Curve, chest: Curve) -> None:
        """Raises the pelvis and the chest by these metres, which pitches the trunk."""
        at = dict(self.rig.trunk)[self.rig.root]
        self.position[:, 1] += (1 - at) * np.asarray(pelvis) + at * np.asarray(chest)
        run = abs(self.rig.natural[self.rig.chest, 2] - self.rig.natural[self.rig.pelvis, 2])
        if run > 0.3 * self.rig.plan.trunk.length:
            pitch = -np.arctan2(np.asarray(chest) - np.asarray(pelvis), run)
            self.trunk((pitch, 0.0, 0.0), (pitch, 0.0, 0.0))

    def look(self, *, pitch: Curve = 0.0, yaw: Curve = 0.0, roll: Curve = 0.0) -> None:
        """Turns the head relative to the chest, with two thirds of the turn in the neck."""
        head = (self.rig.head,)
        for joints, share in ((self.rig.neck, 0.65), (head, 0.35)) if self.rig.neck else ((head, 1.0),):
            angles = {"pitch": pitch, "yaw": yaw, "roll": roll}
            self.bend(joints, **{name: np.asarray(angle) * share for name, angle in angles.items()})

    def steady(self, amount: float = 0.8) -> None:
        """Compensates the share ``amount`` of the chest's turns so far in the head."""
        pitch, yaw, roll = np.moveaxis(-amount * (self.chest - self.chest.mean(axis=0)), -1, 0)
        self.look(pitch=pitch, yaw=yaw, roll=roll)

    def open_jaw(self, amount: Curve) -> None:
        """Opens the mouth and mandibles by ``amount`` (1 is wide)."""
        self.turn(self.rig.jaw, pitch=0.6 * np.asarray(amount))
        for part in self.rig.mandibles:
            self.turn(part.joints[0], yaw=part.side * 0.5 * np.asarray(amount))

    def arms(self, *, pitch: Curve = 0.0, out: Curve = 0.0, elbow: Curve = 0.0) -> None:
        """Turns both upper arms by ``pitch`` (forward is negative) and ``out`` to the sides, and both elbows."""
        for arm in self.rig.arms:
            self.turn(arm.joints[0], pitch=pitch, roll=arm.side * np.asarray(out))
            self.turn(arm.joints[1], pitch=elbow)

    def curl_fingers(self, arm: Limb, amount: Curve) -> None:
        """Curls an arm's fingers toward the palm by ``amount`` (1 is a fist)."""
        for finger in arm.fingers:
            for joint in finger[:2]:
                self.turn(joint, pitch=-0.7 * np.asarray(amount))

    def open_pincer(self, arm: Limb, amount: Curve) -> None:
        """Opens the two fingers of a pincer by ``amount``."""
        for sign, finger in zip((1, -1), arm.fingers, strict=False):
            self.turn(finger[0], yaw=-sign * 0.4 * np.asarray(amount))

    def raise_wings(self, roll: Curve) -> None:
        for wing in self.rig.wings:
            self.turn(wing.joints[0], roll=wing.side * np.asarray(roll))

    def fold_wings(self, amount: Curve) -> None:
        """Folds the wings by ``amount``; large wings are raised a little above the ground."""
        amount = np.broadcast_to(np.asarray(amount, dtype=np.float64), self.times.shape)
        n = len(self.rig.plan.wings.lengths) if self.rig.plan.wings else 0
        for wing in self.rig.wings:
            angles = folded(n, amount, wing.side)
            for k in range(n):
                self.turn(wing.joints[k], yaw=angles[:, k])
            self.turn(wing.joints[0], roll=wing.side * (0.22 if n > 2 else 0.1) * amount, pitch=0.15 * amount)
            for f, finger in enumerate(wing.fingers):  # the fingers close like a fan
                self.turn(finger[0], yaw=-wing.side * (0.5 + 0.35 * f) * amount)

    # -- making the clip's numbers

    def local(self) -> tuple[Array, Array, Mask]:
        """Solves the motion: local turns (T, J, 4), the position (T, 3) of joint 0, and the feet (T, L) that stand."""
        turns = self.turns()
        self._lie_down(turns)
        firm = self._plant(turns)
        positions, world = self.rig.world(turns, self.origin())
        for joints in self.rig.hanging:
            if positions[:, list(joints), 1].min() < _CLEARANCE * self.size:
                _raise_chain(self.rig, turns, positions, world, joints, _CLEARANCE * self.size)
        positions, _ = self.rig.world(turns, self.origin())
        bodies = [j for j in range(len(self.rig.natural)) if j != self.rig.ground]
        buried = np.maximum(-positions[:, bodies, 1].min(axis=1), 0.0)
        self.position[:, 1] += buried
        return turns, self.origin(), firm & (buried < 1e-9)[:, None]

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
        """The position (T, 3) of joint 0: the root's, or that of the ground joint."""
        if self.rig.ground is None:
            return self.position
        return np.asarray(self.position - rot.rotate(rot.about("y", self.heading), self.rig.natural[self.rig.root]))

    def _lie_down(self, turns: Array) -> None:
        """Lets the trunk down on the ground, with the thickness it has between its hips."""
        if not self.lying.any():
            return
        rig = self.rig
        positions, _ = rig.world(turns, self.origin())
        half = min(0.8 * max(pair.spread for pair in rig.plan.legs), 0.4 * rig.hip_height)
        lowest = positions[:, [j for j, _ in rig.trunk], 1].min(axis=1) - half
        lowest = np.minimum(lowest, positions[:, [leg.chain[0] for leg in rig.legs], 1].min(axis=1))
        self.position[:, 1] -= self.lying * lowest

    def _plant(self, turns: Array) -> Mask:
        """Turns the legs in ``turns`` (T, J, 4) so that the feet reach their targets; lowers the body where they could
        not. Returns which feet (T, L) stand firm."""
        feet, rig = self.feet, self.rig
        if not rig.legs:
            return np.zeros((self.n_frames, 0), dtype=bool)
        ends, contacts = np.array([leg.chain[-1] for leg in rig.legs]), np.array([leg.contact for leg in rig.legs])
        longest, footed = np.array([leg.fold.longest for leg in rig.legs]), ends != contacts
        positions, world = rig.world(turns, self.origin())
        hips = positions[:, [leg.chain[0] for leg in rig.legs]]
        bodies = world[:, [rig.skeleton.parents[leg.chain[0]] for leg in rig.legs]]
        goals, foot_turns, toe_turns = self._foot_goals(hips, bodies, footed)
        firm = feet.planted & (feet.loose <= 0.0)
        drop = self._drop(goals - hips, firm, longest)
        self.position[:, 1] -= drop
        hips = hips - drop[:, None, None] * _UP
        goals = goals - (feet.loose * drop[:, None])[..., None] * _UP
        goals[..., 1] = np.maximum(goals[..., 1], np.where(feet.loose > 0, 0.0, -np.inf))
        last = np.empty_like(foot_turns)
        for n in sorted({len(leg.chain) for leg in rig.legs}):  # legs with as many bones at once
            own = [k for k, leg in enumerate(rig.legs) if len(leg.chain) == n]
            chain, joints = stack_chains([rig.legs[k].fold for k in own]), np.array([rig.legs[k].chain for k in own])
            turns[:, joints[:, :-1]], last[:, own] = solve_chain(chain, hips[:, own], goals[:, own], bodies[:, own])
        turns[:, ends] = rot.multiply(rot.inverse(last), foot_turns)
        turns[:, contacts[footed]] = rot.multiply(rot.inverse(foot_turns[:, footed]), toe_turns[:, footed])
        return np.asarray(firm & (np.linalg.norm(goals - hips, axis=-1) <= longest + 1e-9))

    def _foot_goals(self, hips: Array, bodies: Array, footed: Mask) -> tuple[Array, Array, Array]:
        """The targets of the legs' chains (T, L, 3), and the world turns of feet and toes (T, L, 4); ``footed`` marks
        the legs whose contact is not the chain's end."""
        feet, rig = self.feet, self.rig
        flat, toe = rot.about("y", feet.yaw), rot.about("x", feet.toe)
        pitch = rot.about("x", np.where(footed, feet.pitch, feet.toe))
        foot_turns, toe_turns, points = rot.multiply(flat, pitch), rot.multiply(flat, toe), feet.point
        if feet.loose.any():
            foot_turns = rot.slerp(foot_turns, rot.multiply(bodies, pitch), feet.loose)
            toe_turns = rot.slerp(toe_turns, rot.multiply(bodies, toe), feet.loose)
            sides = np.array([float(leg.side) for leg in rig.legs])
            lines = np.stack([leg.home - rig.natural[leg.chain[0]] for leg in rig.legs])
            out = rot.multiply(rot.about("z", sides * feet.spread), rot.about("x", -feet.swing))
            hanging = hips + rot.rotate(rot.multiply(bodies, out), lines * feet.stretch[..., None])
            points = points + feet.loose[..., None] * (hanging - points)
        return points - rot.rotate(foot_turns, np.stack([leg.foot for leg in rig.legs])), foot_turns, toe_turns

    def _drop(self, reach: Array, firm: Mask, longest: Array) -> Array:
        """The distance (T,) by which the body is lowered so that standing legs can reach; constant for a cycle."""
        across = np.hypot(reach[..., 0], reach[..., 2])
        height = np.sqrt(np.maximum((0.9995 * longest) ** 2 - across**2, 0.0))
        need = np.max(np.where(firm, -reach[..., 1] - height, 0.0), axis=1, initial=0.0)
        if self.cyclic:
            return np.full(self.n_frames, need.max())
        return running_max(need, max(1, round(0.15 * self.fps)))


def _raise_chain(rig: Rig, turns: Array, positions: Array, world: Array, joints: Sequence[int], floor: float) -> None:
    """Turns each bone of a chain up until its end is above ``floor``; bones above it are unchanged."""
    for joint, after in zip(joints, (*joints[1:], None), strict=True):
        parent = rig.skeleton.parents[joint]
        above = world[:, parent]
        position = positions[:, parent] + rot.rotate(above, rig.offsets[joint])
        turned = rot.multiply(above, turns[:, joint])
        if after is not None:
            bone = rot.rotate(turned, rig.offsets[after])
            length = float(np.linalg.norm(rig.offsets[after]))
            wanted = np.clip(np.maximum(bone[:, 1], floor - position[:, 1]), -length, length)
            level = np.sqrt(np.maximum(length**2 - wanted**2, 0.0)) / np.maximum(np.hypot(bone[:, 0], bone[:, 2]), 1e-9)
            goal = np.stack([bone[:, 0] * level, wanted, bone[:, 2] * level], axis=-1)
            turned = rot.multiply(rot.between(bone, goal), turned)
        turns[:, joint] = rot.multiply(rot.inverse(above), turned)
        positions[:, joint], world[:, joint] = position, turned


def _orders(rig: Rig) -> dict[str, list[int]]:
    """Joints by the order of their three turns: yaw first in the trunk, roll in wings, pitch in arms."""
    beating = (*rig.wings, *rig.ears, *rig.antennae, *rig.mandibles, *rig.pectorals, *rig.caudals)
    orders = {"YXZ": set(range(len(rig.natural)))}
    for order, limbs in (("ZYX", beating), ("XZY", rig.arms)):
        orders[order] = {j for limb in limbs for chain in (limb.joints, *limb.fingers) for j in chain}
        orders["YXZ"] -= orders[order]
    return {order: sorted(joints) for order, joints in orders.items() if joints}
