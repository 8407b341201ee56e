"""Small pieces that figures are drawn from. Colours are CSS variables, so a figure follows the page's theme."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_SHAPES = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area inside a figure, and how data maps into it. ``y`` is a share from 0 to ``top``."""

    left: float
    right: float
    upper: float
    lower: float
    x_low: float
    x_high: float
    top: float

    def x(self, value: float) -> float:
        """Where ``value`` lies across."""
        span = (self.x_high - self.x_low) or 1.0
        return self.left + (value - self.x_low) / span * (self.right - self.left)

    def y(self, share: float) -> float:
        """Where ``share`` lies up."""
        return self.lower - share / self.top * (self.lower - self.upper)


def element(name: str, body: object = "", **attributes: object) -> Markup:
    """One SVG element; every attribute and a plain-text body are escaped. ``class_`` and ``text_anchor`` are mapped."""
    text = "".join(
        Markup(' {}="{}"').format(k.rstrip("_").replace("_", "-"), _number(v)) for k, v in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), Markup(text), body)


def _number(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def join(parts: Sequence[Markup]) -> Markup:
    """Elements one after another."""
    return Markup("").join(parts)


def figure(width: float, height: float, title: str, body: Sequence[Markup], style: str = "") -> Markup:
    """A whole SVG with its title for those who cannot see it."""
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        "{}<title>{}</title>{}</svg>"
    ).format(_number(float(width)), _number(float(height)), title, Markup(style), title, join(body))


def marker(x: float, y: float, shape: int, class_: str, size: float = 4.6) -> Markup:
    """A point whose shape, not only its colour, tells the method."""
    shape %= _SHAPES
    if shape == 0:
        return element("circle", cx=x, cy=y, r=size, class_=class_)
    if shape == 1:
        return element("rect", x=x - size * 0.9, y=y - size * 0.9, width=size * 1.8, height=size * 1.8, class_=class_)
    points = {
        2: ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        3: ((0, -1.2), (1.2, 0.9), (-1.2, 0.9)),
    }[shape]
    corners = " ".join(f"{x + dx * size:.2f},{y + dy * size:.2f}" for dx, dy in points)
    return element("polygon", points=corners, class_=class_)


def share_axis(frame: Frame, every: float, *, numbers: bool = True, unit: str = "") -> list[Markup]:
    """Horizontal grid lines with per-cent labels."""
    out = []
    for i in range(int(frame.top / every + 1e-9) + 1):
        y = frame.y(i * every)
        out.append(element("line", x1=frame.left, x2=frame.right, y1=y, y2=y, class_="axis" if i == 0 else "grid"))
        if numbers:
            out.append(text_label(f"{i * every * 100:.0f}{unit}", frame.left - 7, y + 3.5, "tick", "end"))
    return out


def nice_top(highest: float) -> tuple[float, float]:
    """A round top for an axis of shares, and the step of its grid."""
    top = min(1.0, math.ceil(max(highest, 0.05) * 10 - 1e-9) / 10)
    return top, 0.2 if top > 0.5 else 0.1 if top > 0.2 else 0.05


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, at least ``gap`` apart and, where they fit, between ``low`` and ``high``."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed: list[float] = []
    for i in order:
        placed.append(max(wanted[i], placed[-1] + gap) if placed else max(wanted[i], low))
    over = placed[-1] - high if placed else 0.0
    for at in range(len(placed) - 1, -1, -1):
        limit = placed[at + 1] - gap if at + 1 < len(placed) else high
        if over > 0 and placed[at] > limit:
            placed[at] = limit
    out = [0.0] * len(wanted)
    for at, i in enumerate(order):
        out[i] = placed[at]
    return out


def text_label(body: str, x: float, y: float, class_: str, anchor: str = "start") -> Markup:
    """One line of text."""
    return element("text", escape(body), x=x, y=y, class_=class_, text_anchor=anchor)
