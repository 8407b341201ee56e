"""The figures of verification as inline SVG: accuracy against candidates and costs, by family, and of verifiers.

They are drawn in the report's classes and colours, so that they stand on its page and on one of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from agentdistill.report import svg

Curve = Mapping[str, Any]
Cell = Mapping[str, Any]
LABELS = {
    "verifier-weighted": "tool verifier × reward",
    "majority": "majority",
    "two-stage": "verifier without tool × reward",
    "weighted": "reward-weighted vote",
    "verifier": "tool verifier, vote",
    "verifier-best": "tool verifier, best reward",
    "best-of-n": "best reward",
    "first": "first sample",
    "pass": "any of them right",
}
"""What methods are called in figures and tables, in the order in which they are listed."""
TONES = {
    m: i for i, m in enumerate(("verifier-weighted", "majority", "best-of-n", "weighted", "two-stage", "verifier"))
}
TONES |= {"verifier-best": 6, "first": 7, "pass": 7}
MAIN = ("verifier-weighted", "two-stage", "weighted", "majority", "pass")
"""What small figures show; where there is no reward, the vote among the verified stands for the first."""
COSTS = {"tokens": "tokens written", "flops": "FLOPs", "seconds": "seconds"}


def once(name: str) -> str:
    """What a rival is called that answered every problem once."""
    return f"{name}, once"


def main_methods(c: Curve) -> list[str]:
    """The methods of small figures, best informed first, the ceiling last."""
    found = [m for m in MAIN if m in c["methods"]]
    return found if "verifier-weighted" in found or "verifier" not in c["methods"] else ["verifier", *found]


def against_candidates(
    c: Curve, width: float = 900, height: float = 430, *, legend: bool = False, style: str = ""
) -> Markup:
    """Accuracy against the number of candidates, a line a method, rivals as dashed lines across."""
    methods = [m for m in LABELS if m in c["methods"]] if not legend else main_methods(c)
    rows = [(LABELS[m], TONES[m], _last(c, m)["accuracy"]) for m in methods]
    rows += [(once(name), 7, r["accuracy"]) for name, r in c["rivals"].items()]
    below = 46 + (18 * len(rows) + 8 if legend else 0)
    points = {m: [(math.log2(int(n)), cell) for n, cell in c["methods"][m]["budgets"].items()] for m in methods}
    highest = max(
        [cell["high"] for ps in points.values() for _, cell in ps] + [r["accuracy"] for r in c["rivals"].values()]
    )
    top, every = svg.nice_top(highest)
    last = math.log2(c["budgets"][-1]) or 1.0
    frame = svg.Frame(44, width - (14 if legend else 300), 14, height + (below - 46) - below, -0.15, last + 0.15, top)
    body = svg.share_axis(frame, every, unit=" %")
    body += svg.axis(frame, [(math.log2(n), str(n)) for n in c["budgets"]], "candidates a problem")
    body += [svg.across(frame, r["accuracy"], "carried stroke7") for r in c["rivals"].values()]
    for i, m in reversed(list(enumerate(methods))):
        body += _line(frame, m, points[m], (i - len(methods) / 2) * 2.2)
    body += svg.legend(frame, rows, len(rows), 1) if legend else _end_labels(frame, rows, len(methods))
    return svg.figure(width, height + below - 46, "Accuracy against the number of candidates, by method", body, style)


def against_costs(c: Curve, width: float = 250, height: float = 178) -> list[Markup]:
    """Accuracy against tokens, FLOPs and time, rivals as diamonds; a cost that is not known for every point has no
    figure."""
    out = []
    for cost, title in COSTS.items():
        points = {
            m: [(math.log10(cell["cost"][cost]), cell) for cell in c["methods"][m]["budgets"].values()]
            for m in main_methods(c)
            if m != "pass" and all(cell["cost"][cost] for cell in c["methods"][m]["budgets"].values())
        }
        if len(points) > 1 and len(c["budgets"]) > 1:
            rivals = [(name, r["cost"][cost], r["accuracy"]) for name, r in c["rivals"].items() if r["cost"][cost]]
            beside = [(name, math.log10(x), share) for name, x, share in rivals]
            out.append(_small(points, f"{title} a problem", _decades(points), width, height, beside=beside))
    return out


def by_family(c: Curve, width: float = 250, height: float = 178) -> list[Markup]:
    """Accuracy against the number of candidates for each family (or level), all on the same axes."""
    cells = {m: list(c["methods"][m]["budgets"].items()) for m in main_methods(c)}
    families = list(cells["majority"][-1][1]["families"]) if "majority" in cells else []
    if len(families) < 2 or len(c["budgets"]) < 2:
        return []
    out = []
    ticks = [(math.log2(n), str(n)) for n in c["budgets"]]
    for f in families:
        points = {
            m: [(math.log2(int(n)), {"accuracy": cell["families"][f]}) for n, cell in rows if f in cell["families"]]
            for m, rows in cells.items()
        }
        out.append(_small(points, f, ticks, width, height, top=1.0))
    return out


def _last(c: Curve, m: str) -> Cell:
    cells: Mapping[str, Cell] = c["methods"][m]["budgets"]
    return list(cells.values())[-1]


def _line(
    frame: svg.Frame, m: str, points: Sequence[tuple[float, Cell]], dodge: float, size: float = 4.2
) -> list[Markup]:
    tone, main = TONES[m], m in ("verifier-weighted", "majority")
    path = " ".join(f"{frame.x(x):.2f},{frame.y(cell['accuracy']):.2f}" for x, cell in points)
    weight = "teacher" if m == "pass" else "line main" if main else "line minor"
    out = [svg.element("polyline", points=path, class_=f"{weight} stroke{tone}", fill="none")]
    for x, cell in points if main else ():
        if "low" in cell:
            out.append(svg.whisker(frame, frame.x(x) + dodge, cell["low"], cell["high"], tone))
    for x, cell in points if m != "pass" else ():
        mark = svg.marker(
            frame.x(x), frame.y(cell["accuracy"]), tone, f"mark fill{tone}", size if main else size * 0.75
        )
        limits = f" ({cell['low']:.1%} to {cell['high']:.1%})" if "low" in cell else ""
        said = f"{LABELS[m]}: {cell['accuracy']:.1%}{limits}"
        out.append(svg.titled(said, mark))
    return out


def _end_labels(frame: svg.Frame, rows: svg.Rows, n_lines: int) -> list[Markup]:
    """Names right of the plot, the first ``n_lines`` at the ends of lines."""
    starts = [frame.right - (6 if i < n_lines else 0) for i in range(len(rows))]
    return svg.end_labels(frame, rows, starts, 4, 1)


def _small(
    points: Mapping[str, Sequence[tuple[float, Cell]]],
    title: str,
    ticks: svg.Ticks,
    width: float,
    height: float,
    top: float | None = None,
    beside: Sequence[tuple[str, float, float]] = (),
) -> Markup:
    """A small figure without names at its lines: the page's legend tells the colours. ``beside`` are single points
    with their names."""
    xs = [x for ps in points.values() for x, _ in ps] + [x for _, x, _ in beside]
    shares = [cell["accuracy"] for ps in points.values() for _, cell in ps]
    shares += [min(1.0, 1.35 * share) for *_, share in beside]  # their names stand above them
    highest, every = svg.nice_top(max(shares))
    pad = max((max(xs) - min(xs)) * 0.05, 0.05)
    frame = svg.Frame(32, width - 10, 28, height - 24, min(xs) - pad, max(xs) + pad, top or highest)
    body = [svg.text_label(title, 4, 14, "panel"), *svg.share_axis(frame, 0.25 if top else every)]
    body += svg.axis(frame, ticks)
    for m, ps in reversed(list(points.items())):
        body += _line(frame, m, [(x, {"accuracy": cell["accuracy"]}) for x, cell in ps], 0.0, 3.4)
    body += _named_points(frame, beside)
    return svg.figure(width, height, f"{title}: accuracy in per cent", body)


def _named_points(frame: svg.Frame, named: Sequence[tuple[str, float, float]]) -> list[Markup]:
    """Diamonds with their names one above another, higher than all of them: lines start low."""
    out = []
    top = min((frame.y(share) for *_, share in named), default=0.0) - 16
    for i, (name, x, share) in enumerate(sorted(named, key=lambda point: -point[1])):
        at, y, own = frame.x(x), max(top - 13 * i, frame.upper + 8), frame.y(share)
        out.append(svg.element("line", x1=at, y1=own, x2=at, y2=y + 3, class_="leader stroke7"))
        out.append(svg.marker(at, own, 2, "mark fill7", 3.6))
        has_room = at - 7 * len(name) > frame.left
        out.append(svg.text_label(name, at, y, "tick", "end" if has_room else "start"))
    return out


def _decades(points: Mapping[str, Sequence[tuple[float, Cell]]]) -> svg.Ticks:
    xs = [x for ps in points.values() for x, _ in ps]
    whole = range(math.ceil(min(xs) - 1e-9), math.floor(max(xs) + 1e-9) + 1)
    ticks = [(float(k), short(10.0**k)) for k in whole]
    return ticks if len(ticks) > 1 else [(x, short(10**x)) for x in (min(xs), max(xs))]


def short(value: float) -> str:
    """A number in at most five characters or so.

    >>> [short(v) for v in (0.02, 7, 1234, 5e6, 3e13)]
    ['0.02', '7', '1.2k', '5M', '3e13']
    """
    if value >= 1e12 or 0 < value < 0.01:
        return f"{value:.2g}".replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2g}{unit}" if value < 100 * size else f"{value / size:.0f}{unit}"
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def verifier_accuracy(c: Curve, width: float = 900, height: float = 300) -> Markup:
    """Every verifier's accuracy by family, where there are several."""
    shown = {name: v for name, v in c["verifiers"].items() if len(v["families"]) > 1}
    if not shown:
        return Markup("")
    families = sorted({f for v in shown.values() for f in v["families"]})
    frame = svg.Frame(44, width - 200, 14, height - 46, -0.3, len(families) - 0.7, 1.0)
    body = svg.share_axis(frame, 0.2, unit=" %")
    body += svg.axis(
        frame,
        [(float(i), f) for i, f in enumerate(families)],
        "verdicts that are the truth, by family; all of them at the right",
    )
    in_order = all(any(c.isdigit() for c in f) for f in families)  # lengths or levels: a line says something
    rows = []
    for i, (name, v) in enumerate(shown.items()):
        shares = ((k, v["families"][f]["accuracy"]) for k, f in enumerate(families) if f in v["families"])
        dodge = 0.0 if in_order else (i - (len(shown) - 1) / 2) * 11
        at = [(frame.x(k) + dodge, frame.y(share)) for k, share in shares if share is not None]
        if at and in_order:
            dash = {"stroke_dasharray": "6 4"} if v["role"] == "cot" else {}
            path = " ".join(f"{x:.2f},{y:.2f}" for x, y in at)
            body.append(svg.element("polyline", points=path, class_=f"line stroke{i % 8}", **dash))
        body += [svg.marker(x, y, i, f"mark fill{i % 8}", 4.6) for x, y in at]
        rows.append((name, i % 8, v["accuracy"] or 0.0))
    return svg.figure(width, height, "Accuracy of every verifier, by family", [*body, *_end_labels(frame, rows, 0)])


