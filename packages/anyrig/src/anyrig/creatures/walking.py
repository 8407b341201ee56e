"""Locomotion on legs: footholds that stay where they are, feet that swing between them, a body that goes along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures import posture
from anyrig.creatures.curves import TAU, bump, smooth, track
from anyrig.creatures.feet import Feet
from anyrig.creatures.gaits import Gait, Step
from anyrig.creatures.motion import Motion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Where the body is meant to be: ``speed`` in m/s in the direction ``slip`` from where it looks, turning by
    ``turn`` rad/s. With ``ease`` (seconds) it starts and ends at rest."""

    speed: float
    turn: float = 0.0
    slip: float = 0.0
    ease: float = 0.0

    def at(self, times: Array) -> tuple[Array, Array]:
        """Places (..., 3) and headings (...) at ``times`` (...) in seconds, before the start and after the end too."""
        if self.ease:
            times = self.ease * smooth(times / self.ease)
        heading = self.turn * times
        course = self.slip + heading
        if abs(self.turn) < 1e-9:
            x, z = self.speed * times * math.sin(self.slip), self.speed * times * math.cos(self.slip)
        else:
            radius = self.speed / self.turn
            x, z = radius * (math.cos(self.slip) - np.cos(course)), radius * (np.sin(course) - math.sin(self.slip))
        return np.stack([x, np.zeros_like(x), z], axis=-1), heading


def follow(motion: Motion, path: Path) -> None:
    """Moves the body along ``path``: the middle of the feet is what goes on it."""
    place, heading = path.at(motion.times)
    lead = motion.rig.natural[motion.rig.root] - motion.rig.centre
    sine, cosine = np.sin(heading), np.cos(heading)
    motion.place[:, 0] += place[:, 0] + sine * lead[2]
    motion.place[:, 2] += motion.rig.centre[2] + place[:, 2] + cosine * lead[2] - motion.rig.natural[motion.rig.root, 2]
    motion.heading += heading


def step_along(
    motion: Motion, gait: Gait, step: Step, path: Path, cycles: Array, *, narrow: float = 1.0, roll: float = 1.0
) -> None:
    """Sets the feet's targets for a body on ``path``. ``cycles`` (T,) is the phase, 1 a cycle; ``narrow`` below 1 draws
    the feet under the body, ``roll`` scales how far they roll over their balls."""
    rig, feet = motion.rig, motion.feet
    start = float(cycles[0])
    for k, leg in enumerate(rig.legs):
        phase = cycles - gait.offsets[k]
        index = np.floor(phase + 1e-9)
        part = np.clip(phase - index, 0.0, 1.0)
        home = (leg.home - rig.centre) * np.array([narrow, 1.0, 1.0])
        middle = (
            index + gait.offsets[k] + gait.duty / 2 - start
        ) * step.period  # of the stance; there the hip is above
        from_, from_yaw = _foothold(path, home, middle, rig.centre)
        to, to_yaw = _foothold(path, home, middle + step.period, rig.centre)
        swing = np.clip((part - gait.duty) / (1.0 - gait.duty), 0.0, 1.0)
        share = smooth(swing)
        far = np.linalg.norm(to - from_, axis=-1) + 0.3 * np.abs(to_yaw - from_yaw) * np.linalg.norm(home)
        height = gait.lift * rig.hip_height * np.clip(far / (0.25 * step.height), 0.0, 1.0)
        feet.point[:, k] = from_ + share[:, None] * (to - from_)
        feet.point[:, k, 1] = height * motion.style.energy**0.5 * bump(swing, 0.8)
        feet.yaw[:, k] = from_yaw + share * (to_yaw - from_yaw)
        feet.planted[:, k] = part <= gait.duty
        strength = roll * np.clip(far / (0.5 * step.height), 0.0, 1.0)
        _roll(motion, k, gait, np.clip(part / gait.duty, 0.0, 1.0), swing, strength)
    keep_toes_up(motion, feet)


def _foothold(path: Path, home: Array, times: Array, centre: Array) -> tuple[Array, Array]:
    place, heading = path.at(times)
    sine, cosine = np.sin(heading), np.cos(heading)
    x, z = cosine * home[0] + sine * home[2], cosine * home[2] - sine * home[0]
    return place + centre + np.stack([x, np.zeros_like(x), z], axis=-1), heading


def _roll(motion: Motion, k: int, gait: Gait, stance: Array, swing: Array, strength: Array) -> None:
    """Rolls a foot over its ball at the end of the stance and lets it hang in the swing."""
    rig = motion.rig
    leg, pair = rig.legs[k], rig.plan.legs[rig.legs[k].pair]
    quick = {"walk": 1.0, "trot": 1.15, "run": 1.35}[gait.name]
    if leg.contact == leg.chain[-1]:
        motion.feet.toe[:, k] = strength * track(swing, (0.0, 0.0), (0.35, 0.8 * quick), (0.85, -0.1), (1.0, 0.0))
        return
    hoof = pair.toe <= 0
    rise = math.radians(16 if "columnar" in rig.plan.habits else 22 if hoof else 36) * quick
    standing = rise * smooth((stance - 0.5) / 0.5)
    hanging = track(swing, (0.0, rise), (0.3, rise * (2.4 if hoof else 1.5)), (0.8, 0.0 if hoof else -0.22), (1.0, 0.0))
    motion.feet.pitch[:, k] = strength * np.where(swing > 0, hanging, standing)
    motion.feet.toe[:, k] = strength * np.where(swing > 0, hanging, 0.0)


