"""What the published comparison is drawn from: the part of ``report.json`` that it shows, as plain JSON values.

Kept beside the page, so that a reader has every number with its interval and the page can be drawn again from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentdistill.errors import UserError

Table = dict[str, Any]

METHODS = (
    "cot",
    "cot-rag",
    "cot-distill",
    "cot-distill-rag",
    "agent",
    "agent-prefix",
    "agent-sag",
    "agent-distill",
    "agent-distill-prefix",
    "agent-distill-sag",
    "agent-distill-prefix-sag",
)
"""The order of the paper's table: chain of thought first, the whole method last."""
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
    return (METHODS.index(method) if method in METHODS else len(METHODS), method)


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
