"""Smooth scalar curves of time that the motions are put together from; all are vectorised and C1 at least."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Curve = float | Array  # a number, or one a frame

TAU = 2.0 * math.pi


def smooth(u: Curve) -> Array:
    """From 0 at u <= 0 to 1 at u >= 1 with no velocity and no acceleration at the ends (minimum jerk)."""
    u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
    return np.asarray(u * u * u * (10.0 + u * (6.0 * u - 15.0)))


def bump(u: Curve, skew: float = 1.0) -> Array:
    """0 at u <= 0 and u >= 1, 1 once in between (in the middle for ``skew`` 1, earlier below 1), with flat ends."""
    u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
    return np.asarray(np.sin(np.pi * u**skew) ** 2)


def track(u: Curve, *keys: tuple[float, float]) -> Array:
    """A curve through ``keys`` (place, value), in order of place: at rest at each key, minimum jerk in between."""
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
    up = smooth((u - rise[0]) / max(rise[1] - rise[0], 1e-9))
    down = smooth((u - fall[0]) / max(fall[1] - fall[0], 1e-9))
    return np.asarray(up - down)


def hermite(t: Curve, *knots: tuple[float, float, float]) -> Array:
    """The piecewise cubic through ``knots`` (time, value, velocity); constant outside them."""
    t = np.asarray(t, dtype=np.float64)
    out = np.full(t.shape, float(knots[0][1]))
    for (t0, y0, v0), (t1, y1, v1) in itertools.pairwise(knots):
        h = max(t1 - t0, 1e-9)
        u = (t - t0) / h
        cubic = (
            (1 + 2 * u) * (1 - u) ** 2 * y0
            + u * (1 - u) ** 2 * h * v0
            + u * u * (3 - 2 * u) * y1
            + u * u * (u - 1) * h * v1
        )
        out = np.where((u >= 0) & (u < 1), cubic, out)
    return np.where(t >= knots[-1][0], float(knots[-1][1]), out)


def running_max(values: Array, reach: int) -> Array:
    """A smooth curve nowhere below ``values`` (T,): a running maximum, then a mean, ``reach`` frames each way."""
    if reach < 1 or len(values) < 2:
        return np.full_like(values, values.max(initial=-math.inf)) if len(values) else values
    window = 2 * reach + 1
    padded = np.pad(values, 2 * reach, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, window).max(axis=-1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(highest, window).mean(axis=-1))
