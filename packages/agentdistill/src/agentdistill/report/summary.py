"""From run folders to the facts of a report, as plain JSON values: one run, or several that differ in their seed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agentdistill.errors import UserError
from agentdistill.filters import RoundCounts, is_broken
from agentdistill.problems import share_shown
from agentdistill.problems.contamination import told
from agentdistill.recipe.methods import NAMES, method
from agentdistill.report.comparisons import comparisons, prefix_effects, reading, vote_effects
from agentdistill.report.run import (
    ERROR_KINDS,
    SEARCH,
    Facts,
    Outcome,
    Part,
    StoredRun,
    by_family,
    error_kinds,
    means_by_problem,
    n_calls,
    outcome,
    read_run,
    values_by_problem,
)
from agentdistill.report.stats import CONFIDENCE, N_RESAMPLES, Interval, Weighting, mean_interval, over_seeds, wilson
from agentdistill.types import StepStatus, Trace

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


def summarize_run(run: StoredRun) -> Report:
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
    facts = _training_counts(part)
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


def _training_counts(part: Part) -> dict[str, Any]:
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
        return {"stage": part.stage, "part": part.key, "trained": _training_counts(part).get("n_tokens")}
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


def _warnings(run: StoredRun) -> list[str]:
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


def cell(traces: Sequence[Trace]) -> Facts:
    """One family. Means are over the episodes that ended without a fault; None where there is none."""
    whole = [t for t in traces if outcome(t) is not Outcome.FAULT]
    accuracy = _accuracy(whole)
    return {
        "accuracy": None if accuracy is None else asdict(accuracy),
        "n": sum(t.correct is not None for t in whole),
        **_counts(traces),
        **_means(whole),
    }


def average(traces: Sequence[Trace], weighting: Weighting = "family") -> Facts:
    """All families together: counts add up; accuracy and means weigh by family or by problem, as asked.

    A single family is its own average, interval included.
    """
    whole = [t for t in traces if outcome(t) is not Outcome.FAULT]
    groups = list(by_family(whole).values()) if weighting == "family" else [whole]
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


def _counts(traces: Sequence[Trace]) -> Facts:
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


def _means(traces: Sequence[Trace]) -> Facts:
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


def _mean_of_means(means: Sequence[Facts]) -> Facts:
    """Each group weighs the same; a tool that a group never called counts there as zero."""
    means = [m for m in means if m["mean_steps"] is not None]
    out: Facts = {}
    for key in ("mean_steps", "prompt_tokens_per_answer", "new_tokens_per_answer", "code_actions_per_episode"):
        out[key] = math.fsum(m[key] for m in means) / len(means) if means else None
    tools = sorted({name for m in means for name in m["tool_calls_per_episode"]})
    out["tool_calls_per_episode"] = {
        name: math.fsum(m["tool_calls_per_episode"].get(name, 0.0) for m in means) / len(means) for name in tools
    }
    return out


def collection(part: Part) -> dict[str, Any]:
    """One collection. Its average weighs by problem: it is the plain share of right traces, as training sees them."""
    return {
        "name": part.name,
        "method": part.method,
        "model": part.traces[0].model if part.traces else part.student,
        "average": average(part.traces, "problem") | _search(part.traces),
        "families": {f: cell(ts) | _search(ts) for f, ts in by_family(part.traces).items()},
    }


def _search(traces: Sequence[Trace]) -> dict[str, Any]:
    whole = [t for t in traces if outcome(t) is not Outcome.FAULT]
    never = sum(n_calls(t, SEARCH) == 0 for t in whole)
    n_searches = sum(n_calls(t, SEARCH) for t in whole)
    return {
        "searches_per_episode": n_searches / len(whole) if whole else None,
        "share_without_search": never / len(whole) if whole else None,
        "n_with_prefix": sum(any(s.reply.prefix for s in t.steps) for t in whole),
    }


def filter_counts(part: Part) -> dict[str, Any]:
    """How many traces were kept, and how many each filter rejected (a count bears the name of its filter)."""
    counts = part.fact("counts")
    if not isinstance(counts, dict) or not counts:
        counts = {"kept": len(part.traces)}
    filters = part.fact("keep")
    return {"name": part.name, "filters": filters if isinstance(filters, list) else [], "counts": counts}


def contaminations(run: StoredRun) -> list[dict[str, Any]]:
    """Training questions that are test questions too: the asked ones' facts, then those of every imported collection.

    The facts are those of :meth:`~agentdistill.problems.contamination.Screening.facts`, with the ``part`` of the run
    that they are of.
    """
    found = [("problems", run.contamination), *((f.key, f.fact("contamination")) for f in run.filters)]
    return [{"part": part, **facts} for part, facts in found if isinstance(facts, dict) and facts]


def searched(part: Part) -> dict[str, Any] | None:
    """Searches a question, and recall: the share of a question's supporting passages among those that were found, by
    all of an agent's searches or by the one query that put passages beside the question. Averages over families.

    ``searches`` is None for a method that cannot search of its own, ``recall`` where no question names its supporting
    passages; the whole is None where nothing was searched.
    """
    is_given = part.method in NAMES and method(part.method).retrieval
    whole = [t for t in part.traces if outcome(t) is not Outcome.FAULT]
    if not is_given and not any(n_calls(t, SEARCH) for t in whole):
        return None
    shown = _beside if is_given else _found
    return {
        "searches": None if is_given else _mean(whole, lambda t: n_calls(t, SEARCH), None),
        "recall": _mean(
            [t for t in whole if t.problem.supporting],
            lambda t: share_shown(t.problem.supporting, shown(t)),
            (0.0, 1.0),
        ),
    }


def _found(trace: Trace) -> list[str]:
    return [c.result for s in trace.steps for c in s.tool_calls if c.name == SEARCH and c.ok]


def _beside(trace: Trace) -> list[str]:
    return [m.content for m in trace.prompt if m.role == "user"][-1:]  # before it there may be worked examples


def _mean(
    traces: Sequence[Trace], of: Callable[[Trace], float], bounds: tuple[float, float] | None
) -> dict[str, Any] | None:
    """The mean over problems, each of which may have several traces."""
    means = {f: list(problems.values()) for f, problems in means_by_problem(traces, of).items()}
    return asdict(mean_interval(means, bounds=bounds)) if means else None


def rounds(run: StoredRun) -> list[dict[str, Any]]:
    """One row a student and round, the first round's from the recipe's own collection; none for a run without rounds.

    ``n_new`` are the distinct successes that joined the training set of the round, ``n_lessons`` its size; ``accuracy``
    that of the round's student on the test problems, None where it was not evaluated.
    """
    later = {(p.name, p.round): p for p in run.rounds if p.stage == "collect"}
    names = [p.name for p in run.training if any(name == p.name for name, _ in later)]
    out = []
    for name in names:
        learns = method(name.rpartition("--")[2]).learns
        last = max(number or 0 for n, number in later if n == name)
        first = next((p for p in run.collections if p.name == learns), None)
        parts = [(1, first), *((number, later.get((name, number))) for number in range(2, last + 1))]
        out += [_round(run, name, number, part, last) for number, part in parts if part is not None]
    return out


def _round(run: StoredRun, name: str, number: int, part: Part, last: int) -> dict[str, Any]:
    filters = run.filters if number == 1 else run.rounds
    where = (None, part.name) if number == 1 else (number, name)
    kept = next((p for p in filters if p.stage == "filter" and (p.round, p.name) == where), None)
    tested = run.evaluations if number == last else run.rounds
    test = next((p for p in tested if p.stage == "evaluate" and p.name == name and p.round in (None, number)), None)
    student, _, method = name.rpartition("--")
    counts = kept.fact("counts") if kept is not None else None
    return {
        "student": student,
        "method": method,
        "round": number,
        "sampled_from": part.traces[0].model if part.traces else part.student,
        **asdict(RoundCounts.of(part.traces)),
        "n_new": counts.get("kept") if isinstance(counts, dict) else None,
        "n_lessons": kept.fact("n") if kept is not None else None,
        "accuracy": None if test is None else average(test.traces)["accuracy"],
    }


_INTERVAL = {"estimate", "low", "high", "n"}


def summarize_seeds(run_dirs: Sequence[Path | str]) -> Report:
    """The report of several runs of one recipe, as :func:`summarize` gives it of one, with ``seeds`` added.

    Only parts that all runs have are in it; filters and training are left to the runs' own reports. An interval over
    problems is widened by what the seeds' own estimates scatter (:func:`agentdistill.report.stats.over_seeds`) and
    lists them as ``seeds``. Raises UserError for runs whose recipes differ in more than seed and name, or that share a
    seed.
    """
    runs = [read_run(d) for d in run_dirs]
    seeds = _seeds(runs)
    runs = _shared(runs)
    reports = [summarize_run(r) for r in runs]
    out: Report = _widened(summarize_run(_merged(runs)), reports)
    return {**out, "reading": reading(out["comparisons"]), "seeds": seeds}


def _seeds(runs: Sequence[StoredRun]) -> list[int]:
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


def _shared(runs: Sequence[StoredRun]) -> list[StoredRun]:
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


def _merged(runs: Sequence[StoredRun]) -> StoredRun:
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
