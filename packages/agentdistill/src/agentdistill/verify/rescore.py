"""Stored candidates scored again, with no model: accuracy by method and budget, verifiers against the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from agentdistill import scorers
from agentdistill.errors import DataError, UserError
from agentdistill.stats import Interval, mean_interval, paired_difference
from agentdistill.store import to_dict
from agentdistill.verify.budget import N_ORDERS, Expected, check_budgets, doubling, over_pools
from agentdistill.verify.confusion import tests, verifier_facts
from agentdistill.verify.evidence import Ballots, Judges, Policy, ballots, find_judges
from agentdistill.verify.groups import grouped, strata
from agentdistill.verify.select import METHODS, best_informed, fallbacks, method, refusal, select
from agentdistill.verify.types import Pool

BASELINE, CONTROL = "majority", "two-stage"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to compute: methods and budgets (none: all that can be), who is listened to and by which rules, and what
    results are shown by (:func:`~agentdistill.verify.groups.grouped`)."""

    methods: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    judges: Judges = Judges()  # noqa: RUF009  frozen
    policy: Policy = Policy()  # noqa: RUF009  frozen
    n_orders: int = N_ORDERS
    n_resamples: int = 2_000
    seed: int = 0
    by: str = ""


def rescore(
    pools: Sequence[Pool],
    asked: Asked = Asked(),
    repeats: Sequence[Sequence[Pool]] = (),
    rivals: Mapping[str, Sequence[Pool]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Accuracy by method and budget with intervals over problems, differences to majority and to T1's
    control, verifiers' matrices; JSON.

    ``repeats`` are the same problems under other seeds: a problem counts once, with the mean of its seeds, and every
    cell says what each seed alone gave. Raises DataError for candidates that are not graded, judges that are not there,
    methods that miss theirs and repeats of other problems, and UserError for unknown methods and budgets out of range.
    """
    pools, repeats = grouped(pools, asked.by), [grouped(run, asked.by) for run in repeats]
    every = [p for run in (pools, *repeats) for p in run]
    _check(pools, repeats)
    judges = find_judges(pools, asked.judges)
    seeds = _seeds(pools, repeats, judges, asked)
    names, left_out = _methods(asked, judges, seeds)
    try:
        most = max(min(len(run[p.id]) for run in seeds) for p in pools)
        if not most:
            raise DataError("no problem has a candidate under every seed")
        budgets = check_budgets(asked.budgets, most) if asked.budgets else doubling(most)
    except ValueError as e:
        raise UserError(str(e)) from e
    table = {m: {n: _over_seeds(m, n, seeds, asked) for n in budgets} for m in names}
    family = {p.id: p.problem.family for p in pools}
    return {
        "n_problems": len(pools),
        "n_problems_at": {str(n): sum(all(len(run[p.id]) >= n for run in seeds) for p in pools) for n in budgets},
        "n_candidates": sum(len(p.candidates) for p in every),
        "n_seeds": len(seeds),
        "judges": to_dict(judges) | {"policy": {k: v for k, v in asdict(asked.policy).items() if v is not None}},
        "budgets": list(budgets),
        "methods": {m: {"budgets": _cells(rows, family, asked)} for m, rows in table.items()},
        "left_out": left_out,
        "versus_majority": _versus(BASELINE, table, family, budgets, asked),
        "versus_two_stage": _versus(CONTROL, table, family, budgets, asked),
        "rivals": {r: _rival(answers, table, family, budgets[-1], asked) for r, answers in rivals.items()},
        "verifiers": verifier_facts(
            every, tests(every, judges, asked.policy), asked.policy, asked.n_resamples, asked.seed
        ),
        "marks": _marks(every),
    }


def _check(pools: Sequence[Pool], repeats: Sequence[Sequence[Pool]]) -> None:
    for p in (p for run in (pools, *repeats) for p in run):
        if any(c.correct is None for c in p.candidates):
            raise DataError(f'problem {p.id!r} has no gold answer and a candidate without "correct"')
    if any({p.id for p in run} != {p.id for p in pools} for run in repeats):
        raise DataError("the runs to put together hold different problems")


Votes = Mapping[str, Ballots]
"""Problem -> what selection sees of it, under one seed."""


def _seeds(pools: Sequence[Pool], repeats: Sequence[Sequence[Pool]], judges: Judges, asked: Asked) -> tuple[Votes, ...]:
    return tuple({p.id: ballots(p, judges, asked.policy) for p in run} for run in (pools, *repeats))


def _methods(asked: Asked, judges: Judges, seeds: Sequence[Votes]) -> tuple[list[str], dict[str, str]]:
    """The methods wanted, or all for which there is evidence; and why some of these cannot go by it.

    Raises DataError where one that is wanted has no evidence.
    """
    names = _with_evidence(asked, judges)
    if asked.methods:
        return names, {}
    left_out: dict[str, str] = {}
    for name in names:
        ways = (m for m in (METHODS[name], *fallbacks(METHODS[name], asked.policy)))
        refusals = (refusal(m, b, asked.policy) for m in ways for run in seeds for b in run.values())
        why = next((r for r in refusals if r is not None), None)
        if why is not None:
            left_out[name] = why
    return [name for name in names if name not in left_out], left_out


def _with_evidence(asked: Asked, judges: Judges) -> list[str]:
    names = []
    for name in asked.methods or METHODS:
        m = method(name)
        needs = {"tool": judges.verifier, "plain": judges.plain, None: ""}[m.filter]
        missing = "verdicts" if needs is None else "scores" if m.reward and judges.reward is None else ""
        if not missing:
            names.append(name)
        elif asked.methods:
            raise DataError(f'"{name}" needs {missing}, and no judge of these candidates gives any')
    return names


Rows = Mapping[str, Expected]


@dataclass(frozen=True, slots=True)
class _Row:
    """A method at a budget: what it reaches on each problem over all seeds, and each seed's accuracy."""

    found: Rows
    by_seed: tuple[float, ...]


def _over_seeds(name: str, n: int, seeds: Sequence[Votes], asked: Asked) -> _Row:
    rows = [over_pools(name, votes, n, asked.policy, asked.seed, asked.n_orders) for votes in seeds]
    shared = [i for i in rows[0] if all(i in r for r in rows)]
    found = {i: _mean([r[i] for r in rows]) for i in shared}
    return _Row(found, tuple(sum(r[i].right for i in shared) / len(shared) for r in rows))


def _mean(several: Sequence[Expected]) -> Expected:
    parts = zip(*((e.right, e.fell_back, e.abstained) for e in several), strict=True)
    return Expected(*(sum(part) / len(several) for part in parts))


def _cells(rows: Mapping[int, _Row], family: Mapping[str, str], asked: Asked) -> dict[str, Any]:
    return {str(n): _cell(row, family, asked) for n, row in rows.items()}


def _cell(row: _Row, family: Mapping[str, str], asked: Asked) -> dict[str, Any]:
    told = {f: list(found.values()) for f, found in by_family(row.found, family).items()}
    values = {s: list(found.values()) for s, found in by_family(row.found, strata(family)).items()}
    n = len(row.found)
    return {
        **interval_facts(mean_interval(values, weighting="problem", n_resamples=asked.n_resamples, seed=asked.seed)),
        "seeds": list(row.by_seed),
        "fell_back": sum(e.fell_back for e in row.found.values()) / n,
        "abstained": sum(e.abstained for e in row.found.values()) / n,
        "families": {f: sum(v) / len(v) for f, v in sorted(told.items())},
    }


def interval_facts(i: Interval) -> dict[str, Any]:
    """An interval as JSON values; ``accuracy`` is the estimate."""
    return {"accuracy": i.estimate, "low": i.low, "high": i.high, "n": i.n}


Values = Mapping[str, Mapping[str, float]]
"""Family, or stratum -> problem -> the chance of a right answer."""


def _versus(
    other: str,
    table: Mapping[str, Mapping[int, _Row]],
    family: Mapping[str, str],
    budgets: Sequence[int],
    asked: Asked,
) -> dict[str, Any]:
    """Every method minus another one at the largest budget, paired by problem."""
    n = budgets[-1]
    if other not in table:
        return {}
    drawn = strata(family)
    theirs = by_family(table[other][n].found, drawn)
    return {
        name: difference_facts(by_family(rows[n].found, drawn), theirs, n, asked)
        for name, rows in table.items()
        if name not in (other, "pass")
    }


def difference_facts(a: Values, b: Values, budget: int, asked: Asked) -> dict[str, Any]:
    """``a`` minus ``b``, paired by problem, as JSON values."""
    pair = paired_difference(a, b, weighting="problem", n_resamples=asked.n_resamples, seed=asked.seed)
    d = pair.difference
    told = {"budget": budget, "difference": d.estimate, "low": d.low, "high": d.high, "n": d.n}
    return told | {"n_better": pair.n_better, "n_worse": pair.n_worse}


def by_family(found: Rows, family: Mapping[str, str]) -> Values:
    """Chances of a right answer, as paired comparisons want them."""
    out: dict[str, dict[str, float]] = defaultdict(dict)
    for i, e in found.items():
        out[family[i]][i] = e.right
    return out


def _rival(
    answers: Sequence[Pool], table: Mapping[str, Mapping[int, _Row]], family: Mapping[str, str], n: int, asked: Asked
) -> dict[str, Any]:
    """What a rival's first answers reach, and every method at a budget minus that, paired by problem."""
    reached = {p.id: Expected(float(bool(p.candidates[0].correct))) for p in answers if p.id in family and p.candidates}
    if not reached:
        raise DataError("the rival answered none of these problems")
    drawn = strata(family)
    theirs = by_family(reached, drawn)
    own = {m: by_family(rows[n].found, drawn) for m, rows in table.items() if m != "pass"}
    return {
        **_cell(_Row(reached, ()), family, asked),
        "versus": {m: difference_facts(found, theirs, n, asked) for m, found in own.items()},
    }


def _marks(pools: Sequence[Pool]) -> dict[str, Any]:
    """How many candidates are right, and how many that we would mark otherwise than their file does."""
    cs = [(p.problem, c) for p in pools for c in p.candidates]
    gold = [(p, c) for p, c in cs if p.answer]
    differ = sum(scorers.score(p.kind, c.answer, p.answer, p.aliases).correct != c.correct for p, c in gold)
    sources = sorted({c.source for _, c in cs if c.source})
    by_source = {
        s: sum(bool(c.correct) for _, c in cs if c.source == s) / sum(c.source == s for _, c in cs) for s in sources
    }
    return {
        "n_right": sum(bool(c.correct) for _, c in cs),
        "n_without_answer": sum(c.answer is None for _, c in cs),
        "n_our_grader_differs": differ,
        "accuracy_by_source": by_source,
    }


def select_rows(pools: Sequence[Pool], name: str | None, asked: Asked) -> list[dict[str, Any]]:
    """What a method takes of every pool, all of whose candidates are there, and why; one JSON object a problem.

    Without a name it is the best informed of those that can be computed.
    """
    judges = find_judges(pools, asked.judges)
    if name is None:
        name = best_informed(_methods(asked, judges, _seeds(pools, (), judges, asked))[0])
    _with_evidence(replace(asked, methods=(name,)), judges)
    out = []
    for p in pools:
        b: Ballots = ballots(p, judges, asked.policy)
        c = select(name, b, asked.policy)
        chosen = None if c.index is None else p.candidates[c.index]
        out.append(
            {
                "problem": p.id,
                "method": name,
                "answer": None if chosen is None else chosen.answer,
                "correct": None if chosen is None else chosen.correct,
                "candidate": c.index,
                "reason": c.reason,
                "fallback": c.fallback,
                "weights": list(c.weights),
            }
        )
    return out
