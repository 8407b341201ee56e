"""From a run folder to the facts of its report, as plain JSON values."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill.problems.contamination import told
from agentdistill.report._cells import average, cell
from agentdistill.report._collections import by_family, collection, contaminations, filter_counts
from agentdistill.report._effects import prefix_effects, vote_effects
from agentdistill.report._headline import comparisons, reading
from agentdistill.report._rounds import rounds
from agentdistill.report._search import searched
from agentdistill.report.outcome import Outcome, outcome
from agentdistill.report.run import Part, Run, read_run
from agentdistill.stats import CONFIDENCE, N_RESAMPLES

Report = dict[str, Any]

_HOW = (
    "One trace a problem: Wilson's score interval for a family. Averages over families and paired differences: "
    f"percentile bootstrap over problems, stratified by family, {N_RESAMPLES:,} resamples, fixed seed; a family whose "
    "values all agree adds Wilson's bound on what it has not shown. "
    "Each interval stands for itself; they are not adjusted for how many there are."
)


def summarize(run_dir: Path | str) -> Report:
    """Everything that ``report.json`` holds, from the files of a run. Reads only; the same files give the same dict.

    Shares and accuracies are 0..1, differences are fractions too. Wall-clock figures stand only under ``timing``, the
    last key, so that the rest of the file is the same bytes whenever the same run is made again. Raises UserError for
    a folder that holds no traces and DataError for a file that cannot be read.
    """
    run = read_run(run_dir)
    return summarize_run(run)


def summarize_run(run: Run) -> Report:
    """:func:`summarize` for a run that is already read."""
    compared = comparisons(run.evaluations)
    in_rounds = [p for p in run.rounds if p.stage != "filter"]
    report: Report = {
        "version": 1,
        "name": run.path.resolve().name,
        "confidence": CONFIDENCE,
        "intervals": _HOW,
        "reading": reading(compared),
        "comparisons": compared,
        "families": sorted({t.problem.family for p in run.evaluations for t in p.traces}),
        "evaluations": [_evaluation(p) for p in run.evaluations],
        "collections": [collection(p) for p in run.collections],
        "prefix": prefix_effects(run),
        "votes": vote_effects(run),
        "contamination": contaminations(run),
        "filters": [filter_counts(p) for p in run.filters],
        "training": [_training(p) for p in run.training],
        "rounds": rounds(run),
        "costs": [_cost(p) for p in (*run.collections, *run.training, *run.evaluations, *in_rounds)],
        "recipe": _without_secrets(run.recipe),
        "warnings": _warnings(run),
        "timing": _timing((*run.collections, *run.filters, *run.training, *run.evaluations, *run.rounds)),
    }
    return {key: _rounded(value) for key, value in report.items()}


def _evaluation(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "student": part.student,
        "role": part.role,
        "method": part.method,
        "n_parameters": part.n_parameters,
        "trained_on": part.fact("trained_on"),
        "corpus": part.fact("corpus") or None,
        "search": searched(part),
        "average": average(part.traces),
        "families": {f: cell(ts) for f, ts in by_family(part.traces).items()},
    }


def _training(part: Part) -> dict[str, Any]:
    """Training facts as the stage wrote them, the loss curve apart from the counts."""
    facts = _counts(part)
    settings = part.manifest.get("settings")
    return {
        "name": part.name,
        "student": part.student,
        "method": part.method,
        "n_parameters": part.n_parameters,
        "trained_on": part.fact("trained_on"),
        "counts": facts,
        "settings": settings if isinstance(settings, dict) else {},
        "loss": _loss_curve(part),
    }


def _counts(part: Part) -> dict[str, Any]:
    """The plain numbers of a training record, wherever it keeps them."""
    for name in ("counts", "result"):
        found = part.manifest.get(name)
        if isinstance(found, dict):
            return {k: v for k, v in found.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return {}


def _loss_curve(part: Part) -> list[dict[str, float]]:
    """Steps with losses, from pairs or from objects."""
    result = part.manifest.get("result")
    rows = (result if isinstance(result, dict) else part.manifest).get("loss_curve")
    out = []
    for row in rows if isinstance(rows, list) else []:
        step, loss = (row.get("step"), row.get("loss")) if isinstance(row, dict) else tuple(row)[:2]
        if isinstance(step, int) and isinstance(loss, (int, float)) and math.isfinite(loss):
            out.append({"step": step, "loss": float(loss)})
    return out


def _cost(part: Part) -> dict[str, Any]:
    if part.stage == "train":
        return {"stage": part.stage, "part": part.key, "trained": _counts(part).get("n_tokens")}
    usage = [t.usage for t in part.traces]
    return {
        "stage": part.stage,
        "part": part.key,
        "episodes": len(usage),
        "requests": sum(u.n_requests for u in usage),
        "prompt_tokens": sum(u.n_prompt_tokens for u in usage),
        "new_tokens": sum(u.n_new_tokens for u in usage),
    }


def _timing(parts: Sequence[Part]) -> dict[str, Any]:
    return {p.key: p.timing for p in parts if p.timing}


def _warnings(run: Run) -> list[str]:
    """What a reader of the accuracies must know: test questions trained on, faults, unscored traces, families that one
    method lacks."""
    trained_on = [c for c in contaminations(run) if not c["dropped"] and c["equal"] + c["near"]]
    out = [f"{c['part']}: {told(c)}" for c in trained_on]
    families = {t.problem.family for p in run.evaluations for t in p.traces}
    for p in run.traced:
        if not p.finished:
            out.append(f"{p.key}: still at work, {len(p.traces)} {_episodes(len(p.traces))} so far")
        outcomes = Counter(outcome(t) for t in p.traces)
        if n := outcomes[Outcome.FAULT]:
            out.append(f"{p.key}: {n} {_episodes(n)} failed for reasons of ours; not scored, tried again on resume")
        if n := outcomes[Outcome.UNSCORED]:
            out.append(f"{p.key}: {n} {_episodes(n)} ended without being scored")
        missing = families - {t.problem.family for t in p.traces if t.correct is not None}
        if p.stage == "evaluate" and missing:
            out.append(f"{p.key}: no scored trace of {', '.join(sorted(missing))}; its average leaves them out")
    return out


_SECRET = re.compile(r"(api_?key|secret|password|passwd|credential|authori[sz]ation|(^|_)token)$", re.IGNORECASE)
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


def _without_secrets(value: Any, name: str = "") -> Any:
    """A recipe as it may be shown to others: a report is made to be passed on, a key is not."""
    if isinstance(value, dict):
        return {k: _without_secrets(v, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_secrets(v, name) for v in value]
    if isinstance(value, str):
        return "(not shown)" if value and _SECRET.search(name) else _USER_IN_URL.sub("", value)
    return value


def _episodes(n: int) -> str:
    return "episode" if n == 1 else "episodes"


def _rounded(value: Any) -> Any:
    """Six decimals: enough for any reader, and no last-bit noise between machines."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return value
