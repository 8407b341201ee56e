"""Curves as Markdown and as HTML: a section of a run's report, or one self-contained page that fetches nothing.

Pure functions of ``verify.json``. Figures are drawn in the report's classes and colours, so that they stand on its page
and on one of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from agentdistill.report import standalone_style, svg
from agentdistill.report.page import standalone_page
from agentdistill.report.stats import percent, points
from agentdistill.report.tables import grid, text
from agentdistill.verify.beam import SOURCE
from agentdistill.verify.select import best_informed
from agentdistill.verify.stopping import N_ORDERS

T1, CONTROL = "verifier-weighted", "two-stage"


def render(curves: Sequence[Curve]) -> str:
    """The page of one or several curves. Text out of files is only ever text."""
    return standalone_page("Verification", section(curves))


def picture(curves: Sequence[Curve]) -> str:
    """The first curve's accuracy against candidates, as an SVG with colours of its own."""
    return str(against_candidates(curves[0], style=standalone_style()))


def section(curves: Sequence[Curve]) -> Markup:
    """The curves one under another, to stand in a page of the report's style."""
    return Markup("").join(_curve(c) for c in curves)


def reading(c: Curve) -> str:
    """What a curve shows, in one or two sentences, with the paired intervals that settle it or do not.

    >>> alone = {"methods": {"first": {}}, "budgets": [1], "verifiers": {}, "marks": {"n_right": 1}, "n_candidates": 4}
    >>> reading(alone)
    'With one candidate a problem there is nothing to choose; 25.0 % are right.'
    """
    n, best = c["budgets"][-1], best_informed(c["methods"])
    if n == 1:
        named = ", ".join(f"{k} {percent(v['accuracy'])} %" for k, v in c["verifiers"].items())
        right = percent(c["marks"]["n_right"] / c["n_candidates"])
        alone = f"With one candidate a problem there is nothing to choose; {right} % are right."
        return f"Verdicts that are the truth: {named}." if named else alone
    accuracy = list(c["methods"][best]["budgets"].values())[-1]["accuracy"]
    parts = [f"With {n} candidates, {LABELS[best]} reaches {percent(accuracy)} %"]
    if best in c["versus_majority"]:  # not in the one against itself
        parts.append(f"{_difference(c['versus_majority'][best])} against majority")
    if best == T1 and best in c["versus_two_stage"]:
        parts.append(f"{_difference(c['versus_two_stage'][best])} against {LABELS[CONTROL]}")
    rivals = [(name, r["versus"][best]) for name, r in c["rivals"].items() if best in r["versus"]]
    parts += [f"{_difference(d)} against {once(name).replace(', once', ' answering once')}" for name, d in rivals]
    return "; ".join(parts) + "."


def setting(c: Curve) -> list[str]:
    """What the numbers of a curve are of: how many, how the intervals come about, who was listened to; sentences."""
    seeds = f", {c['n_seeds']} seeds" if c["n_seeds"] > 1 else ""
    problems, candidates = counted(c["n_problems"], "problem"), counted(c["n_candidates"], "candidate")
    parts = [f"{problems}, {candidates} in all{seeds}. Intervals are 95 %, bootstrapped over problems."]
    short = {n: k for n, k in c["n_problems_at"].items() if k < c["n_problems"]}
    if short:
        told = ", ".join(f"{k:,} have {n}" for n, k in short.items())
        parts.append(f"Not every problem has as many candidates: {told}; each column is over those that do.")
    names = {"filtered by": "verifier", "without a tool by": "plain", "weighed by": "reward"}
    heard = [f"{does} {c['judges'][k]}" for does, k in names.items() if c["judges"].get(k)]
    if heard and len(c["budgets"]) > 1:
        said = ", ".join(heard)
        own = " (the share of its own verdicts)" if c["judges"].get("verifier") == c["judges"].get("reward") else ""
        parts.append(f"{said[0].upper()}{said[1:]}{own}.")
    return parts + [f"Left out: {why}." for why in dict.fromkeys(c["left_out"].values())]


