"""The curves as one self-contained HTML page: figures, matrices and tables, nothing fetched, no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from agentdistill import report
from agentdistill.report import _svg as svg

Curve = Mapping[str, Any]
_AXES: tuple[tuple[str, str, Callable[[int, Mapping[str, Any]], float | None]], ...] = (
    ("candidates", "candidates a problem, log scale", lambda n, cell: float(n)),
    ("tokens", "tokens written a problem, log scale", lambda n, cell: cell["cost"]["tokens"]),
    ("flops", "FLOPs a problem, log scale", lambda n, cell: cell["cost"]["flops"]),
    ("seconds", "seconds a problem, log scale", lambda n, cell: cell["cost"]["seconds"]),
)
_ORDER = ("verifier-weighted", "majority", "two-stage", "weighted", "verifier", "verifier-best", "best-of-n", "first")
_CEILING = "pass"
_STYLE = """
:root { --paper: #fff; --ink: #1d2126; --soft: #5c646d; --rule: #e3e1da; --sans: system-ui, sans-serif;
--tone0: #0b6e69; --tone1: #ac4806; --tone2: #84600a; --tone3: #3f639b; --tone4: #96446f; --tone5: #6246ad;
--tone6: #37702a; --tone7: #5f666e; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6e8ea; --soft: #a0a7ae; --rule: #30363c;
--tone0: #4fc4b8; --tone1: #f08c4a; --tone2: #d9b24c; --tone3: #8fb1e3; --tone4: #dc93bd; --tone5: #b3a0ee;
--tone6: #8bc97a; --tone7: #98a0a8; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 var(--sans); max-width: 62rem; margin: 2rem auto;
padding: 0 1rem; } table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .7rem; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
svg { width: 100%; height: auto; } .wide { overflow-x: auto; } .note { color: var(--soft); }
"""


def render(curves: Sequence[Curve]) -> str:
    """The page of one or several curves. Text out of files is only ever text."""
    figures_css = (Path(report.__file__).parent / "assets" / "figures.css").read_text(encoding="utf-8")
    body = Markup("").join(_section(c) for c in curves)
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Verification</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<style>{}</style></head><body><h1>Selection among candidates</h1>{}</body></html>\n"
    ).format(Markup(_STYLE + figures_css), body)


def _section(c: Curve) -> Markup:
    drawn = [f for name, title, x in _AXES if (f := figure(c, name, title, x))]
    told = f"{c['n_problems']:,} problems, {c['n_candidates']:,} candidates; 95 % intervals over problems"
    return Markup('<section><h2>{}</h2><p class="note">{}</p>{}{}{}{}</section>').format(
        c["name"], told, Markup("").join(drawn), _accuracies(c), _versus(c), _verifiers(c)
    )


def methods_of(c: Curve) -> list[str]:
    """The methods of a curve in the order they are drawn and listed, the ceiling last."""
    known = [m for m in _ORDER if m in c["methods"]]
    return [
        *known,
        *(m for m in c["methods"] if m not in (*known, _CEILING)),
        *([_CEILING] * (_CEILING in c["methods"])),
    ]


def figure(c: Curve, axis: str, title: str, x_of: Callable[[int, Mapping[str, Any]], float | None]) -> Markup:
    """Accuracy of every method against one cost; nothing where the cost is not known."""
    lines: dict[str, list[tuple[float, Mapping[str, Any]]]] = {}
    for m in methods_of(c):
        cells = c["methods"][m]["budgets"]
        points = [(x, cell) for n, cell in cells.items() if (x := x_of(int(n), cell)) is not None and x > 0]
        if len(points) == len(cells):
            lines[m] = [(math.log10(x), cell) for x, cell in points]
    xs = [x for points in lines.values() for x, _ in points]
    if not xs:
        return Markup("")
    top, every = svg.nice_top(max(cell["high"] for points in lines.values() for _, cell in points))
    pad = max((max(xs) - min(xs)) * 0.05, 0.05)
    frame = svg.Frame(42, 900 - 190, 14, 400 - 46, min(xs) - pad, max(xs) + pad, top)
    body = [*svg.share_axis(frame, every, unit=" %"), *_ticks(frame, xs, title)]
    ends = svg.spread([frame.y(points[-1][1]["accuracy"]) for points in lines.values()], 15, frame.upper, frame.lower)
    for i, ((m, points), end) in enumerate(zip(lines.items(), ends, strict=True)):
        body += _line(frame, m, points, i, end)
    return svg.figure(900, 400, f"Accuracy against {axis}, by method", body)


def _line(
    frame: svg.Frame, m: str, points: Sequence[tuple[float, Mapping[str, Any]]], tone: int, end: float
) -> list[Markup]:
    tone %= 8
    path = " ".join(f"{frame.x(x):.2f},{frame.y(cell['accuracy']):.2f}" for x, cell in points)
    kind = "teacher" if m == _CEILING else "line"
    out = [svg.element("polyline", points=path, class_=f"{kind} stroke{tone}", fill="none")]
    for x, cell in points:
        at = frame.x(x) + (tone - 3) * 1.5
        low, high = frame.y(cell["low"]), frame.y(cell["high"])
        out.append(svg.element("line", x1=at, x2=at, y1=low, y2=high, class_=f"whisker stroke{tone}"))
        out.append(svg.marker(frame.x(x), frame.y(cell["accuracy"]), tone, f"mark fill{tone}", 3.4))
    share = points[-1][1]["accuracy"]
    return [*out, svg.text_label(f"{m} {share * 100:.1f} %", frame.right + 12, end + 4, f"label ink{tone}")]


def _ticks(frame: svg.Frame, xs: Sequence[float], title: str) -> list[Markup]:
    out = []
    last = -math.inf
    for x in sorted(set(xs)):
        at = frame.x(x)
        if at - last >= 44:
            out.append(svg.element("line", x1=at, x2=at, y1=frame.lower, y2=frame.lower + 4, class_="axis"))
            out.append(svg.text_label(_short(10**x), at, frame.lower + 17, "tick", "middle"))
            last = at
    middle = (frame.left + frame.right) / 2
    return [*out, svg.text_label(title, middle, frame.lower + 36, "title", "middle")]


def _short(value: float) -> str:
    if value >= 1e6 or value < 0.1:
        return f"{value:.1e}".replace("e+", "e").replace("e0", "e")
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    def cells(tag: str, row: Sequence[str]) -> Markup:
        return Markup("").join(Markup("<{0}>{1}</{0}>").format(Markup(tag), escape(cell)) for cell in row)

    lines = Markup("").join(Markup("<tr>{}</tr>").format(cells("td", row)) for row in rows)
    return Markup('<div class="wide"><table><tr>{}</tr>{}</table></div>').format(cells("th", head), lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f}"


def _accuracies(c: Curve) -> Markup:
    rows = []
    for m in methods_of(c):
        cells = c["methods"][m]["budgets"]
        last = list(cells.values())[-1]
        interval = f"{last['low'] * 100:.1f}–{last['high'] * 100:.1f}"
        shares = (_percent(last["fell_back"]), _percent(last["abstained"]))
        rows.append([m, *(_percent(cell["accuracy"]) for cell in cells.values()), interval, *shares])
    head = ["accuracy, %, at n =", *map(str, c["budgets"]), "95 %", "fell back", "no answer"]
    return _table(head, rows)


def _versus(c: Curve) -> Markup:
    if not c["versus_majority"]:
        return Markup("")
    rows = []
    for m, d in c["versus_majority"].items():
        points = [f"{d[k] * 100:+.1f}".replace("-", "−") for k in ("difference", "low", "high")]
        rows.append([m, *points, str(d["n_better"]), str(d["n_worse"])])
    return _table(["points above majority, paired", "difference", "low", "high", "better on", "worse on"], rows)


def _verifiers(c: Curve) -> Markup:
    rows = []
    for name, v in c["verifiers"].items():
        for label, m in ((name, v), *((f"  {f}", m) for f, m in v["families"].items() if len(v["families"]) > 1)):
            counts = [f"{m[k]:,}" for k in ("tp", "fn", "fp", "tn")]
            shares = [_percent(m[k]) for k in ("accuracy", "precision", "recall", "f1")]
            p = m["p_reject_wrong"]
            rows.append([label, *counts, *shares, _percent(None if p is None else p["estimate"])])
    if not rows:
        return Markup("")
    heads = ["verifier", "right accepted", "right rejected", "wrong accepted", "wrong rejected"]
    told = _table([*heads, "accuracy", "precision", "recall (q)", "F1", "p"], rows)
    kinds = [[name, *(f"{n:,}" for n in v["kinds"].values())] for name, v in c["verifiers"].items()]
    names = [k.replace("_", " ") for k in next(iter(c["verifiers"].values()))["kinds"]]
    return told + _table(["samples that ended in", *names], kinds) + _theory(c)


def _theory(c: Curve) -> Markup:
    if not c["theory"]:
        return Markup("")
    rows = [
        [t["verifier"], str(t["n"]), *(_percent(t[k]) for k in ("p", "q", "formula", "simulated", "all_rejected"))]
        for t in c["theory"]
    ]
    head = ["lemma at the measured p, q", "n", "p", "q", "formula", "simulated", "all rejected"]
    note = "Candidates of a problem are taken as independent there, which real ones are not."
    return _table(head, rows) + Markup('<p class="note">{}</p>').format(note)
