"""Gaits: when each foot stands (duty factor and phase), and how fast and how far a body of a given size steps.

Speeds follow from the Froude number ``Fr = v^2 / (g h)`` at a hip height ``h``, at which animals of all sizes change
their gaits alike, and strides from ``length / h = 2.3 Fr^0.3`` (Alexander & Jayes, A dynamic similarity hypothesis for
the gaits of quadrupedal mammals, J. Zool. 1983; their fits are 2.4 Fr^0.34 walking, 1.9 Fr^0.40 running).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyrig.creatures.rig import Rig
from anyrig.creatures.style import Style

Array = NDArray[np.float64]

GRAVITY = 9.81
# A cycle is never shorter than this (seconds): smaller animals step faster, but then 15 frames a second show no step.
_SHORTEST = {"walk": 0.62, "trot": 0.5, "run": 0.42}


@dataclass(frozen=True)
class Gait:
    """``offsets`` are the touchdowns of the legs (as the rig orders them) in parts of a cycle, ``duty`` the part of it
    that each stands. ``froude`` sets the speed, ``lift`` how high the feet swing (of the hips' height), ``vault`` how
    far the body rises over a standing leg (negative: it sinks, as a spring does). ``pattern`` names the footfalls."""

    name: str
    pattern: str
    offsets: tuple[float, ...]
    duty: float
    froude: float
    lift: float
    vault: float


@dataclass(frozen=True)
class Step:
    """``period`` in seconds, ``speed`` in m/s; ``cyclic`` if a whole number of cycles fills the clip; ``height`` is the
    length that strides scale with."""

    period: float
    speed: float
    cyclic: bool
    height: float


def gait(rig: Rig, name: str, rng: random.Random) -> Gait:
    """The gait that ``rig`` uses to ``"walk"``, ``"trot"`` or ``"run"``."""
    n = len(rig.legs)
    make = _biped if n == 2 else _quadruped if n == 4 else _many
    return make(rig, name, rng)


def _biped(rig: Rig, name: str, rng: random.Random) -> Gait:
    if "hops" in rig.plan.habits and name != "walk":
        offset = 0.0 if rng.random() < 0.7 else 0.06
        froude, duty = (0.9, 0.42) if name == "trot" else (2.2, 0.34)
        return Gait(name, "hops", (0.0, offset), duty, froude, 0.2, -0.10)
    table = {"walk": (0.62, 0.2, 0.10, 0.022), "trot": (0.42, 0.75, 0.17, -0.035), "run": (0.34, 1.9, 0.26, -0.045)}
    duty, froude, lift, vault = table[name]
    return Gait(name, "alternate", (0.0, 0.5), duty, froude * rng.uniform(0.8, 1.2), lift, vault)


def _quadruped(rig: Rig, name: str, rng: random.Random) -> Gait:
    habits = rig.plan.habits
    vary = rng.uniform(0.8, 1.2)
    if "sprawls" in habits:
        table = {"walk": (0.68, 0.12, 0.22, 0.0), "trot": (0.54, 0.35, 0.28, 0.0), "run": (0.42, 0.9, 0.34, -0.03)}
        duty, froude, lift, vault = table[name]
        return Gait(name, "diagonal", (0.46, 0.96, 0.0, 0.5), duty, froude * vary, lift, vault)
    if name == "walk":
        late = rng.uniform(0.2, 0.28)
        return Gait(name, "lateral", (late, 0.5 + late, 0.0, 0.5), 0.66, 0.16 * vary, 0.13, 0.014)
    if name == "trot":
        if "paces" in habits:
            return Gait(name, "lateral pairs", (0.04, 0.54, 0.0, 0.5), 0.46, 0.6 * vary, 0.18, -0.025)
        return Gait(name, "diagonal", (0.5, 0.0, 0.0, 0.5), 0.46, 0.6 * vary, 0.2, -0.03)
    if "bounds" in habits:
        return Gait(name, "bound", (0.5, 0.53, 0.0, 0.03), 0.30, 2.4 * vary, 0.26, -0.055)
    if rig.plan.trunk.flex < 0.2:  # heavy animals amble at a fast walk and never leave the ground
        return Gait(name, "amble", (0.22, 0.72, 0.0, 0.5), 0.46, 0.75 * vary, 0.16, -0.015)
    lead = rng.choice((1, -1))
    offsets = (0.42, 0.55, 0.0, 0.12) if lead > 0 else (0.55, 0.42, 0.12, 0.0)
    return Gait(name, "gallop", offsets, 0.29, 2.2 * vary, 0.26, -0.05)


def _many(rig: Rig, name: str, rng: random.Random) -> Gait:
    pairs = len(rig.legs) // 2
    # Waves run from the hind legs forward; at half a cycle a pair they become alternating tripods or tetrapods.
    ripple = name == "walk" and rng.random() < 0.4
    lag = 1.0 / pairs if ripple else 0.5
    offsets = []
    for pair in range(pairs):
        for side in (0.0, 0.5):
            offsets.append((side + (pairs - 1 - pair) * lag) % 1.0)
    duty, froude, lift = {"walk": (0.6, 0.06, 0.2), "trot": (0.52, 0.14, 0.25), "run": (0.45, 0.3, 0.3)}[name]
    pattern = "ripple" if ripple else "tripod" if pairs == 3 else "tetrapod"
    return Gait(name, pattern, tuple(offsets), 0.7 if ripple else duty, froude * rng.uniform(0.8, 1.2), lift, 0.006)


def step(rig: Rig, gait: Gait, style: Style, seconds: float, *, pace: float = 1.0) -> Step:
    """How ``rig`` steps in this gait: the cycle is stretched a little so that whole cycles fill ``seconds``.

    ``pace`` shortens the stride (backward or sideways steps are short).
    """
    height = stride_height(rig)
    froude = gait.froude * (pace * style.speed) ** 2
    stride = 2.3 * froude**0.3 * height
    stride = min(stride, min(_travel(rig, k) for k in range(len(rig.legs))) / gait.duty)
    period = max(stride / math.sqrt(froude * GRAVITY * height), _SHORTEST[gait.name] / style.speed**0.5)
    if seconds < 0.7 * period:
        return Step(period, stride / period, False, height)
    fitted = seconds / max(1, round(seconds / period))
    return Step(fitted, stride / fitted, True, height)


def stride_height(rig: Rig) -> float:
    """The ``h`` of the Froude number: the hips' height, or for legs that stand wide a part of their length."""
    return float(np.mean([max(rig.natural[leg.chain[0], 1], 0.45 * leg.fold.lengths.sum()) for leg in rig.legs]))


def _travel(rig: Rig, k: int) -> float:
    """How far, in metres, the body can pass over foot ``k`` with the hips at 0.93 of their natural height."""
    leg = rig.legs[k]
    reach = rig.natural[leg.chain[-1]] - rig.natural[leg.chain[0]]
    longest = 0.985 * leg.fold.longest
    across = longest**2 - (0.93 * reach[1]) ** 2 - reach[0] ** 2
    half = math.sqrt(max(across, 0.0)) - abs(reach[2]) * 0.6
    wide = 0.36 * leg.fold.lengths.sum()  # legs that stand wide would touch their neighbours
    return 2.0 * float(max(0.08 * leg.fold.lengths.sum(), min(half, wide)))