def counted(n: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "problem"), counted(1200, "problem")
    ('1 problem', '1,200 problems')
    """
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _difference(d: Any) -> str:
    return f"{points(d['difference'])} points (95 % interval {points(d['low'])} to {points(d['high'])})"


def _curve(c: Curve) -> Markup:
    parts = [Markup("<h2>{}</h2><p>{}</p>").format(c["name"], reading(c))]
    parts.append(Markup('<p class="hint">{}</p>').format(" ".join(setting(c))))
    if len(c["budgets"]) > 1:
        wide, narrow = against_candidates(c), against_candidates(c, 380, 300, legend=True)
        parts.append(Markup('<figure class="wide">{}</figure><figure class="narrow">{}</figure>').format(wide, narrow))
        costs = "What it costs" + ("; diamonds are models that answer once" if c["rivals"] else "")
        for title, drawn in ((costs, against_costs(c)), ("By family", by_family(c))):
            parts += [Markup("<h3>{}</h3>").format(title), _panels(drawn), _legend(c)] if drawn else []
        parts += [_accuracies(c), _versus(c)]
    parts.append(_verifiers(c))
    if c.get("stopping"):
        parts.append(_table(_STOPPING, _stops(c), _of_stopping(c)))
    parts.append(_stages(c))
    return Markup('<section class="verification">{}</section>').format(Markup("").join(parts))


def _panels(drawn: Sequence[Markup]) -> Markup:
    inner = Markup("").join(Markup("<figure>{}</figure>").format(f) for f in drawn)
    return Markup('<div class="panels">{}</div>').format(inner)


def _legend(c: Curve) -> Markup:
    chips = Markup("").join(
        Markup('<span><i class="chip tone{}"></i>{}</span>').format(TONES[m], LABELS[m]) for m in main_methods(c)
    )
    return Markup('<p class="legend">{}</p>').format(chips)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> Markup:
    """A table: the first column names the row, the others hold numbers."""

    def cells(tag: str, row: Sequence[str]) -> Markup:
        first, *rest = row
        scope = Markup(' scope="col"') if tag == "th" else Markup("")
        start = Markup('<th scope="{}">{}</th>').format("col" if tag == "th" else "row", escape(first))
        return start + Markup("").join(
            Markup('<{0}{1} class="num">{2}</{0}>').format(Markup(tag), scope, escape(cell)) for cell in rest
        )

    body = Markup("").join(Markup("<tr>{}</tr>").format(cells("td", row)) for row in rows)
    named = Markup("<caption>{}</caption>").format(caption) if caption else Markup("")
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{}"><table class="all">{}<thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(caption or head[0], named, cells("th", head), body)


def _accuracies(c: Curve) -> Markup:
    rows = []
    for m in (m for m in LABELS if m in c["methods"]):
        cells = c["methods"][m]["budgets"]
        last = list(cells.values())[-1]
        interval = f"{last['low'] * 100:.1f} – {last['high'] * 100:.1f}"
        seeds = ", ".join(percent(s) for s in last["seeds"])
        shares = (percent(last["fell_back"]), percent(last["abstained"]))
        rows.append([LABELS[m], *(percent(cell["accuracy"]) for cell in cells.values()), interval, seeds, *shares])
    for name, r in c["rivals"].items():
        blank = [""] * (len(c["budgets"]) - 1)
        interval = f"{r['low'] * 100:.1f} – {r['high'] * 100:.1f}"
        rows.append([once(name), percent(r["accuracy"]), *blank, interval, "", "", ""])
    if min(c["n_problems_at"].values()) < c["n_problems"]:
        rows.append(["problems with as many", *(f"{k:,}" for k in c["n_problems_at"].values()), *[""] * 4])
    head = ["per cent right with n =", *map(str, c["budgets"]), "95 %", "each seed", "fell back", "no answer"]
    return _table(head, rows, "Accuracy by method and budget; interval, seeds and shares at the largest")


def _versus(c: Curve) -> Markup:
    against = {
        LABELS["majority"]: c["versus_majority"],
        LABELS[CONTROL]: {m: d for m, d in c["versus_two_stage"].items() if m == T1},
        **{once(name): r["versus"] for name, r in c["rivals"].items()},
    }
    rows = [
        [f"{LABELS[m]} − {other}", *_compared(found[m])]
        for m in LABELS
        for other, found in against.items()
        if m in found and (other == LABELS["majority"] or m in main_methods(c))
    ]
    if not rows:
        return Markup("")
    head = ["in points, paired by problem", "difference", "low", "high", "better on", "worse on"]
    return _table(head, rows, f"Differences with {c['budgets'][-1]} candidates")


def _compared(d: Any) -> list[str]:
    return [*(points(d[k]) for k in ("difference", "low", "high")), str(d["n_better"]), str(d["n_worse"])]


def _verifiers(c: Curve) -> Markup:
    if not c["verifiers"]:
        return Markup("")
    parts = [Markup("<h3>Verifiers against the truth</h3>")]
    parts.append(Markup('<p class="hint">{}</p>').format(_accepting(c)))
    parts.append(verifier_accuracy(c))
    parts.append(_panels([matrix(name, v) for name, v in c["verifiers"].items()]))
    rows = [
        [label, *_counts(m), *(percent(m[k]) for k in ("accuracy", "precision", "f1")), *map(_limits, (m[_Q], m[_P]))]
        for label, m in _matrices(c, " · ")
    ]
    heads = ["verifier", "right accepted", "right rejected", "wrong accepted", "wrong rejected"]
    heads += ["accuracy", "precision", "F1", "q, accepts right", "p, rejects wrong"]
    parts.append(_details("Matrices in numbers, by family", _table(heads, rows)))
    ended = {name: v["kinds"] for name, v in c["verifiers"].items() if v["kinds"]}
    if ended:
        names = [k.replace("_", " ") for k in next(iter(ended.values()))]
        kinds = [[name, *(f"{n:,}" for n in counts.values())] for name, counts in ended.items()]
        parts.append(_table(["samples that ended in", *names], kinds, "How checks ended"))
    return Markup("").join(parts)


_P, _Q = "p_reject_wrong", "q_accept_right"


def _matrices(c: Curve, joint: str) -> list[tuple[str, Any]]:
    """Every verifier's matrix with its name, and behind it those of the families where there are several."""
    rows = []
    for name, v in c["verifiers"].items():
        families = v["families"] if len(v["families"]) > 1 else {}
        rows += [(name, v), *((f"{name}{joint}{f}", m) for f, m in families.items())]
    return rows


