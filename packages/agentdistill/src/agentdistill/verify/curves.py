"""Accuracy against what it costs: candidates, tokens, FLOPs and wall clock, of one or several files of candidates.

A budget of n costs what n candidates and the judgements that a method listens to cost on average. FLOPs are twice the
parameters for every token read or written. Wall clock is what the stages took on the machine that ran them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from agentdistill.errors import DataError
from agentdistill.seeds import seed_of
from agentdistill.verify.budget import orders
from agentdistill.verify.evidence import Judges, filter_value, find_judges
from agentdistill.verify.rescore import Asked, rescore, versus_rival
from agentdistill.verify.select import METHODS
from agentdistill.verify.theory import table
from agentdistill.verify.types import Pool

GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Costs:
    """What is known of the stages behind a file, by judge or ``generator``: parameters, and seconds a candidate."""

    n_parameters: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def read_costs(path: Path) -> Costs:
    """The costs that stand beside a file of candidates (``NAME.costs.json``); none where there is no such file."""
    beside = path.with_suffix(".costs.json")
    if not beside.exists():
        return Costs()
    try:
        data = json.loads(beside.read_text(encoding="utf-8"))
        return Costs(
            {str(k): float(v) for k, v in data.get("n_parameters", {}).items() if v is not None},
            {str(k): float(v) for k, v in data.get("seconds", {}).items() if v is not None},
        )
    except (OSError, ValueError, AttributeError, TypeError) as e:
        raise DataError(f"{beside}: no costs of stages ({e})") from e


def curve(
    name: str,
    pools: Sequence[Pool],
    asked: Asked,
    costs: Costs,
    repeats: Sequence[Sequence[Pool]] = (),
    rivals: Mapping[str, tuple[Sequence[Pool], int | None]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The scores of a file with the cost of every point, as JSON values.

    ``repeats`` are the same problems under other seeds; ``rivals`` other models' answers to them, with their numbers of
    parameters. A cost is None where it is not known: tokens were not counted, a model's size or the time it took is
    not told.
    """
    scores = rescore(pools, asked, repeats)
    judges = find_judges(pools, asked.judges)
    parts = _parts([p for run in (pools, *repeats) for p in run])
    for method, facts in scores["methods"].items():
        used = _used(method, judges)
        for n, cell in facts["budgets"].items():
            cell["cost"] = _cost(1 if method == "first" else int(n), used, parts, costs)
    stages = {
        stage: {
            "n_parameters": costs.n_parameters.get(stage),
            "prompt_tokens": part.n_prompt,
            "new_tokens": part.n_new,
            "seconds": costs.seconds.get(stage),
        }
        for stage, part in parts.items()
    }
    told = {
        rival: {"n_parameters": size, **versus_rival(pools, repeats, answers, asked)}
        for rival, (answers, size) in rivals.items()
    }
    size = costs.n_parameters.get(GENERATOR)
    about = {"name": name, "generator": pools[0].generator, "n_parameters": size}
    return {
        **about,
        **scores,
        "stages": stages,
        "rivals": told,
        "theory": _theory(scores, [p for run in (pools, *repeats) for p in run], asked),
    }


@dataclass(frozen=True, slots=True)
class _Part:
    """Tokens of one stage, a candidate on average; None where they were not counted."""

    n_prompt: float | None
    n_new: float | None


def _parts(pools: Sequence[Pool]) -> dict[str, _Part]:
    cs = [c for p in pools for c in p.candidates]
    out = {GENERATOR: _part([(c.n_prompt_tokens, c.n_new_tokens) for c in cs])}
    for judge in {j.judge: None for c in cs for j in c.judgements}:
        said = [j for c in cs if (j := c.judgement(judge)) is not None]
        free = all(j.role in ("calculations", "gold") for j in said)
        counts = [(j.n_prompt_tokens, j.n_new_tokens) for j in said]
        out[judge] = _Part(0.0, 0.0) if free else _part(counts)
    return out


def _part(counts: Sequence[tuple[int, int]]) -> _Part:
    n_prompt, n_new = sum(a for a, _ in counts), sum(b for _, b in counts)
    return _Part(n_prompt / len(counts), n_new / len(counts)) if n_prompt or n_new else _Part(None, None)


def _used(method: str, judges: Judges) -> tuple[str, ...]:
    """The stages that a method needs."""
    m = METHODS[method]
    listened = {"tool": judges.verifier, "plain": judges.plain, None: None}[m.filter]
    names = [GENERATOR, listened, judges.reward if m.reward else None]
    return tuple(dict.fromkeys(n for n in names if n is not None))


def _cost(n: int, used: Sequence[str], parts: Mapping[str, _Part], costs: Costs) -> dict[str, float | None]:
    """Of one problem at a budget of ``n``: tokens written, FLOPs, seconds."""
    tokens = [parts[u].n_new for u in used]
    flops = []
    for u in used:
        size, part = costs.n_parameters.get(u), parts[u]
        free = part.n_new == 0 and part.n_prompt == 0
        known = size is not None and part.n_new is not None and part.n_prompt is not None
        flops.append(0.0 if free else 2 * size * (part.n_prompt + part.n_new) if known else None)  # type: ignore[operator]
    seconds = [costs.seconds.get(u) for u in used]
    return {"tokens": _sum(n, tokens), "flops": _sum(n, flops), "seconds": _sum(n, seconds)}


def _sum(n: int, each: Sequence[float | None]) -> float | None:
    known = [e for e in each if e is not None]
    return n * sum(known) if len(known) == len(each) else None


def _theory(scores: Mapping[str, Any], pools: Sequence[Pool], asked: Asked) -> list[dict[str, Any]]:
    """The lemma at the (p, q) that each verifier was measured to have, at its own base rate, and what these very
    candidates give by its rule."""
    out: list[dict[str, Any]] = []
    for name, v in scores["verifiers"].items():
        p, q = v["p_reject_wrong"], v["q_accept_right"]
        if p is not None and q is not None:
            measured = [(name, p["estimate"], q["estimate"])]
            rows = table(measured, scores["budgets"], prior=v["base_rate"], n_trials=20_000)
            out += [row | {"measured": _any_accepted(pools, name, row["n"], asked)} for row in rows]
    return out


def _any_accepted(pools: Sequence[Pool], judge: str, n: int, asked: Asked) -> float | None:
    """The chance that one of the accepted among ``n``, taken at random, is right; one of all where none is accepted."""
    found = []
    for p in pools:
        if len(p.candidates) < n:
            continue
        values = [filter_value(c.judgement(judge), asked.policy) for c in p.candidates]
        accepted = np.array([v is not None and v >= 0.5 for v in values])
        right = np.array([bool(c.correct) for c in p.candidates])
        drawn = orders(len(values), n, seed_of(asked.seed, "subsets", p.id), asked.n_orders)
        first = accepted[drawn].argmax(axis=1)  # the first accepted in random order; the first of all if none is
        found.append(float(right[drawn[np.arange(len(drawn)), first]].mean()))
    return sum(found) / len(found) if found else None
