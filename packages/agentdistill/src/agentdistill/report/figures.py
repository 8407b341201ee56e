"""The figures of a report, as inline SVG: the ladder, its small multiples by family, and loss curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from agentdistill.report import svg
from agentdistill.report.comparisons import COT_DISTILL, is_agent_distilled
from agentdistill.report.run import method_label

_TONES = {"agent-distill": 0, "cot-distill": 1, "cot-distill-rag": 2, "agent": 3, "cot": 4, "agent-distill-prefix": 5}
_N_TONES = 8


def tone(method: str, methods: Sequence[str]) -> int:
    """The colour number of a method: fixed for the known ones, by place for the rest."""
    if method in _TONES:
        return _TONES[method]
    unknown = [m for m in methods if m not in _TONES]
    return len(_TONES) + unknown.index(method) % (_N_TONES - len(_TONES))


@dataclass(frozen=True)
class Point:
    """One model of a line: its place across, its name and its accuracy with limits (shares)."""

    x: float
    name: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """One method across model sizes."""

    method: str
    tone: int
    points: tuple[Point, ...]

    @property
    def main(self) -> bool:
        """The two methods that the run compares; the others are drawn behind them."""
        return self.method == COT_DISTILL or is_agent_distilled(self.method)


def lines(report: Mapping[str, Any], family: str | None = None) -> list[Line]:
    """A line for every student method, over model sizes on a log axis (over their order where sizes are unknown)."""
    students = [e for e in report["evaluations"] if e["role"] != "teacher"]
    methods = list(dict.fromkeys(e["method"] for e in students))
    known = all(e["n_parameters"] for e in students)
    names = list(dict.fromkeys(e["student"] for e in students))
    out = []
    for method in sorted(methods, key=lambda m: (tone(m, methods), m), reverse=True):
        points = []
        for e in (e for e in students if e["method"] == method):
            cell = e["average"] if family is None else e["families"].get(family)
            if cell is None or cell["accuracy"] is None:
                continue
            accuracy = cell["accuracy"]
            x = math.log10(e["n_parameters"]) if known else float(names.index(e["student"]))
            points.append(Point(x, e["student"], accuracy["estimate"], accuracy["low"], accuracy["high"]))
        if points:
            out.append(Line(method, tone(method, methods), tuple(sorted(points, key=lambda p: p.x))))
    return out


def ladder(
    report: Mapping[str, Any], width: float = 900, height: float = 440, *, legend: bool = False, style: str = ""
) -> Markup:
    """Accuracy against model size, one line a method, intervals drawn, the teacher as dashed lines.

    A dotted line carries each distilled agent across to the next size up, where it meets what CoT reached there.
    ``legend`` puts the names below instead of at the lines' ends, for narrow pages.
    """
    drawn = lines(report)
    if not drawn:
        return Markup("")
    teachers = _teachers(report)
    names = [(method_label(line.method), line.tone, line.points[-1].estimate) for line in drawn]
    highest = max([p.high for line in drawn for p in line.points] + [a for _, _, a in teachers])
    below = 46 + (18 * (len(names) + len(teachers)) + 8 if legend else 0)
    height += below - 46
    frame, every = _frame(drawn, width, height, 42, 12 if legend else 226, highest, below)
    body = svg.share_axis(frame, every, unit=" %")
    body += _size_axis(frame, drawn)
    body += [svg.across(frame, accuracy, f"teacher stroke{tone}") for _, tone, accuracy in teachers]
    body += _carried(frame, drawn)
    for i, line in enumerate(drawn):
        body += _line(frame, line, dodge=(i - len(drawn) / 2 + 0.5) * 3.0)
    if legend:
        body += svg.legend(frame, [*names, *teachers], len(names), 0)
    else:
        ends = [frame.x(line.points[-1].x) for line in drawn] + [frame.right] * len(teachers)
        body += svg.end_labels(frame, [*names, *teachers], [x + 8 for x in ends], 2, 0)
    return svg.figure(width, height, "Accuracy against model size, by method, with 95 % intervals", body, style)


def _teachers(report: Mapping[str, Any]) -> svg.Rows:
    out = []
    for e in report["evaluations"]:
        if e["role"] == "teacher" and e["average"]["accuracy"] is not None and e["method"] in ("agent", "cot"):
            label = "Teacher as agent" if e["method"] == "agent" else "Teacher with CoT"
            out.append((label, 0 if e["method"] == "agent" else 1, e["average"]["accuracy"]["estimate"]))
    return out


def _frame(
    drawn: Sequence[Line], width: float, height: float, left: float, right: float, highest: float, below: float = 46
) -> tuple[svg.Frame, float]:
    top, every = svg.nice_top(highest)
    xs = [p.x for line in drawn for p in line.points]
    pad = max((max(xs) - min(xs)) * 0.09, 0.1)
    return svg.Frame(left, width - right, 14, height - below, min(xs) - pad, max(xs) + pad, top), every


def _size_axis(frame: svg.Frame, drawn: Sequence[Line], *, title: bool = True) -> list[Markup]:
    ticks = sorted({(p.x, p.name) for line in drawn for p in line.points})
    return svg.axis(frame, ticks, "parameters of the student, log scale" if title else "", gap=26)


def _carried(frame: svg.Frame, drawn: Sequence[Line]) -> list[Markup]:
    """Each distilled agent's height, carried to the next size that CoT distillation has."""
    sizes = [p.x for line in drawn if line.method == COT_DISTILL for p in line.points]
    out = []
    for line in (line for line in drawn if is_agent_distilled(line.method)):
        for p in line.points:
            larger = [x for x in sizes if x > p.x]
            if larger:
                y = frame.y(p.estimate)
                ends = {"x1": frame.x(p.x), "x2": frame.x(min(larger)), "y1": y, "y2": y}
                out.append(svg.element("line", class_=f"carried stroke{line.tone}", **ends))
    return out