def _counts(m: Any) -> list[str]:
    return [f"{m[k]:,}" for k in ("tp", "fn", "fp", "tn")]


def _accepting(c: Curve) -> str:
    """What the words of the matrices mean."""
    told = "q is the share of the right solutions that is accepted, p the share of the wrong ones that is rejected."
    reward = c["judges"].get("reward")
    if reward is not None and reward not in c["verifiers"]:
        return f"{told} {reward} only ranks: a half does not part its rewards, so it has no matrix."
    both = f"{c['judges'].get('verifier')} × {reward}"
    accepts = "A reward model accepts what it gives a half or more"
    return f"{told} {accepts}; {both} is what both accept." if both in c["verifiers"] else told


def _limits(i: Any) -> str:
    """A share with its interval, in per cent; a dash for none."""
    return "–" if i is None else f"{percent(i['estimate'])} ({percent(i['low'])} to {percent(i['high'])})"


def _details(title: str, body: Markup) -> Markup:
    return Markup("<details><summary>{}</summary>{}</details>").format(title, body)


def _stages(c: Curve) -> Markup:
    rows = [[name, *("–" if s[k] is None else short(s[k]) for k in _STAGE)] for name, s in stages(c).items()]
    head = ["stage", "parameters", "tokens read", "tokens written", "seconds"]
    return _table(head, rows, "What a candidate costs, on average")


def stages(c: Curve) -> dict[str, Any]:
    """Every stage that costs something, and every rival's only one."""
    return {**c["stages"], **{once(name): r for name, r in c["rivals"].items()}}


_STAGE = ("n_parameters", "prompt_tokens", "new_tokens", "seconds")


_NONE = "–"


def markdown(curves: Sequence[Curve]) -> str:
    """One section a curve: what it shows, accuracies, differences, verifiers against the truth."""
    lines = [line for c in curves for line in _markdown_curve(c)]
    return "\n".join(lines).strip() + "\n"


def _markdown_curve(c: Curve) -> list[str]:
    parts = [_opening(c), _accuracy_rows(c), _differences(c), _verifier_rows(c), _stopping_rows(c), _cost_rows(c)]
    return [line for part in parts if part for line in (*part, "")]


def _opening(c: Curve) -> list[str]:
    return [f"## {text(c['name'])}", "", text(reading(c)), "", text(" ".join(setting(c)))]


