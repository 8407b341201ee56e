"""Contact sheets: clips as rows of stick figures in perspective over a ground grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anyrig.conform import whole
from anyrig.errors import FileError, SettingsError
from anyrig.rotations import Array
from anyrig.skeleton import Clip

Colour = tuple[int, int, int]

_PAPER: Colour = (255, 255, 255)
_GRID: Colour = (216, 220, 226)
_AXIS: Colour = (150, 156, 166)
_SHADOW: Colour = (196, 196, 196)
_MIDDLE: Colour = (40, 40, 46)
_LEFT: Colour = (24, 96, 190)
_RIGHT: Colour = (204, 80, 34)
_TEXT: Colour = (30, 30, 30)
_SAMPLES = 2  # supersampling, since Pillow draws lines without antialiasing
_CAPTION = 18


def contact_sheet(
    clips: Sequence[Clip],
    path: str | PathLike[str],
    *,
    frames: int = 8,
    cell: int = 200,
) -> None:
    """Writes a PNG with one row per clip: ``frames`` evenly spaced poses below its name and short caption.

    Each cell is ``cell`` pixels square. The camera is to the front right, higher for flat creatures, and follows them;
    the grid is fixed to the ground, so that it shows speed. Joints on the left are blue, on the right orange; shadows
    are grey. Joints are drawn on their carriers, helpers not at all. Raises SettingsError without clips, FileError
    where the file cannot be written.
    """
    if not clips or frames < 1 or cell < 16:
        raise SettingsError("a contact sheet needs a clip at least, a frame a row and cells of 16 pixels")
    row = cell + _CAPTION
    scale = _SAMPLES
    sheet = Image.new("RGB", (frames * cell * scale, len(clips) * row * scale), _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11 * scale)
    for r, clip in enumerate(clips):
        text = "  ".join(dict.fromkeys((clip.name or clip.action, *clip.captions[:1])))
        pen.text((4 * scale, (r * row + 2) * scale), text, fill=_TEXT, font=font)
        _draw_row(pen, whole(clip), frames, (0, (r * row + _CAPTION) * scale), cell * scale)
    sheet = sheet.resize((sheet.width // scale, sheet.height // scale), Image.Resampling.LANCZOS)
    try:
        sheet.save(Path(path), format="PNG")
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from None


@dataclass(frozen=True)
class _Camera:
    """Looks along -z of its own frame at ``target`` from ``distance`` metres, with ``zoom`` pixels at unit depth."""

    turn: Array
    target: Array
    distance: float
    zoom: float
    centre: tuple[float, float]

    def project(self, points: Array) -> Array:
        """Points (..., 3) in pixels (..., 2)."""
        seen = (points - self.target) @ self.turn.T
        depth = np.maximum(self.distance - seen[..., 2], 0.05 * self.distance)
        x = self.centre[0] + self.zoom * seen[..., 0] / depth
        return np.stack([x, self.centre[1] - self.zoom * seen[..., 1] / depth], axis=-1)


def _draw_row(
    pen: ImageDraw.ImageDraw,
    clip: Clip,
    frames: int,
    corner: tuple[int, int],
    cell: int,
) -> None:
    shown = np.round(np.linspace(0, clip.n_frames - 1, frames)).astype(int)
    positions = clip.world()[0]
    ground = np.array([1.0, 0.0, 1.0])
    follow = positions.mean(axis=1) * ground
    around = positions - follow[:, None]
    low, high = around[shown].min(axis=(0, 1)), around[shown].max(axis=(0, 1))
    middle, radius = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-6)
    flat = (high[1] - low[1]) / max(high[0] - low[0], high[2] - low[2], 1e-9)
    turn = _turn(-60.0, 14.0 + 28.0 * min(1.0, max(0.0, 1.0 - flat / 0.55)))
    zoom, shift = _fit(_Camera(turn, middle, 4.0 * radius, 1.0, (0.0, 0.0)), around[shown], cell)
    colours = _colours(clip)
    parents = clip.skeleton.parents
    for c, f in enumerate(shown):
        centre = (corner[0] + c * cell + shift[0], corner[1] + shift[1])
        camera = _Camera(turn, follow[f] + middle, 4.0 * radius, zoom, centre)
        with_box = _Clipped(pen, (corner[0] + c * cell, corner[1], corner[0] + (c + 1) * cell, corner[1] + cell))
        _draw_grid(with_box, camera, follow[f] + middle * ground, radius)
        _draw_bones(with_box, camera, positions[f] * ground, parents, [_SHADOW] * len(parents), 0.02)
        _draw_bones(with_box, camera, positions[f], parents, colours, 0.016)
    for c in range(1, frames):
        x = corner[0] + c * cell
        pen.line([(x, corner[1]), (x, corner[1] + cell)], fill=(235, 235, 235), width=_SAMPLES)


def _fit(camera: _Camera, points: Array, cell: int) -> tuple[float, tuple[float, float]]:
    """The zoom with which ``points`` fill a cell, and the camera's centre in the cell."""
    pixels = camera.project(points).reshape(-1, 2)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    zoom = 0.84 * cell / max(float((high - low).max()), 1e-9)
    middle = (low + high) / 2
    return zoom, (0.5 * cell - zoom * float(middle[0]), 0.5 * cell - zoom * float(middle[1]))


