"""Runs that differ in their seed alone, as one report: means over seeds, and what seeds scatter in every interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentdistill.errors import UserError
from agentdistill.report._headline import reading
from agentdistill.report._summary import Report, summarize_run
from agentdistill.report.run import Part, Run, read_run
from agentdistill.stats import Interval, over_seeds

_INTERVAL = {"estimate", "low", "high", "n"}


def summarize_seeds(run_dirs: Sequence[Path | str]) -> Report:
    """The report of several runs of one recipe, as :func:`summarize` gives it of one, with ``seeds`` added.

    Only parts that all runs have are in it; filters and training are left to the runs' own reports. An interval over
    problems is widened by what the seeds' own estimates scatter (:func:`agentdistill.stats.over_seeds`) and lists them
    as ``seeds``. Raises UserError for runs whose recipes differ in more than seed and name, or that share a seed.
    """
    runs = [read_run(d) for d in run_dirs]
    seeds = _seeds(runs)
    runs = _shared(runs)
    reports = [summarize_run(r) for r in runs]
    out: Report = _widened(summarize_run(_merged(runs)), reports)
    return {**out, "reading": reading(out["comparisons"]), "seeds": seeds}


def _seeds(runs: Sequence[Run]) -> list[int]:
    first = runs[0]
    for other in runs[1:]:
        differs = _difference(_compared(first.recipe), _compared(other.recipe))
        if differs is not None:
            raise UserError(f"{first.path} and {other.path} differ in more than their seed: {differs}")
    seeds = [int(r.recipe.get("seed", 0)) for r in runs]
    twice = next((r for i, r in enumerate(runs) if seeds[i] in seeds[:i]), None)
    if twice is not None:
        raise UserError(
            f"{twice.path}: its seed, {twice.recipe.get('seed', 0)}, is there already; runs must differ in it"
        )
    return seeds


def _compared(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without what may differ. Every training takes the recipe's seed."""
    trains = {k: _without(v, "seed") for k, v in recipe.items() if k in ("train", "train_cot") and isinstance(v, dict)}
    return {**_without(recipe, "seed", "name", "jobs"), **trains}


def _without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in table.items() if k not in names}


def _difference(a: Any, b: Any, where: str = "") -> str | None:
    """The first place at which two recipes differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        found = (_difference(a.get(k), b.get(k), f"{where}.{k}" if where else k) for k in sorted({*a, *b}))
        return next((f for f in found if f is not None), None)
    return None if a == b else where


def _shared(runs: Sequence[Run]) -> list[Run]:
    """The runs with the parts that all of them have."""
    keys = set.intersection(*({p.key for p in r.traced} for r in runs))
    if not keys:
        raise UserError(f"{runs[0].path} and the other runs have no part in common")

    def kept(parts: Sequence[Part]) -> tuple[Part, ...]:
        return tuple(p for p in parts if p.key in keys)

    return [
        replace(r, collections=kept(r.collections), evaluations=kept(r.evaluations), filters=(), training=(), rounds=())
        for r in runs
    ]


def _merged(runs: Sequence[Run]) -> Run:
    """One run that holds every seed's traces: a problem's value is then its mean over seeds."""
    named = [{p.key: p for p in r.traced} for r in runs]

    def together(parts: Sequence[Part]) -> tuple[Part, ...]:
        return tuple(
            replace(p, traces=tuple(t for n in named for t in n[p.key].traces), timing={}, finished=all(
                n[p.key].finished for n in named
            ))
            for p in parts
        )  # fmt: skip

    first = runs[0]
    return replace(first, collections=together(first.collections), evaluations=together(first.evaluations))


def _widened(merged: Any, seeds: Sequence[Any], name: str = "") -> Any:
    """A report's value with every interval in it widened; ``seeds`` are the values at its place in their reports."""
    if isinstance(merged, dict):
        if merged.keys() == _INTERVAL:
            return _interval(merged, seeds, (0.0, 1.0) if name in ("accuracy", "recall") else None)
        return {
            k: _widened(v, [s.get(k) if isinstance(s, dict) else None for s in seeds], k) for k, v in merged.items()
        }
    if isinstance(merged, list):
        alike = all(isinstance(s, list) and len(s) == len(merged) for s in seeds)
        return [_widened(v, [s[i] if alike else None for s in seeds], name) for i, v in enumerate(merged)]
    return merged


def _interval(
    merged: dict[str, Any], seeds: Sequence[dict[str, Any] | None], bounds: tuple[float, float] | None
) -> dict[str, Any]:
    """Where a seed lacks the figure, its scatter is not known and neither are the limits: they are left as they are."""
    own = [s["estimate"] for s in seeds if s is not None and s.get("estimate") is not None]
    if len(own) < len(seeds):
        return {**merged, "seeds": own}
    high = math.inf if merged["high"] is None else merged["high"]
    wide = over_seeds(Interval(merged["estimate"], merged["low"], high, merged["n"]), own, bounds=bounds)
    limits = {"low": round(wide.low, 6), "high": round(wide.high, 6) if math.isfinite(wide.high) else None}
    return {**merged, **limits, "seeds": own}
