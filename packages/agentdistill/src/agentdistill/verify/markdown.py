"""Curves as Markdown, to be published beside the recipe that made them. A pure function of ``verify.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentdistill.report._grid import grid, text
from agentdistill.stats.shown import percent, points
from agentdistill.verify.figures import LABELS, Curve, once
from agentdistill.verify.page import CONTROL, T1, limits, reading, setting, stages
from agentdistill.verify.select import best_informed

_NONE = "–"


def markdown(curves: Sequence[Curve]) -> str:
    """One section a curve: what it shows, accuracies, differences, verifiers against the truth."""
    lines = [line for c in curves for line in _curve(c)]
    return "\n".join(lines).strip() + "\n"


def _curve(c: Curve) -> list[str]:
    parts = [_opening(c), _accuracies(c), _differences(c), _verifiers(c), _costs(c)]
    return [line for part in parts if part for line in (*part, "")]


def _opening(c: Curve) -> list[str]:
    return [f"## {text(c['name'])}", "", text(reading(c)), "", text(" ".join(setting(c)))]


def _accuracies(c: Curve) -> list[str]:
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
    rows = [
        [text(name), *(points(d[best][k]) for k in ("difference", "low", "high")), str(d[best]["n_better"]),
         str(d[best]["n_worse"])]
        for name, d in found
        if best in d
    ]  # fmt: skip
    heads = [f"points, {LABELS[best]} less …", "difference", "low", "high", "better on", "worse on"]
    return grid(heads, rows) if rows else []


def _verifiers(c: Curve) -> list[str]:
    rows = []
    for name, v in c["verifiers"].items():
        families = v["families"].items() if len(v["families"]) > 1 else ()
        for label, m in ((name, v), *((f"{name}, {f}", m) for f, m in families)):
            pq = [limits(m[k]) for k in ("p_reject_wrong", "q_accept_right")]
            counts = [f"{m[k]:,}" for k in ("tp", "fn", "fp", "tn")]
            rows.append([text(label), *counts, *(percent(m[k]) for k in ("accuracy", "f1")), *pq])
    heads = ["verifier", "TP", "FN", "FP", "TN", "accuracy", "F1", "p, rejects wrong", "q, accepts right"]
    return grid(heads, rows) if rows else []


def _costs(c: Curve) -> list[str]:
    keys = ("n_parameters", "prompt_tokens", "new_tokens", "seconds")
    rows = [[text(name), *(_figure(s[k]) for k in keys)] for name, s in stages(c).items()]
    return grid(["a candidate costs", "parameters", "tokens read", "tokens written", "seconds"], rows)


def _interval(i: Any) -> str:
    return f"({percent(i['low'])} to {percent(i['high'])})"


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
