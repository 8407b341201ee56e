"""The joints of a creature as they are put together, and the geometry of its chains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures.names import Role
from anyrig.creatures.plans import Chain, LegPair, Plan

Array = NDArray[np.float64]


@dataclass
class Joints:
    """Joints in the order in which they were added: what each is, its parent, its place in the natural pose."""

    plan: Plan
    roles: list[Role] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    places: list[Array] = field(default_factory=list)
    trunk: list[tuple[int, float]] = field(default_factory=list)

    def add(self, parent: int, place: Array, part: str, **role: int) -> int:
        """Adds a joint; returns its number."""
        self.roles.append(Role(part, **role))
        self.parents.append(parent)
        self.places.append(np.asarray(place, dtype=np.float64))
        return len(self.roles) - 1

    def tip(self, parent: int, place: Array, part: str, **role: int) -> tuple[int, ...]:
        """An end joint, where the plan wants such."""
        return (self.add(parent, place, part, **role),) if self.plan.rest.tips else ()

    def row(self, parent: int, points: Sequence[Array], part: str, side: int = 0) -> tuple[int, ...]:
        """A chain of joints at ``points``, the last of which is an end joint."""
        joints: list[int] = []
        for k, point in enumerate(points[:-1]):
            role = {"index": k} if len(points) > 2 else {}
            parent = self.add(parent, point, part, side=side, **role)
            joints.append(parent)
        return (*joints, *self.tip(parent, points[-1], f"{part}_tip", side=side))

    def spine(self, u: float) -> Array:
        """The place ``u`` of the way from the pelvis to the chest."""
        trunk = self.plan.trunk
        forward = np.array([0.0, math.sin(trunk.pitch), math.cos(trunk.pitch)])
        start = np.array([0.0, trunk.height, -0.5 * trunk.length * math.cos(trunk.pitch)])
        return np.asarray(start + u * trunk.length * forward)

    def nearest(self, u: float) -> int:
        """The trunk's joint that what is attached at ``u`` hangs from."""
        return min(self.trunk, key=lambda pair: abs(pair[1] - u))[0]


def flip(vector: Sequence[float] | Array, side: int) -> Array:
    """A vector meant for the left side, on ``side``."""
    return np.asarray(np.asarray(vector, dtype=np.float64) * np.array([side, 1.0, 1.0]))


def chain_points(chain: Chain, start: Array, forward: float) -> list[Array]:
    """The n + 1 points of a chain that goes forward (1) or backward (-1)."""
    lengths = chain.taper ** np.arange(chain.n)
    lengths = chain.length * lengths / lengths.sum()
    points = [start]
    for k, length in enumerate(lengths):
        pitch = chain.pitch + (chain.end_pitch - chain.pitch) * (k + 0.5) / chain.n
        points.append(points[-1] + length * np.array([0.0, math.sin(pitch), forward * math.cos(pitch)]))
    return points


def leg_parts(pair: LegPair) -> list[str]:
    """What the joints of a leg are called, hip to contact."""
    if pair.azimuth > 0 and pair.foot == 0.0:
        return ["coxa", "thigh", "shin", "toe"]
    if len(pair.lengths) == 3:
        return ["thigh", "shin", "metatarsus", *(("pastern",) if pair.foot > 0 else ()), "toe"]
    return ["thigh", "shin", "foot", "toe"]


def leg_points(pair: LegPair, height: float) -> tuple[list[Array], Array]:
    """A left leg's joints relative to its hip, which is ``height`` up, down to the contact; and the end of its toe."""
    outward = np.array([math.sin(pair.azimuth), 0.0, math.cos(pair.azimuth)])
    down, foot = np.array([0.0, -1.0, 0.0]), np.zeros(3)
    if pair.foot > 0:
        ahead = np.array([0.12, 0.0, 1.0]) / math.hypot(0.12, 1.0)
        foot = pair.foot * height * (math.cos(pair.foot_pitch) * ahead + math.sin(pair.foot_pitch) * down)
    tilt, points = 0.0, [np.zeros(3)]
    for _ in range(8):  # turns the whole chain until the foot is where it should be
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