def keep_toes_up(motion: Motion, feet: Feet) -> None:
    """Lets no toe hang lower than the height of the ball that it springs from."""
    for k, leg in enumerate(motion.rig.legs):
        if leg.toe is not None:
            length = float(np.linalg.norm(motion.rig.offsets[leg.toe]))
            most = np.arcsin(np.clip(0.98 * feet.point[:, k, 1] / length, 0.0, 1.0))
            feet.toe[:, k] = np.where(feet.loose[:, k] > 0, feet.toe[:, k], np.minimum(feet.toe[:, k], most))


def ride(motion: Motion, gait: Gait, cycles: Array, strength: Array | float = 1.0) -> None:
    """The body's own motion in step with the legs: heave, sway, roll, yaw, and what follows from them."""
    rig, style = motion.rig, motion.style
    amount = strength * style.energy
    pairs = sorted({leg.pair for leg in rig.legs})
    front, hind = pairs[0], pairs[-1]
    span = _Beat(rig.legs, gait, cycles)
    height = rig.hip_height
    heave = {pair: amount * gait.vault * height * span.heave(pair) for pair in (front, hind)}
    if len(pairs) <= 2:
        motion.heave(heave[hind], heave[front])
    else:
        motion.heave(*(np.mean([amount * gait.vault * height * span.heave(p) for p in pairs], axis=0),) * 2)
    _twist(motion, gait, span, front, hind, amount)
    if gait.pattern in ("gallop", "bound"):
        arch = amount * (0.12 + 0.3 * rig.plan.trunk.flex) * np.cos(TAU * (cycles + 0.05))
        motion.trunk((-0.6 * arch, 0.0, 0.0), (0.5 * arch, 0.0, 0.0))
    motion.steady(0.75)
    posture.carry(motion, cycles, amount, gait)
    posture.swing_arms(motion, gait, cycles, amount)


class _Beat:
    """Sums over the legs of a pair that say how the pair is loaded through the cycle."""

    def __init__(self, legs: Sequence[object], gait: Gait, cycles: Array) -> None:
        self.legs, self.gait, self.cycles = legs, gait, cycles

    def _pair(self, pair: int) -> list[tuple[int, float]]:
        return [(leg.side, self.gait.offsets[k]) for k, leg in enumerate(self.legs) if leg.pair == pair]  # type: ignore[attr-defined]

    def heave(self, pair: int) -> Array:
        """Highest when the pair stands upright."""
        angles = [TAU * (self.cycles - o - self.gait.duty / 2) for _, o in self._pair(pair)]
        return np.asarray(sum(np.cos(a) + np.cos(2 * a) for a in angles) / len(angles))

    def side(self, pair: int) -> Array:
        """1 over the left leg, -1 over the right one; 0 when both go together."""
        return np.asarray(
            sum(s * np.cos(TAU * (self.cycles - o - self.gait.duty / 2)) for s, o in self._pair(pair)) / 2
        )

    def ahead(self, pair: int) -> Array:
        """1 when the left leg is farthest ahead, -1 when the right one is."""
        return np.asarray(sum(s * np.cos(TAU * (self.cycles - o)) for s, o in self._pair(pair)) / 2)


def _twist(motion: Motion, gait: Gait, beat: _Beat, front: int, hind: int, amount: Array | float) -> None:
    rig = motion.rig
    if len(rig.legs) > 4:
        sway = 0.02 * rig.hip_height * amount * beat.side(hind)
        motion.shift(left=sway)
        motion.trunk((0, 0.02 * amount * beat.ahead(hind), 0), (0, 0.02 * amount * beat.ahead(hind), 0))
        return
    sprawls = "sprawls" in rig.plan.habits
    yaw = 0.26 if sprawls else 0.05 + 0.06 * rig.plan.trunk.flex
    roll = 0.03 if sprawls else 0.045
    upright = len(rig.legs) == 2
    motion.shift(left=amount * (0.03 if upright else 0.018) * rig.hip_height * beat.side(hind))
    pelvis = (0.0, -yaw * amount * beat.ahead(hind), roll * amount * beat.side(hind))
    if upright:  # the shoulders turn against the hips
        motion.trunk(pelvis, (0.0, 0.8 * yaw * amount * beat.ahead(hind), -0.3 * roll * amount * beat.side(hind)))
    else:
        motion.trunk(pelvis, (0.0, -yaw * amount * beat.ahead(front), roll * amount * beat.side(front)))
