"""What every figure is drawn with, the report's and those of verification: inline SVG from elements, axes and labels.

Colours are CSS variables, so a figure follows the page's theme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

_ASSETS = Path(__file__).parent / "assets"
_SHAPES = 4
Ticks = Sequence[tuple[float, str]]
"""Where a tick lies on its axis, and its name."""
Rows = Sequence[tuple[str, int, float]]
"""Label, colour number and accuracy of what a figure names."""


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


def titled(title: str, drawn: Markup) -> Markup:
    """An element with a text that appears when it is pointed at."""
    return element("g", join([element("title", title), drawn]))


def across(frame: Frame, share: float, class_: str) -> Markup:
    """A horizontal line over the whole plot."""
    y = frame.y(share)
    return element("line", x1=frame.left, x2=frame.right, y1=y, y2=y, class_=class_)


def whisker(frame: Frame, x: float, low: float, high: float, tone: int) -> Markup:
    """An interval at ``x``, which is a place in the figure."""
    return element("line", class_=f"whisker stroke{tone}", x1=x, x2=x, y1=frame.y(low), y2=frame.y(high))


def share_axis(frame: Frame, every: float, *, unit: str = "") -> list[Markup]:
    """Horizontal grid lines with per-cent labels."""
    out = []
    for i in range(int(frame.top / every + 1e-9) + 1):
        out.append(across(frame, i * every, "axis" if i == 0 else "grid"))
        y = frame.y(i * every) + 3.5
        out.append(text_label(f"{i * every * 100:.0f}{unit}", frame.left - 7, y, "tick", "end"))
    return out


def axis(frame: Frame, ticks: Ticks, title: str = "", gap: float | None = None) -> list[Markup]:
    """A horizontal axis. A tick whose name would run into the one before is left out; with ``gap``, the least distance
    between two names, it only loses its name."""
    out, last = [], -math.inf
    for x, name in ticks:
        at = frame.x(x)
        has_room = at - last >= (8 + 6.5 * len(name) if gap is None else gap)
        if has_room or gap is not None:
            out.append(element("line", x1=at, x2=at, y1=frame.lower, y2=frame.lower + 4, class_="axis"))
        if has_room:
            out.append(text_label(name, at, frame.lower + 17, "tick", "middle"))
            last = at
    if title:
        out.append(text_label(title, (frame.left + frame.right) / 2, frame.lower + 36, "title", "middle"))
    return out


def end_labels(frame: Frame, rows: Rows, starts: Sequence[float], gap: float, places: int) -> list[Markup]:
    """Names right of the plot, pushed apart where they would overlap, each with a line to it from ``starts``."""
    wanted = [frame.y(share) for _, _, share in rows]
    placed = spread(wanted, 17, frame.upper + 4, frame.lower)
    x = frame.right + gap
    out = []
    for (label, tone, share), y, want, start in zip(rows, placed, wanted, starts, strict=True):
        path = f"{start:.2f},{want:.2f} {x:.2f},{want:.2f} {x + 7:.2f},{y:.2f}"
        out.append(element("polyline", points=path, class_=f"leader stroke{tone}"))
        out.append(text_label(f"{label} {share * 100:.{places}f} %", x + 10, y + 4, f"label ink{tone}"))
    return out


def legend(frame: Frame, rows: Rows, n_lines: int, places: int) -> list[Markup]:
    """Names below the plot, best first, for narrow pages; those after the first ``n_lines`` rows are dashed lines."""
    out: list[Markup] = []
    for i, (k, (label, tone, share)) in enumerate(sorted(enumerate(rows), key=lambda row: -row[1][2])):
        x, y = frame.left + 4, frame.lower + 62 + 18 * i
        if k < n_lines:
            out.append(marker(x + 8, y - 4, tone, f"mark fill{tone}"))
        else:
            out.append(element("line", x1=x, x2=x + 18, y1=y - 4, y2=y - 4, class_=f"teacher stroke{tone}"))
        out.append(text_label(f"{label} {share * 100:.{places}f} %", x + 26, y, f"label ink{tone}"))
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


def standalone_style() -> str:
    """The ``<style>`` of a figure that stands in no page."""
    rules = "".join((_ASSETS / name).read_text(encoding="utf-8") for name in ("ladder.css", "figures.css"))
    return f"<style>{rules}</style>"
