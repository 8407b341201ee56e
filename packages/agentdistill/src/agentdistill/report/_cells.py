"""The numbers of one set of traces: accuracy with its interval, and everything it must not be read without."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from agentdistill.filters import is_broken
from agentdistill.report.outcome import ERROR_KINDS, Outcome, error_kinds, outcome
from agentdistill.report.run import values_by_problem
from agentdistill.stats import Interval, Weighting, mean_interval, wilson
from agentdistill.types import StepStatus, Trace

Cell = dict[str, Any]
SEARCH = "search"
"""The tool that looks things up."""


def cell(traces: Sequence[Trace]) -> Cell:
    """One family. Means are over the episodes that ended without a fault; None where there is none."""
    whole = [t for t in traces if outcome(t) is not Outcome.FAULT]
    accuracy = _accuracy(whole)
    return {
        "accuracy": None if accuracy is None else asdict(accuracy),
        "n": sum(t.correct is not None for t in whole),
        **_counts(traces),
        **_means(whole),
    }


def average(traces: Sequence[Trace], weighting: Weighting = "family") -> Cell:
    """All families together: counts add up; accuracy and means weigh by family or by problem, as asked.

    A single family is its own average, interval included.
    """
    whole = [t for t in traces if outcome(t) is not Outcome.FAULT]
    by_family: dict[str, list[Trace]] = defaultdict(list)
    for t in whole:
        by_family[t.problem.family].append(t)
    groups = [by_family[f] for f in sorted(by_family)] if weighting == "family" else [whole]
    values = {f: list(v.values()) for f, v in values_by_problem(whole).items()}
    accuracy = mean_interval(values, weighting=weighting) if len(values) > 1 else _accuracy(whole)
    return {
        "accuracy": None if accuracy is None else asdict(accuracy),
        "n": sum(t.correct is not None for t in whole),
        "n_families": len(values),
        **_counts(traces),
        **_mean_of_means([_means(g) for g in groups]),
    }


def _accuracy(traces: Sequence[Trace]) -> Interval | None:
    """Wilson where each problem has one scored trace, else a bootstrap over the problems' shares of right traces."""
    verdicts = [t.correct for t in traces if t.correct is not None]
    values = [v for problems in values_by_problem(traces).values() for v in problems.values()]
    if not values:
        return None
    if len(values) == len(verdicts):
        return wilson(sum(verdicts), len(verdicts))
    return mean_interval({"all": values})


def _counts(traces: Sequence[Trace]) -> Cell:
    outcomes = Counter(outcome(t) for t in traces)
    kinds = Counter(k for t in traces for k in error_kinds(t))
    statuses = Counter(s.status for t in traces for s in t.steps)
    return {
        "right": outcomes[Outcome.RIGHT],
        "wrong": outcomes[Outcome.WRONG],
        "unscored": outcomes[Outcome.UNSCORED],
        "faults": outcomes[Outcome.FAULT],
        "errors": {k: kinds[k] for k in ERROR_KINDS},
        "steps": {s.value: statuses[s] for s in StepStatus if statuses[s]},
        "broken": sum(map(is_broken, traces)),
        "truncations": sum(t.usage.n_truncated for t in traces),
        "candidates": sum(t.usage.n_candidates for t in traces),
        "candidates_spared": sum(t.usage.n_spared for t in traces),
    }


def _means(traces: Sequence[Trace]) -> Cell:
    tools = sorted({c.name for t in traces for s in t.steps for c in s.tool_calls})

    def mean(of: Callable[[Trace], float]) -> float | None:
        return math.fsum(of(t) for t in traces) / len(traces) if traces else None

    return {
        "mean_steps": mean(lambda t: len(t.steps)),
        "prompt_tokens_per_answer": mean(lambda t: t.usage.n_prompt_tokens),
        "new_tokens_per_answer": mean(lambda t: t.usage.n_new_tokens),
        "code_actions_per_episode": mean(lambda t: sum(s.code is not None for s in t.steps)),
        "tool_calls_per_episode": {name: mean(lambda t, name=name: n_calls(t, name)) for name in tools},  # type: ignore[misc]
    }


def n_calls(trace: Trace, tool: str) -> int:
    """How often the episode called a tool."""
    return sum(c.name == tool for s in trace.steps for c in s.tool_calls)


def _mean_of_means(means: Sequence[Cell]) -> Cell:
    """Each group weighs the same; a tool that a group never called counts there as zero."""
    means = [m for m in means if m["mean_steps"] is not None]
    out: Cell = {}
    for key in ("mean_steps", "prompt_tokens_per_answer", "new_tokens_per_answer", "code_actions_per_episode"):
        out[key] = math.fsum(m[key] for m in means) / len(means) if means else None
    tools = sorted({name for m in means for name in m["tool_calls_per_episode"]})
    out["tool_calls_per_episode"] = {
        name: math.fsum(m["tool_calls_per_episode"].get(name, 0.0) for m in means) / len(means) for name in tools
    }
    return out