class _Clipped:
    """Draws lines inside a box only."""

    def __init__(self, pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float]) -> None:
        self.pen, self.box = pen, box

    @property
    def size(self) -> float:
        return self.box[2] - self.box[0]

    def line(self, a: Array, b: Array, colour: Colour, width: float) -> None:
        start, stop = 0.0, 1.0
        for axis, (low, high) in enumerate(((self.box[0], self.box[2]), (self.box[1], self.box[3]))):
            step = b[axis] - a[axis]
            if abs(step) < 1e-9:
                if not low <= a[axis] <= high:
                    return
                continue
            first, last = sorted(((low - a[axis]) / step, (high - a[axis]) / step))
            start, stop = max(start, first), min(stop, last)
        if start < stop:
            p, q = a + start * (b - a), a + stop * (b - a)
            self.pen.line([(p[0], p[1]), (q[0], q[1])], fill=colour, width=max(1, round(width)))

    def dot(self, a: Array, colour: Colour, radius: float) -> None:
        if self.box[0] < a[0] - radius and a[0] + radius < self.box[2] and self.box[1] < a[1] - radius < self.box[3]:
            self.pen.ellipse([a[0] - radius, a[1] - radius, a[0] + radius, a[1] + radius], fill=colour)


def _turn(azimuth: float, elevation: float) -> Array:
    """The rotation (3, 3) from the world to a camera ``azimuth`` degrees from +z towards +x, ``elevation`` degrees
    up."""
    a, e = math.radians(azimuth), math.radians(elevation)
    back = np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back])


def _draw_grid(pen: _Clipped, camera: _Camera, middle: Array, radius: float) -> None:
    spacing = 10.0 ** math.floor(math.log10(radius))
    spacing *= 0.5 if radius / spacing < 2.0 else 1.0 if radius / spacing < 5 else 2.0
    reach = math.ceil(2.2 * radius / spacing)
    base = np.round(middle / spacing)
    for axis, across in ((0, 2), (2, 0)):
        for k in range(-reach, reach + 1):
            ends = np.zeros((2, 3))
            ends[:, axis] = (base[axis] + k) * spacing
            ends[:, across] = (base[across] + np.array([-reach, reach])) * spacing
            a, b = camera.project(ends)
            # Every fifth line is darker, so that it can be followed from frame to frame.
            pen.line(a, b, _AXIS if (base[axis] + k) % 5 == 0 else _GRID, _SAMPLES * 0.75)


def _draw_bones(
    pen: _Clipped, camera: _Camera, positions: Array, parents: Sequence[int], colours: Sequence[Colour], width: float
) -> None:
    pixels = camera.project(positions)
    near = (positions - camera.target) @ camera.turn[2]
    # The bone from a root to a single child is drawn as a handle, not as a part of the body.
    handles = {j for j, p in enumerate(parents) if p < 0 and sum(q == j for q in parents) == 1}
    order = sorted(range(len(parents)), key=lambda j: near[j])
    for j in order:
        if parents[j] in handles and np.linalg.norm(positions[j] - positions[parents[j]]) > 1e-9:
            pen.line(pixels[parents[j]], pixels[j], _AXIS, 0.2 * width * pen.size)
            continue
        if parents[j] >= 0 and np.linalg.norm(positions[j] - positions[parents[j]]) > 1e-9:
            pen.line(pixels[parents[j]], pixels[j], colours[j], width * pen.size)
        pen.dot(pixels[j], colours[j], 0.6 * width * pen.size)


def _colours(clip: Clip) -> list[Colour]:
    """A colour per joint, by its side in the rest pose."""
    across = clip.skeleton.rest_positions()[:, 0]
    slack = 0.01 * max(float(np.ptp(across)), 1e-9)
    return [_LEFT if x > slack else _RIGHT if x < -slack else _MIDDLE for x in across]