def _line(frame: svg.Frame, line: Line, dodge: float = 0.0, size: float = 4.6) -> list[Markup]:
    weight = "main" if line.main else "minor"
    at = [(frame.x(p.x) + dodge, p) for p in line.points]
    path = " ".join(f"{x:.2f},{frame.y(p.estimate):.2f}" for x, p in at)
    out = [svg.element("polyline", points=path, class_=f"line {weight} stroke{line.tone}")]
    out += [svg.whisker(frame, x, p.low, p.high, line.tone) for x, p in at]
    for x, p in at:
        said = f"{p.name} · {method_label(line.method)}: {p.estimate:.1%} ({p.low:.1%} to {p.high:.1%})"
        out.append(svg.titled(said, svg.marker(x, frame.y(p.estimate), line.tone, f"mark fill{line.tone}", size)))
    return out


def family_panels(report: Mapping[str, Any], width: float = 232, height: float = 168) -> list[Markup]:
    """The ladder for each family, all on the same axes so that they can be compared at a glance."""
    everything = [p for f in report["families"] for line in lines(report, f) for p in line.points]
    if not everything:
        return []
    top, every = svg.nice_top(max(p.high for p in everything))
    low, high = min(p.x for p in everything), max(p.x for p in everything)
    pad = max((high - low) * 0.09, 0.1)
    out = []
    for family in report["families"]:
        drawn = lines(report, family)
        frame = svg.Frame(30, width - 8, 26, height - 24, low - pad, high + pad, top)
        body = [svg.text_label(family, 4, 14, "panel"), *svg.share_axis(frame, every)]
        body += _size_axis(frame, drawn, title=False)
        for i, line in enumerate(drawn):
            body += _line(frame, line, dodge=(i - len(drawn) / 2 + 0.5) * 2.4, size=3.2)
        out.append(svg.figure(width, height, f"{family}: accuracy in per cent against model size", body))
    return out


def loss_panels(report: Mapping[str, Any], width: float = 232, height: float = 132) -> list[Markup]:
    """Training loss against optimiser step, one panel a student and method, the loss axis shared."""
    curves = [t for t in report["training"] if len(t["loss"]) > 1]
    if not curves:
        return []
    top = max(r["loss"] for t in curves for r in t["loss"] if math.isfinite(r["loss"]))
    out = []
    for t in curves:
        rows = [r for r in t["loss"] if math.isfinite(r["loss"])]
        frame = svg.Frame(30, width - 8, 32, height - 22, rows[0]["step"], rows[-1]["step"], top or 1.0)
        colour = tone(t["method"], [u["method"] for u in curves])
        path = " ".join(f"{frame.x(r['step']):.2f},{frame.y(r['loss']):.2f}" for r in rows)
        title = f"{t['student']} · {method_label(t['method'])}"
        body = [
            svg.text_label(title, 4, 14, "panel"),
            svg.text_label(f"{rows[-1]['loss']:.3f}", width - 8, 36, f"label ink{colour}", "end"),
            svg.across(frame, 0.0, "axis"),
            svg.text_label("0", frame.left - 6, frame.lower + 3.5, "tick", "end"),
            svg.text_label(f"{top:.2g}", frame.left - 6, frame.upper + 3.5, "tick", "end"),
            svg.text_label(f"step {rows[-1]['step']}", frame.right, frame.lower + 15, "tick", "end"),
            svg.element("polyline", points=path, class_=f"line main stroke{colour}"),
        ]
        out.append(svg.figure(width, height, f"Training loss of {title}, last {rows[-1]['loss']:.3f}", body))
    return out


def ladder_svg(report: Mapping[str, Any]) -> str:
    """Accuracy against model size as a standalone SVG with its own colours, on white or on a dark page.

    Empty text where the report holds no scored student.
    """
    return str(ladder(report, style=svg.standalone_style()))
