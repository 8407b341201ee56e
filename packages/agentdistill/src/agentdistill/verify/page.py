"""Curves as Markdown and as HTML: a section of a run's report, or one self-contained page that fetches nothing.

Pure functions of ``verify.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from agentdistill.report import standalone_style
from agentdistill.report.page import standalone_page
from agentdistill.report.tables import grid, text
from agentdistill.stats import percent, points
from agentdistill.verify import figures
from agentdistill.verify.figures import LABELS, Curve, once
from agentdistill.verify.select import best_informed

T1, CONTROL = "verifier-weighted", "two-stage"


def render(curves: Sequence[Curve]) -> str:
    """The page of one or several curves. Text out of files is only ever text."""
    return standalone_page("Verification", section(curves))


def picture(curves: Sequence[Curve]) -> str:
    """The first curve's accuracy against candidates, as an SVG with colours of its own."""
    return str(figures.against_candidates(curves[0], style=standalone_style()))


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
    parts += [f"{_difference(d)} against {name} answering once" for name, d in rivals]
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
        wide, narrow = figures.against_candidates(c), figures.against_candidates(c, 380, 300, legend=True)
        parts.append(Markup('<figure class="wide">{}</figure><figure class="narrow">{}</figure>').format(wide, narrow))
        costs = "What it costs" + ("; diamonds are models that answer once" if c["rivals"] else "")
        for title, drawn in ((costs, figures.against_costs(c)), ("By family", figures.by_family(c))):
            parts += [Markup("<h3>{}</h3>").format(title), _panels(drawn), _legend(c)] if drawn else []
        parts += [_accuracies(c), _versus(c)]
    parts.append(_verifiers(c))
    parts.append(_stages(c))
    return Markup('<section class="verification">{}</section>').format(Markup("").join(parts))


def _panels(drawn: Sequence[Markup]) -> Markup:
    inner = Markup("").join(Markup("<figure>{}</figure>").format(f) for f in drawn)
    return Markup('<div class="panels">{}</div>').format(inner)


def _legend(c: Curve) -> Markup:
    chips = Markup("").join(
        Markup('<span><i class="chip tone{}"></i>{}</span>').format(figures.TONES[m], LABELS[m])
        for m in figures.main_methods(c)
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
        if m in found and (other == LABELS["majority"] or m in figures.main_methods(c))
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
    parts.append(figures.verifier_accuracy(c))
    parts.append(_panels([figures.matrix(name, v) for name, v in c["verifiers"].items()]))
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
    rows = [[name, *("–" if s[k] is None else figures.short(s[k]) for k in _STAGE)] for name, s in stages(c).items()]
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
    parts = [_opening(c), _accuracy_rows(c), _differences(c), _verifier_rows(c), _cost_rows(c)]
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


def _cost_rows(c: Curve) -> list[str]:
    rows = [[text(name), *(_figure(s[k]) for k in _STAGE)] for name, s in stages(c).items()]
    return grid(["a candidate costs", "parameters", "tokens read", "tokens written", "seconds"], rows)


def _interval(i: Any) -> str:
    return f"({percent(i['low'])} to {percent(i['high'])})"


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
