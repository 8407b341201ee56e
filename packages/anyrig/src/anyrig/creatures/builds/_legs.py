"""Leg pairs by posture: how mammals, reptiles, birds and insects stand."""

from __future__ import annotations

import math
import random

from anyrig.creatures.builds._ranges import ramp
from anyrig.creatures.plans import LegPair


def mammal(posture: str, *, front: bool, at: float, spread: float, drop: float, rng: random.Random) -> LegPair:
    """A leg of a four-legged animal: ``"plantigrade"``, ``"digitigrade"``, ``"unguligrade"``, ``"columnar"`` or
    ``"sprawling"``."""
    jitter = rng.uniform(0.85, 1.15)
    girdle = front and rng.random() < 0.6
    if posture == "sprawling":
        return LegPair(
            at=at, spread=spread, drop=drop, girdle=girdle, home=None,
            azimuth=math.radians(rng.uniform(60, 80) if front else rng.uniform(95, 115)),
            lengths=(0.5, 0.5), angles=ramp(80 * jitter if jitter < 1 else 80, -4.0 * jitter),
            foot=0.28, foot_pitch=math.radians(14), toe=0.2,
        )  # fmt: skip
    upper, lower, third = _angles(posture, front, jitter)
    foot, pitch, toe = {
        "plantigrade": (0.2, 25.0, 0.14), "digitigrade": (0.0, 0.0, 0.16), "unguligrade": (0.13, 58.0, 0.0),
        "columnar": (0.12, 40.0, 0.0),
    }[posture]  # fmt: skip
    three = posture in ("digitigrade", "unguligrade")
    lengths = (0.36, 0.36, 0.28) if not front else (0.36, 0.40, 0.24)
    return LegPair(
        at=at, spread=spread, drop=drop, azimuth=0.0, girdle=girdle,
        lengths=lengths if three else lengths[:2],
        angles=ramp(upper, lower, third) if three else ramp(upper, lower),
        foot=foot, foot_pitch=math.radians(pitch), toe=toe * rng.uniform(0.8, 1.2),
        home=rng.uniform(-0.04, 0.08) if front else rng.uniform(-0.1, 0.04),
    )  # fmt: skip


def _angles(posture: str, front: bool, jitter: float) -> tuple[float, float, float]:
    """Angles in degrees from straight down, forward positive; the third is of the cannon or the long foot."""
    table = {
        ("plantigrade", False): (20, -16, 0), ("plantigrade", True): (-24, 14, 0),
        ("columnar", False): (13, -11, 0), ("columnar", True): (-12, 10, 0),
        ("digitigrade", False): (31, -38, 14), ("digitigrade", True): (-31, 12, -2),
        ("unguligrade", False): (28, -33, 6), ("unguligrade", True): (-32, 10, -4),
    }  # fmt: skip
    a, b, c = table[posture, front]
    return a * jitter, b * jitter, c * jitter


def human(*, spread: float, rng: random.Random, bend: float = 9.0) -> LegPair:
    """A straight leg with a flat foot; ``bend`` degrees of thigh and shin."""
    return LegPair(
        at=0.0, spread=spread, drop=0.0, azimuth=0.0, lengths=(0.5, 0.5), angles=ramp(bend, -bend),
        foot=rng.uniform(0.14, 0.18), foot_pitch=math.radians(30), toe=rng.uniform(0.06, 0.1),
        home=rng.uniform(0.06, 0.1),
    )  # fmt: skip


def theropod(
    *, at: float, spread: float, drop: float, rng: random.Random, toe: float = 0.25, home: float = 0.1
) -> LegPair:
    """A bird's or a dinosaur's leg: thigh forward, shin back, a long foot on its toes."""
    jitter = rng.uniform(0.85, 1.15)
    return LegPair(
        at=at, spread=spread, drop=drop, azimuth=0.0, lengths=(0.3, 0.4, 0.3),
        angles=ramp(42 * jitter, -34 * jitter, 20 * jitter), toe=toe * rng.uniform(0.8, 1.2), home=home,
    )  # fmt: skip


def insect(
    n_pairs: int, rng: random.Random, *, span: float, thickness: float, steep: float = 0.5
) -> tuple[LegPair, ...]:
    """``n_pairs`` of legs fanned out from front to back, front pair first.

    ``steep`` from 0 (flat, wide) to 1 (high knees), ``span`` the part of the trunk they are spread over, ``thickness``
    half the trunk's width.
    """
    femur, tibia = 95 + 35 * steep, 30 - 22 * steep
    pairs = []
    for k in range(n_pairs):
        place = k / (n_pairs - 1)
        azimuth = math.radians(48 + 84 * place + rng.uniform(-5, 5))
        longer = 1.0 + 0.25 * place if n_pairs == 3 else 1.0 + 0.15 * abs(2 * place - 1)
        pairs.append(
            LegPair(
                at=0.5 + span * (0.5 - place),
                spread=thickness,
                drop=thickness * 0.3,
                azimuth=azimuth,
                lengths=(0.16, 0.40 * longer, 0.44 * longer),
                angles=ramp(78, femur, tibia),
                home=None,
            )
        )
    return tuple(pairs)