def _accuracy_rows(c: Curve) -> list[str]:
    if len(c["budgets"]) < 2:
        return []
    rows = []
    for name in (m for m in LABELS if m in c["methods"]):
        cells = list(c["methods"][name]["budgets"].values())
        seeds = " / ".join(percent(s) for s in cells[-1]["seeds"])
        rows.append([LABELS[name], *(percent(cell["accuracy"]) for cell in cells), _interval(cells[-1]), seeds])
    blank = [_NONE] * (len(c["budgets"]) - 1)
    rows += [[_rival(k, r), percent(r["accuracy"]), *blank, _interval(r), _NONE] for k, r in c["rivals"].items()]
    if min(c["n_problems_at"].values()) < c["n_problems"]:
        rows.append(["problems with as many", *(f"{k:,}" for k in c["n_problems_at"].values()), _NONE, _NONE])
    heads = ["per cent right with n =", *map(str, c["budgets"]), "interval at the largest", "each seed"]
    return grid(heads, rows)


def _rival(name: str, rival: Any) -> str:
    size = rival["n_parameters"]
    return text(once(name)) + (f" ({size / 1e6:.1f}M)" if size else "")


def _differences(c: Curve) -> list[str]:
    if len(c["budgets"]) < 2:
        return []
    best = best_informed(c["methods"])
    found = [(LABELS["majority"], c["versus_majority"])]
    found += [(LABELS[CONTROL], c["versus_two_stage"])] if best == T1 else []
    found += [(once(k), r["versus"]) for k, r in c["rivals"].items()]
    rows = [[text(name), *_compared(d[best])] for name, d in found if best in d]
    heads = [f"points, {LABELS[best]} less …", "difference", "low", "high", "better on", "worse on"]
    return grid(heads, rows) if rows else []


def _verifier_rows(c: Curve) -> list[str]:
    rows = [
        [text(label), *_counts(m), *(percent(m[k]) for k in ("accuracy", "f1")), *map(_limits, (m[_P], m[_Q]))]
        for label, m in _matrices(c, ", ")
    ]
    heads = ["verifier", "TP", "FN", "FP", "TN", "accuracy", "F1", "p, rejects wrong", "q, accepts right"]
    return grid(heads, rows) if rows else []


def _stopping_rows(c: Curve) -> list[str]:
    return [_of_stopping(c) + ".", "", *grid(_STOPPING, _stops(c))] if c.get("stopping") else []


_STOPPING = ["bound", "candidates and judgements spared, %", "answers changed, %", "right, %", "right with all, %"]
_STOPPING += ["difference, points"]


def _of_stopping(c: Curve) -> str:
    first = c["stopping"][0]
    label, batch = LABELS[first["method"]], first["batch"]
    return (
        f"Sampling that stops ({label}), looked at after every {batch} candidates, in {N_ORDERS} orders of each problem"
    )


def _stops(c: Curve) -> list[list[str]]:
    """A row for every bound."""
    rows = []
    for s in c["stopping"]:
        spared, d = 1 - s["candidates"]["share"], s["difference"]
        found = _NONE if d is None else f"{points(d['estimate'])} ({points(d['low'])} to {points(d['high'])})"
        shares = [percent(s[k]) for k in ("changed", "accuracy", "accuracy_of_all")]
        rows.append([f"{s['bound']:g}", percent(spared), *shares, found])
    return rows


def _cost_rows(c: Curve) -> list[str]:
    rows = [[text(name), *(_figure(s[k]) for k in _STAGE)] for name, s in stages(c).items()]
    return grid(["a candidate costs", "parameters", "tokens read", "tokens written", "seconds"], rows)


def _interval(i: Any) -> str:
    return f"({percent(i['low'])} to {percent(i['high'])})"


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


# --- figures ----------------------------------------------------------------------------------------------------------

Curve = Mapping[str, Any]
Points = Sequence[tuple[float, Mapping[str, Any]]]
"""Where a point lies across, and what was measured there."""
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
    """What a rival is called that answered every problem once; a search over steps by its own name."""
    return name if name.startswith(f"{SOURCE} of ") else f"{name}, once"


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


def _last(c: Curve, m: str) -> Mapping[str, Any]:
    cells: Mapping[str, Mapping[str, Any]] = c["methods"][m]["budgets"]
    return list(cells.values())[-1]


def _line(frame: svg.Frame, m: str, points: Points, dodge: float, size: float = 4.2) -> list[Markup]:
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
    points: Mapping[str, Points],
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


def _decades(points: Mapping[str, Points]) -> svg.Ticks:
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
