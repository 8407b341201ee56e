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

from agentdistill.errors import DataError
from agentdistill.verify.evidence import Judges, find_judges
from agentdistill.verify.rescore import Asked, rescore
from agentdistill.verify.select import METHODS
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
    scores = rescore(pools, asked, repeats, {name: answers for name, (answers, _) in rivals.items()})
    judges = find_judges(pools, asked.judges)
    every = [p for run in (pools, *repeats) for p in run]
    parts = _parts(every)
    for method, facts in scores["methods"].items():
        used = _used(method, judges)
        for n, cell in facts["budgets"].items():
            cell["cost"] = _cost(1 if method == "first" else int(n), used, parts, costs)
    for rival, (answers, n_parameters) in rivals.items():
        scores["rivals"][rival] |= _rival(answers, n_parameters)
    size = costs.n_parameters.get(GENERATOR)
    return {
        "name": name,
        "generator": pools[0].generator,
        "n_parameters": size,
        **scores,
        "stages": {stage: _stage(stage, part, costs) for stage, part in parts.items()},
    }


def _rival(answers: Sequence[Pool], size: int | None) -> dict[str, Any]:
    """What another model costs that answers once."""
    part = _parts(answers)[GENERATOR]
    costs = Costs({} if size is None else {GENERATOR: size})
    return {**_stage(GENERATOR, part, costs), "cost": _cost(1, [GENERATOR], {GENERATOR: part}, costs)}


@dataclass(frozen=True, slots=True)
class _Part:
    """Tokens of one stage, a candidate on average; None where they were not counted."""

    n_prompt: float | None
    n_new: float | None


def _stage(stage: str, part: _Part, costs: Costs) -> dict[str, float | None]:
    """What a candidate costs at a stage."""
    return {
        "n_parameters": costs.n_parameters.get(stage),
        "prompt_tokens": part.n_prompt,
        "new_tokens": part.n_new,
        "seconds": costs.seconds.get(stage),
    }


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
