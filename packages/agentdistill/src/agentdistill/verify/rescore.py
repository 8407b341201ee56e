"""Stored candidates scored again, with no model: accuracy by method and budget, verifiers against the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from agentdistill.errors import DataError, UserError
from agentdistill.grade import grade
from agentdistill.stats import Interval, mean_interval, paired_difference
from agentdistill.store import to_dict
from agentdistill.verify.budget import N_ORDERS, Expected, check_budgets, doubling, over_pools
from agentdistill.verify.confusion import verifier_facts
from agentdistill.verify.evidence import Ballots, Judges, Policy, ballots, find_judges
from agentdistill.verify.select import METHODS, method
from agentdistill.verify.types import Pool

BASELINE = "majority"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to compute: methods and budgets (none: all that can be), who is listened to and by which rules."""

    methods: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    judges: Judges = Judges()  # noqa: RUF009  frozen
    policy: Policy = Policy()  # noqa: RUF009  frozen
    n_orders: int = N_ORDERS
    n_resamples: int = 2_000
    seed: int = 0


def rescore(pools: Sequence[Pool], asked: Asked = Asked()) -> dict[str, Any]:
    """Accuracy by method and budget with intervals over problems, differences to majority, verifiers' matrices; JSON.

    Raises DataError for candidates that are not graded, judges that are not there and methods that miss theirs, and
    UserError for unknown methods and budgets out of range.
    """
    _check_graded(pools)
    judges = find_judges(pools, asked.judges)
    names = _methods(asked, judges)
    try:
        most = max(len(p.candidates) for p in pools)
        budgets = check_budgets(asked.budgets, most) if asked.budgets else doubling(most)
    except ValueError as e:
        raise UserError(str(e)) from e
    votes = {p.id: ballots(p, judges, asked.policy) for p in pools}
    table = {m: {n: over_pools(m, votes, n, asked.policy, asked.seed, asked.n_orders) for n in budgets} for m in names}
    family = {p.id: p.problem.family for p in pools}
    return {
        "n_problems": len(pools),
        "n_candidates": sum(len(p.candidates) for p in pools),
        "judges": to_dict(judges) | {"policy": {k: v for k, v in asdict(asked.policy).items() if v is not None}},
        "budgets": list(budgets),
        "methods": {m: _method_facts(rows, family, asked) for m, rows in table.items()},
        "versus_majority": _versus(table, family, budgets, asked),
        "verifiers": verifier_facts(pools, asked.policy),
        "marks": _marks(pools),
    }


def _check_graded(pools: Sequence[Pool]) -> None:
    for p in pools:
        if any(c.correct is None for c in p.candidates):
            raise DataError(f'problem {p.id!r} has no gold answer and a candidate without "correct"')


def _methods(asked: Asked, judges: Judges) -> tuple[str, ...]:
    """The methods wanted, or all for which there is evidence."""
    names = []
    for name in asked.methods or METHODS:
        m = method(name)
        needs = {"tool": judges.verifier, "plain": judges.plain, None: ""}[m.filter]
        missing = "verdicts" if needs is None else "scores" if m.reward and judges.reward is None else ""
        if not missing:
            names.append(name)
        elif asked.methods:
            raise DataError(f'"{name}" needs {missing}, and no judge of these candidates gives any')
    return tuple(names)


Rows = Mapping[str, Expected]


def _method_facts(rows: Mapping[int, Rows], family: Mapping[str, str], asked: Asked) -> dict[str, Any]:
    return {"budgets": {str(n): _cell(found, family, asked) for n, found in rows.items()}}


def _cell(found: Rows, family: Mapping[str, str], asked: Asked) -> dict[str, Any]:
    strata: dict[str, list[float]] = defaultdict(list)
    for i, e in found.items():
        strata[family[i]].append(e.right)
    n = len(found)
    return {
        **interval_facts(mean_interval(strata, weighting="problem", n_resamples=asked.n_resamples, seed=asked.seed)),
        "fell_back": sum(e.fell_back for e in found.values()) / n,
        "abstained": sum(e.abstained for e in found.values()) / n,
        "families": {f: sum(v) / len(v) for f, v in sorted(strata.items())},
    }


def interval_facts(i: Interval) -> dict[str, Any]:
    """An interval as JSON values; ``accuracy`` is the estimate."""
    return {"accuracy": i.estimate, "low": i.low, "high": i.high, "n": i.n}


def _versus(
    table: Mapping[str, Mapping[int, Rows]], family: Mapping[str, str], budgets: Sequence[int], asked: Asked
) -> dict[str, Any]:
    """Every method minus majority at the largest budget, paired by problem."""
    n = budgets[-1]
    if BASELINE not in table:
        return {}
    out = {}
    for name in (m for m in table if m not in (BASELINE, "pass")):
        pair = paired_difference(
            _by_family(table[name][n], family),
            _by_family(table[BASELINE][n], family),
            weighting="problem",
            n_resamples=asked.n_resamples,
            seed=asked.seed,
        )
        d = pair.difference
        out[name] = {"budget": n, "difference": d.estimate, "low": d.low, "high": d.high, "n": d.n}
        out[name] |= {"n_better": pair.n_better, "n_worse": pair.n_worse}
    return out


def _by_family(found: Rows, family: Mapping[str, str]) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = defaultdict(dict)
    for i, e in found.items():
        out[family[i]][i] = e.right
    return out


def _marks(pools: Sequence[Pool]) -> dict[str, Any]:
    """How many candidates are right, and how many that we would mark otherwise than their file does."""
    cs = [(p.problem, c) for p in pools for c in p.candidates]
    gold = [(p, c) for p, c in cs if p.answer]
    differ = sum(grade(p.kind, c.answer, p.answer, p.aliases).correct != c.correct for p, c in gold)
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


def select_rows(pools: Sequence[Pool], name: str, asked: Asked) -> list[dict[str, Any]]:
    """What a method takes of every pool, all of whose candidates are there, and why; one JSON object a problem."""
    from agentdistill.verify.select import select

    judges = find_judges(pools, asked.judges)
    _methods(replace(asked, methods=(name,)), judges)
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
