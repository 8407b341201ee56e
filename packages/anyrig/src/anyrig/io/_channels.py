"""Sampling a document's animations at a steady rate (glTF 2.0, section 3.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.errors import FileError
from anyrig.io import _accessors
from anyrig.io._document import Document

Array = NDArray[np.float64]

RATES = (24.0, 30.0, 25.0, 60.0, 50.0, 48.0, 120.0, 100.0, 240.0)
"""Tried in this order for keys that are not evenly spaced."""
ON_A_FRAME = 0.05
"""A key so near a frame (as a share of a frame) stands on it: times are single precision, and often rounded."""
_SLOWEST = 10.0
_MOSTLY = 0.75
_FALLBACK = 60.0
_PATHS = {"translation": "VEC3", "rotation": "VEC4", "scale": "VEC3"}


@dataclass(frozen=True, eq=False)
class Channel:
    """The keys of one node's translation, rotation (w, x, y, z) or scale.

    ``values`` is (K, 3) or (K, 4), or (K, 3, ...) for a cubic spline: in-tangents, values, out-tangents.
    """

    node: int
    path: str
    times: Array
    values: Array
    interpolation: str


def read_channels(document: Document, animation: int, nodes: frozenset[int]) -> list[Channel]:
    """The channels of one animation that move any of ``nodes``. Raises FileError for keys that make no motion."""
    source = document.animations[animation]
    label = f"animation {source.get('name', animation)!r}"
    samplers = source.get("samplers", [])
    channels = []
    for channel in source.get("channels", []):
        node, path = channel["target"].get("node"), channel["target"].get("path")
        if path in _PATHS and node in nodes:
            sampler = samplers[document.index(channel.get("sampler"), samplers, label)]
            channels.append(_channel(document, sampler, node, path, label))
    return channels


def _channel(document: Document, sampler: dict[str, Any], node: int, path: str, label: str) -> Channel:
    where = f"{document.where} is malformed: {label}"
    times = _accessors.read(document, sampler.get("input"), label, "SCALAR")[:, 0].astype(np.float64)
    values = _accessors.read(document, sampler.get("output"), label, _PATHS[path]).astype(np.float64)
    interpolation = sampler.get("interpolation", "LINEAR")
    if interpolation not in ("LINEAR", "STEP", "CUBICSPLINE"):
        raise FileError(f"{where} interpolates by {interpolation!r}")
    cubic = interpolation == "CUBICSPLINE"
    if not len(times) or len(values) != len(times) * (3 if cubic else 1):
        raise FileError(f"{where} has {len(times)} times for {len(values)} values")
    if not (np.isfinite(times).all() and np.isfinite(values).all() and (np.diff(times) >= 0).all()):
        raise FileError(f"{where} has keys that are no numbers, or out of order")
    if path == "rotation":
        values = values[:, [3, 0, 1, 2]]
    return Channel(node, path, times, values.reshape(len(times), 3, -1) if cubic else values, interpolation)


def frame_rate(channels: list[Channel]) -> float:
    """The rate at which every key stands on a frame, counted from the first key.

    Where nearly all keys stand on the frames of one rate and only a much higher one has frames for all, it is the
    former: a last key that does not fit is no reason for five times the frames. 60 where there is no such rate.
    """
    times = np.unique(np.concatenate([c.times for c in channels]))
    steps = np.diff(times)
    steps = steps[steps > 1e-6]
    if not len(steps):
        return RATES[1]
    dense = len(steps) / float(times[-1] - times[0])
    if np.ptp(steps) < 0.2 * np.median(steps) and dense >= _SLOWEST:
        whole = float(round(dense))
        if abs(dense - whole) > 1e-4 * dense and _off_frame(times, dense) < 1e-3:
            return dense  # a rate like 29.97, and no whole one whose times were rounded
        if abs(dense - whole) < 2e-3 * dense and _off_frame(times, whole) <= ON_A_FRAME:
            return whole
    found = next((rate for rate in RATES if _off_frame(times, rate) <= ON_A_FRAME), None)
    usual = _usual(times, steps)
    return usual if usual and (found is None or found > 1.5 * usual) else found or _FALLBACK


def _usual(times: Array, steps: Array) -> float | None:
    """The rate of the most usual step between keys, where most keys stand on its frames."""
    rate = 1.0 / float(np.median(steps))
    rate = next((r for r in RATES if abs(r - rate) < 0.02 * rate), rate)
    at = (times - times[0]) * rate
    on = np.abs(at - np.round(at)) <= ON_A_FRAME
    return rate if rate >= _SLOWEST and on.mean() >= _MOSTLY else None


def _off_frame(times: Array, rate: float) -> float:
    """How far the worst of the keys is from a frame, in frames."""
    at = (times - times[0]) * rate
    return float(np.abs(at - np.round(at)).max())


def sample(channel: Channel, times: Array, tolerance: float) -> Array:
    """The channel's values at ``times`` (T,); a key within ``tolerance`` seconds of a time is taken as it is."""
    keys = channel.times
    nearest = _nearest(keys, times)
    at = np.where(np.abs(keys[nearest] - times) <= tolerance, keys[nearest], times)
    after = np.clip(np.searchsorted(keys, at, side="right"), 1, max(len(keys) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(keys) - 1)
    span = keys[after] - keys[before]
    t = np.clip((at - keys[before]) / np.where(span > 0, span, 1.0), 0.0, 1.0)
    if channel.interpolation == "CUBICSPLINE":
        return _cubic(channel, before, after, t, span)
    start, end = channel.values[before], channel.values[after]
    if channel.interpolation == "STEP":
        return np.where((t >= 1.0)[:, None], end, start)
    if channel.path == "rotation":
        between = rot.slerp(rot.normalize(start), rot.normalize(end), t)
        return np.where((t == 0)[:, None], start, np.where((t == 1)[:, None], end, between))
    return start + t[:, None] * (end - start)


def _nearest(keys: Array, times: Array) -> NDArray[np.intp]:
    after = np.minimum(np.searchsorted(keys, times), len(keys) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(times - keys[before]) < np.abs(keys[after] - times), before, after)


def _cubic(channel: Channel, before: Any, after: Any, t: Array, span: Array) -> Array:
    """Hermite splines, glTF 2.0 appendix C.5."""
    t, span = t[:, None], span[:, None]
    start, leave = channel.values[before, 1], channel.values[before, 2] * span
    end, arrive = channel.values[after, 1], channel.values[after, 0] * span
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * leave
        + (-2 * t**3 + 3 * t**2) * end
        + (t**3 - t**2) * arrive
    )
    return rot.normalize(curve) if channel.path == "rotation" else curve
