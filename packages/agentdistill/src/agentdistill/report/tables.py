"""The published comparison as a page of Markdown: a run's table with the paper's beside it, drawn from JSON values.

Those are the part of ``report.json`` that the page shows, kept beside it, so that a reader has every number with its
interval and the page can be drawn again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentdistill.errors import UserError
from agentdistill.recipe.methods import NAMES
from agentdistill.report.run import Facts, method_label
from agentdistill.report.stats import percent, points


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table whose first column is text and whose others are figures."""
    lines = [[text(h) for h in heads], ["---", *["---:"] * (len(heads) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def text(said: str) -> str:
    """Names as text: nothing in them is taken for markup."""
    return " ".join(said.replace("|", "\\|").replace("<", "&lt;").replace("`", "'").split())


Table = dict[str, Any]

_COMPARED = (
    "student", "method", "baseline_student", "baseline_method", "n_families", "difference", "a", "b", "ratio",
    "ratio_interval",
)  # fmt: skip
_VOTES = ("accuracy", "parse", "execution", "out_of_steps", "steps", "searches", "new_tokens")


def table(report: Mapping[str, Any]) -> Table:
    """The comparison of a run, from its report (:func:`agentdistill.report.summarize`). Raises UserError without
    evaluations, of which there is nothing to show."""
    evaluations = sorted(report["evaluations"], key=lambda e: _place(e["method"]))
    if not evaluations:
        raise UserError(f"{report['name']}: nothing was evaluated in this run, so there is no table to draw")
    students = [e for e in report["evaluations"] if e["role"] != "teacher"]
    sizes = {e["student"]: e["n_parameters"] for e in students}
    return {
        "version": 1,
        "run": report["name"],
        "seeds": report.get("seeds") or [report["recipe"].get("seed", 0)],
        "intervals": report["intervals"],
        "reading": report["reading"],
        "families": report["families"],
        "sizes": [{"student": s, "n_parameters": n} for s, n in sizes.items()],
        "cells": [_cell(e) for e in evaluations],
        "next_size_up": _compared(report, "next_size_up"),
        "same_size": _compared(report, "same_size"),
        "votes": [_vote(v) for v in report["votes"]],
        "warnings": [w for w in report["warnings"] if w.startswith("evaluate/")],
    }


def _place(method: str) -> tuple[int, str]:
    return (NAMES.index(method) if method in NAMES else len(NAMES), method)


def _cell(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """One model by one method, over all families and in each."""
    a = evaluation["average"]
    return {
        "student": evaluation["student"],
        "role": evaluation["role"],
        "method": evaluation["method"],
        "accuracy": a["accuracy"],
        "n": a["n"],
        "n_episodes": a["right"] + a["wrong"] + a["unscored"] + a["faults"],
        "unscored": a["unscored"] + a["faults"],
        "errors": a["errors"],
        "broken": a["broken"],
        "truncations": a["truncations"],
        "steps": a["mean_steps"],
        "prompt_tokens": a["prompt_tokens_per_answer"],
        "new_tokens": a["new_tokens_per_answer"],
        "searches": a["tool_calls_per_episode"].get("search", 0.0),
        "search": evaluation["search"],
        "corpus": evaluation["corpus"],
        "families": {f: {"accuracy": c["accuracy"], "n": c["n"]} for f, c in evaluation["families"].items()},
    }


def _compared(report: Mapping[str, Any], relation: str) -> list[dict[str, Any]]:
    found = [{k: c[k] for k in _COMPARED} for c in report["comparisons"] if c["relation"] == relation]
    return sorted(found, key=lambda c: _place(c["method"]))  # stable: students stay in the order of their sizes


def _vote(effect: Mapping[str, Any]) -> dict[str, Any]:
    """What acting by vote changed, over all families."""
    names = ("student", "method", "candidates", "candidates_spared")
    return {**{k: effect[k] for k in names}, **{k: effect[k]["overall"] for k in _VOTES}}


PAPER_SIZES = ("0.5B", "1.5B", "3B", "7B")
"""The students of Kang et al., arXiv 2505.17612 v2: Qwen2.5-Instruct. The teacher is the 32B model."""
PAPER_ACCURACY: Mapping[str, tuple[float | None, ...]] = {
    "agent": (1.80, 7.94, None, None),
    "cot-distill": (13.64, 21.28, 27.72, 33.54),
    "cot-distill-rag": (15.90, 24.64, 28.53, 32.16),
    "agent-distill": (19.24, 28.06, 33.60, 39.85),
    "agent-distill-prefix-sag": (21.90, 30.55, 36.60, 42.68),
}
"""Method -> accuracy at each of ``PAPER_SIZES``, per cent, averaged over eight benchmarks. None: not quoted here."""
_PAPER_TEACHER: Mapping[str, float] = {"cot": 39.54, "agent": 46.00}
WHOLE_METHOD = "agent-distill-prefix-sag"  # what the paper proposes


def paper_accuracy(method: str, rank: int) -> float | None:
    """The paper's figure of a method at the size of that rank, the smallest being 0; None where there is none."""
    row = PAPER_ACCURACY.get(method, ())
    return row[rank] if 0 <= rank < len(row) else None


def paper_ratio(method: str, rank: int, baseline: str = "cot-distill") -> float | None:
    """A method of the paper at one size over the baseline at the next size up.

    >>> [round(paper_ratio("agent-distill-prefix-sag", rank), 2) for rank in range(3)]
    [1.03, 1.1, 1.09]
    """
    ours, theirs = paper_accuracy(method, rank), paper_accuracy(baseline, rank + 1)
    return None if ours is None or theirs is None else ours / theirs


def paper_difference(method: str, baseline: str, rank: int) -> float | None:
    """A method of the paper minus the baseline at one size, in points."""
    ours, theirs = paper_accuracy(method, rank), paper_accuracy(baseline, rank)
    return None if ours is None or theirs is None else ours - theirs


_EFFECTS = (
    ("agent-distill", "cot-distill"),
    ("agent-distill", "cot-distill-rag"),
    ("agent-distill-prefix", "agent-distill"),
    ("agent-distill-sag", "agent-distill"),
    (WHOLE_METHOD, "agent-distill"),
    (WHOLE_METHOD, "cot-distill"),
)
"""What the paper says is better, and than what, at the same size."""
_NONE = "–"
_ERRORS = {"parse": "no or broken code", "execution": "code failed", "out_of_steps": "out of steps"}


def markdown(table: Table) -> str:
    """The page of a table (from :func:`agentdistill.report.table`)."""
    sections = (
        _opening(table),
        _accuracies(table),
        _ratios(table),
        _effects(table),
        _votes(table),
        _answers(table),
        _searched(table),
        _families(table),
        _warnings(table),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _opening(table: Table) -> list[str]:
    seeds = ", ".join(str(s) for s in table["seeds"])
    n = max((c["accuracy"]["n"] for c in table["cells"] if c["accuracy"]), default=0)
    several = (
        "" if len(table["seeds"]) == 1 else " Means over seeds; the intervals hold what seeds scatter, by Student's t."
    )
    return [
        "# The paper's table, in miniature",
        "",
        text(table["reading"]),
        "",
        f"Run `{text(table['run'])}`, seed {seeds}; {n:,} problems, {len(table['families'])} families. This page and "
        "the JSON file of its name, with every number in it, are written by `agentdistill report RUN --table FILE`; "
        f"none is typed. {text(table['intervals'])}{several}",
    ]


def _accuracies(table: Table) -> list[str]:
    sizes = [s["student"] for s in table["sizes"]]
    found = {(c["student"], c["method"]): c for c in table["cells"] if c["role"] != "teacher"}
    methods = list(dict.fromkeys(c["method"] for c in table["cells"] if c["role"] != "teacher"))
    rows = [
        [
            method_label(m),
            *(_accuracy(found[s, m]["accuracy"] if (s, m) in found else None) for s in sizes),
            *(_figure(paper_accuracy(m, rank)) for rank in range(len(PAPER_SIZES))),
        ]
        for m in methods
    ]
    said = [
        f"{method_label(c['method'])} {_accuracy(c['accuracy'])}, paper {_figure(_PAPER_TEACHER.get(c['method']))}"
        for c in table["cells"]
        if c["role"] == "teacher"
    ]
    return [
        "## Accuracy",
        "",
        "Per cent right, averaged over families, 95 % interval in brackets; the paper's figures to the right.",
        "",
        *grid(["method", *sizes, *(f"paper {s}" for s in PAPER_SIZES)], rows),
        "",
        *([f"Teacher: {'; '.join(said)}.", ""] if said else []),
        "The paper: Kang et al., arXiv 2505.17612 v2, Qwen2.5-Instruct students, a 32B teacher, eight public "
        "benchmarks. Other models, other questions: what can be compared is the shape. A dash: not run, or no figure "
        "of the paper's is quoted here.",
    ]


def _ratios(table: Table) -> list[str]:
    ranks = {s["student"]: i for i, s in enumerate(table["sizes"])}
    rows = []
    for c in table["next_size_up"]:
        rank = ranks[c["student"]]
        paper = paper_ratio(c["method"], rank)
        sizes = f"{PAPER_SIZES[rank]} / {PAPER_SIZES[rank + 1]}" if paper is not None else _NONE
        rows.append(
            [
                f"{text(c['student'])} {method_label(c['method'])}",
                f"{text(c['baseline_student'])} {method_label(c['baseline_method'])}",
                _difference(c["difference"]),
                _ratio(c["ratio"], c["ratio_interval"]),
                sizes,
                _figure(paper),
                _beyond(c["ratio_interval"], paper),
            ]
        )
    if not rows:
        return []
    heads = ["agent", "next size up", "points", "ratio", "paper's sizes", "paper's ratio", "beyond the paper's"]
    return [
        "## A small agent against the next size up",
        "",
        "Accuracy of the agent over that of the next larger student distilled with chains of thought, by problem.",
        "",
        *grid(heads, rows),
    ]


def _beyond(interval: Facts | None, paper: float | None) -> str:
    if interval is None or paper is None:
        return _NONE
    if interval["low"] > paper:
        return "yes"
    return "no" if interval["high"] is not None and interval["high"] < paper else "not settled"


def _effects(table: Table) -> list[str]:
    found = {(c["student"], c["method"], c["baseline_method"]): c for c in table["same_size"]}
    rows = []
    for method, baseline in _EFFECTS:
        for rank, size in enumerate(s["student"] for s in table["sizes"]):
            c = found.get((size, method, baseline))
            if c is not None:
                paper = paper_difference(method, baseline, rank)
                name = f"{method_label(method)} against {method_label(baseline)}"
                paper_said = _NONE if paper is None else f"{points(paper / 100)} ({PAPER_SIZES[rank]})"
                rows.append([name, text(size), _difference(c["difference"]), paper_said, _verdict(c["difference"])])
    if not rows:
        return []
    return [
        "## The paper's effects, one by one",
        "",
        "Points of accuracy at the same size, paired by problem. An effect is there if its interval lies above zero.",
        "",
        *grid(["effect", "size", "points", "paper", "here"], rows),
    ]


def _verdict(difference: Facts) -> str:
    if difference["low"] > 0:
        return "there"
    return "the other way round" if difference["high"] < 0 else "not settled"


def _votes(table: Table) -> list[str]:
    rows = []
    for v in table["votes"]:
        sampled = v["candidates"] + v["candidates_spared"]
        spared = percent(v["candidates_spared"] / sampled) if sampled else _NONE
        changes = [_change(v[k]) for k in ("accuracy", *_ERRORS)]
        rows.append([f"{text(v['student'])} {method_label(v['method'])}", *changes, spared])
    if not rows:
        return []
    return [
        "## What acting by vote changes",
        "",
        "Self-consistent action generation against one sample a step: per cent of episodes that end right, and that "
        "show an error of each kind, without → with, and the interval of the difference in points. Spared: candidates "
        "that were not sampled since the vote was settled.",
        "",
        *grid(["student", "right", *_ERRORS.values(), "spared, %"], rows),
    ]


def _change(p: Facts) -> str:
    d = p["difference"]
    return f"{percent(p['b'])} → {percent(p['a'])} ({points(d['low'])} to {points(d['high'])})"


def _answers(table: Table) -> list[str]:
    rows = []
    for c in table["cells"]:
        n = c["n_episodes"]
        shares = (percent(c["errors"][k] / n) if n else _NONE for k in _ERRORS)
        counts = (f"{c['n']:,}", f"{c['unscored']:,}", f"{c['truncations']:,}")
        tokens = (_count(c["prompt_tokens"]), _count(c["new_tokens"]))
        costs = (*tokens, _decimal(c["searches"]), _decimal(c["steps"]))
        rows.append([f"{text(c['student'])} {method_label(c['method'])}", *counts, *shares, *costs])
    heads = ["model", "n", "unscored", "cut off", *(f"{w}, %" for w in _ERRORS.values())]
    return [
        "## What an answer takes, and what goes wrong",
        "",
        "n: episodes scored; cut off: replies that met the length limit. Errors as shares of episodes, which can "
        "recover from the first two kinds; tokens read and written, searches and steps for one answer on average.",
        "",
        *grid([*heads, "tokens read", "written", "searches", "steps"], rows),
    ]


def _searched(table: Table) -> list[str]:
    """Nothing for a table without questions that name their supporting passages."""
    rows = []
    for c in table["cells"]:
        found = c.get("search") or {}  # a table of an earlier version has none
        if found.get("recall"):
            searches, recall = found["searches"], found["recall"]
            own = "the question" if searches is None else _mean(searches)
            rows.append(
                [f"{text(c['student'])} {method_label(c['method'])}", own, _accuracy(recall), f"{recall['n']:,}"]
            )
    if not rows:
        return []
    corpus = next((c["corpus"] for c in table["cells"] if c.get("corpus")), None)
    size = f" The corpus has {corpus['n_passages']:,} passages." if corpus else ""
    return [
        "## What was searched",
        "",
        "Searches a question, and recall: per cent of the passages that a question is answered from that were found, "
        f"by all of an agent's searches together or by the question as the one query.{size}",
        "",
        *grid(["model", "searches", "recall", "n"], rows),
    ]


def _families(table: Table) -> list[str]:
    names = table["families"]
    rows = [
        [
            f"{text(c['student'])} {method_label(c['method'])}",
            *(_estimate(c["families"].get(f, {}).get("accuracy")) for f in names),
        ]
        for c in table["cells"]
    ]
    cells = [f["accuracy"] for c in table["cells"] for f in c["families"].values() if f["accuracy"]]
    widest = max(((a["high"] - a["low"]) / 2 for a in cells), default=0.0)
    least = min((a["n"] for a in cells), default=0)
    return [
        "## By family",
        "",
        f"Per cent right. At least {least:,} problems each; the intervals are in the JSON file, the widest is "
        f"{widest * 100:.1f} points to either side.",
        "",
        *grid(["model", *names], rows),
    ]


def _warnings(table: Table) -> list[str]:
    if not table["warnings"]:
        return []
    return ["## What was not scored", "", *(f"- {text(w)}" for w in table["warnings"])]


def _accuracy(a: Facts | None) -> str:
    return _NONE if a is None else f"{percent(a['estimate'])} ({percent(a['low'])} to {percent(a['high'])})"


def _mean(a: Facts) -> str:
    return f"{a['estimate']:.2f} ({a['low']:.2f} to {a['high']:.2f})"


def _estimate(a: Facts | None) -> str:
    return _NONE if a is None else percent(a["estimate"])


def _difference(d: Facts) -> str:
    return f"{points(d['estimate'])} ({points(d['low'])} to {points(d['high'])})"


def _ratio(value: float | None, interval: Facts | None) -> str:
    if value is None or interval is None:
        return _NONE
    upper = "or more" if interval["high"] is None else f"to {interval['high']:.2f}"
    return f"{value:.2f} ({interval['low']:.2f} {upper})"


def _figure(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _count(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


def _decimal(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"