def matrix(title: str, m: Mapping[str, Any], width: float = 250, height: float = 176) -> Markup:
    """Right and wrong solutions, accepted and rejected: a row's shade is its share, p and q stand beside it."""
    body = [svg.text_label(title, 4, 14, "panel")]
    cells = (("right", "tp", "fn", "q", m["q_accept_right"]), ("wrong", "fp", "tn", "p", m["p_reject_wrong"]))
    for k, word in enumerate(("accepted", "rejected")):
        body.append(svg.text_label(word, 84 + 72 * k, 36, "tick", "middle"))
    for i, (word, yes, no, letter, share) in enumerate(cells):
        y, total = 42 + 58 * i, m[yes] + m[no]
        body.append(svg.text_label(word, 42, y + 31, "tick", "end"))
        for k, key in enumerate((yes, no)):
            part = m[key] / total if total else 0.0
            colour = "var(--right)" if (i == k) else "var(--wrong)"
            style = f"fill: color-mix(in srgb, {colour} {part * 45:.0f}%, var(--faint))"
            body.append(svg.element("rect", x=49 + 72 * k, y=y, width=70, height=56, rx=5, style=style))
            body.append(svg.text_label(f"{m[key]:,}", 84 + 72 * k, y + 27, "panel", "middle"))
            body.append(svg.text_label(f"{part:.0%}", 84 + 72 * k, y + 43, "share", "middle"))
        said = "–" if share is None else f"{letter} {share['estimate'] * 100:.1f}"
        body.append(svg.text_label(said, 202, y + 31, "tick"))
    return svg.figure(width, height, f"{title}: verdicts against the truth", body)
