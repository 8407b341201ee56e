"""Stored candidates scored without a model: accuracy by method and budget, and what a budget costs.

A run with n candidates is n of the N in random order (the order decides ties), so accuracy at n is the mean over
ordered subsets: over all of them where there are few, else over random ones that are the same for every method. A
budget of n costs what n candidates and the judgements that a method uses cost on average. FLOPs are twice the
parameters for every token read or written. Seconds are what the stages took on the machine that ran them.

How good a verifier is: its verdicts against the truth as a matrix, and what p and q of it promise.

The chance that a verified choice is right (T1, arXiv 2504.04718, section 3): of N candidates each is right with the
prior s. A verifier rejects a wrong one with p and accepts a right one with q. One of the accepted is chosen at random,
or one of all where none is accepted. With a = P(all are rejected):

    a      = (s (1 - q) + (1 - s) p)^N                               ((1 + p - q) / 2)^N  at s = 1/2
    pi_N   = (1 - a) s q / (s q + (1 - s)(1 - p)) + a s (1 - q) / (s (1 - q) + (1 - s) p)

It increases in p for N >= 2. It takes the candidates of a problem as independent, and does not show the price of a
lower q: right solutions thrown away, and whole pools with nobody left. Both are given beside it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from itertools import permutations
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentdistill import scorers
from agentdistill.errors import DataError, UserError
from agentdistill.report.stats import (
    Interval,
    Values,
    mean_interval,
    paired_difference,
    paired_ratio,
    pass_at_k,
    wilson,
)
from agentdistill.store import seed_of, to_dict
from agentdistill.verify.beam import SCORED_TOKENS
from agentdistill.verify.pools import COSTS, Pool, Said, Verdict, by, read_object, verifiers_of
from agentdistill.verify.select import (
    METHODS,
    Ballots,
    Ints,
    Listen,
    SelectionPolicy,
    accepted,
    ballots,
    best_informed,
    choose,
    fallbacks,
    find_verifiers,
    method,
    refusal,
    reward_value,
    select,
)
from agentdistill.verify.stopping import StopSettings, savings

N_ORDERS = 256
"""Ordered subsets looked at where there are more."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one pool at one budget: the chance of a right answer, of a fallback, and of no answer at all."""

    right: float
    fell_back: float = 0.0
    abstained: float = 0.0


def orders(n_candidates: int, n: int, seed: int, n_orders: int = N_ORDERS) -> Ints:
    """Ordered subsets of ``n`` places, ``[orders, n]``: all, or ``n_orders`` random ones where there are more.

    The random ones of a smaller ``n`` begin those of a larger one. Raises ValueError unless ``1 <= n <= n_candidates``.
    """
    if not 1 <= n <= n_candidates:
        raise ValueError(f"cannot take {n} of {n_candidates} candidates")
    if math.perm(n_candidates, n) <= n_orders:
        return _all_orders(n_candidates, n)
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(np.arange(n_candidates), (n_orders, 1)), axis=1)
    return np.asarray(shuffled[:, :n], dtype=np.int64)


@lru_cache(maxsize=256)
def _all_orders(n_candidates: int, n: int) -> Ints:
    return np.array(list(permutations(range(n_candidates), n)), dtype=np.int64)


def expected(
    name: str, b: Ballots, n: int, policy: SelectionPolicy, seed: int = 0, n_orders: int = N_ORDERS
) -> Expected:
    """What a method reaches on one pool with ``n`` of its candidates. No answer is wrong.

    Every candidate has to be graded. Raises ValueError for ``n`` out of range or an ungraded candidate.
    """
    if any(c is None for c in b.correct):
        raise ValueError("a candidate is not graded")
    right = np.array(b.correct, dtype=bool)
    if name == "pass":
        return Expected(pass_at_k(len(b), int(right.sum()), n))
    if name == "first":
        return Expected(float(right.mean()))  # any candidate may be the first
    chosen, fell = choose(method(name), b, policy, orders(len(b), n, seed, n_orders))
    hit: NDArray[np.bool_] = (chosen >= 0) & right[chosen]
    return Expected(float(hit.mean()), float((fell > 0).mean()), float((chosen < 0).mean()))


def over_pools(
    name: str, pools: Mapping[str, Ballots], n: int, policy: SelectionPolicy, seed: int = 0, n_orders: int = N_ORDERS
) -> dict[str, Expected]:
    """:func:`expected` for every pool, by its id, that has ``n`` candidates or more. Its subsets hang on its id."""
    return {
        i: expected(name, b, n, policy, seed_of(seed, "subsets", i), n_orders) for i, b in pools.items() if len(b) >= n
    }


def doubling(n: int) -> tuple[int, ...]:
    """1, 2, 4, … up to ``n``, and ``n``.

    >>> doubling(12)
    (1, 2, 4, 8, 12)
    """
    return tuple(dict.fromkeys([*(2**i for i in range(n.bit_length()) if 2**i <= n), n])) if n > 0 else ()


def check_budgets(budgets: Sequence[int], most: int) -> tuple[int, ...]:
    """The budgets in order, each once. Raises ValueError for one below 1 or above the largest pool."""
    wrong = [n for n in budgets if not 1 <= n <= most]
    if wrong:
        raise ValueError(f"a budget of {wrong[0]} is not between 1 and {most}, the candidates of the largest pool")
    return tuple(sorted(set(budgets)))


FEWEST = 5
"""A family of fewer problems shows too little of its scatter to be resampled by itself: one alone would have none."""


def grouped(pools: Sequence[Pool], by: str = "") -> list[Pool]:
    """The pools with what they are to be shown by in the place of their families.

    ``by`` is ``family`` or the name of a label; without it families, or where all are of one, the first label in which
    they differ. Raises DataError for a label that no problem has.
    """
    values: dict[str, set[str]] = {}
    for name, value in (label for p in pools for label in p.problem.labels):
        values.setdefault(name, set()).add(value)
    known = list(values)
    if not by and len({p.problem.family for p in pools}) == 1:
        by = next((name for name in known if len(values[name]) > 1), "")
    if by in ("", "family"):
        return list(pools)
    if by not in known:
        raise DataError(f'no problem has a label "{by}" (there are: {", ".join(["family", *known])})')
    return [replace(p, problem=replace(p.problem, family=_named(p, by))) for p in pools]


def _named(pool: Pool, by: str) -> str:
    value = dict(pool.problem.labels).get(by)
    return f"no {by}" if value is None else f"{by} {value}" if value[:1].isdigit() else value


def strata(family: Mapping[str, str]) -> dict[str, str]:
    """For every problem the families that it is resampled with: its own, or all the small ones together."""
    sizes = Counter(family.values())
    return {i: f if sizes[f] >= FEWEST else "" for i, f in family.items()}


BASELINE, CONTROL = "majority", "two-stage"


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """What to compute: methods and budgets (none: all that can be), who is listened to and by which rules, and what
    results are shown by (:func:`~agentdistill.verify.scores.grouped`)."""

    methods: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    listen: Listen = Listen()  # noqa: RUF009  frozen
    policy: SelectionPolicy = SelectionPolicy()  # noqa: RUF009  frozen
    n_orders: int = N_ORDERS
    n_resamples: int = 2_000
    seed: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Who answers the same problems once: another model, or with ``reward``, the verifier that leads it, a search over
    steps. Methods are compared with it at a budget of ``n`` candidates (None: the largest)."""

    answers: Sequence[Pool]
    n_parameters: int | None = None
    n: int | None = None
    reward: str | None = None


def rescore(
    pools: Sequence[Pool],
    settings: ScoreSettings = ScoreSettings(),
    repeats: Sequence[Sequence[Pool]] = (),
    rivals: Mapping[str, Rival] = MappingProxyType({}),
) -> dict[str, Any]:
    """Accuracy by method and budget with intervals over problems, differences to majority and to T1's
    control, verifiers' matrices; JSON.

    ``repeats`` are the same problems under other seeds: a problem counts once, with the mean of its seeds, and every
    cell says what each seed alone gave. Raises DataError for candidates that are not graded, unknown verifiers,
    methods that lack theirs and repeats of other problems, and UserError for unknown methods and budgets out of range.
    """
    pools, repeats = grouped(pools, settings.by), [grouped(run, settings.by) for run in repeats]
    every = [p for run in (pools, *repeats) for p in run]
    _check(pools, repeats)
    listen = find_verifiers(pools, settings.listen)
    seeds = _seeds(pools, repeats, listen, settings)
    names, left_out = _methods(settings, listen, seeds)
    try:
        most = max(min(len(run[p.id]) for run in seeds) for p in pools)
        if not most:
            raise DataError("no problem has a candidate under every seed")
        budgets = check_budgets(settings.budgets, most) if settings.budgets else doubling(most)
    except ValueError as e:
        raise UserError(str(e)) from e
    table = {m: {n: _over_seeds(m, n, seeds, settings) for n in budgets} for m in names}
    family = {p.id: p.problem.family for p in pools}
    return {
        "n_problems": len(pools),
        "n_problems_at": {str(n): sum(all(len(run[p.id]) >= n for run in seeds) for p in pools) for n in budgets},
        "n_candidates": sum(len(p.traces) for p in every),
        "n_seeds": len(seeds),
        "judges": to_dict(listen) | {"policy": {k: v for k, v in asdict(settings.policy).items() if v is not None}},
        "budgets": list(budgets),
        "methods": {m: {"budgets": _cells(rows, family, settings)} for m, rows in table.items()},
        "left_out": left_out,
        "versus_majority": _versus(BASELINE, table, family, budgets, settings),
        "versus_two_stage": _versus(CONTROL, table, family, budgets, settings),
        "rivals": {
            name: _rival(r.answers, table, family, _compared_at(r.n, budgets), settings) for name, r in rivals.items()
        },
        "verifiers": verifier_facts(
            every, tests(every, listen, settings.policy), settings.policy, settings.n_resamples, settings.seed
        ),
        "marks": _marks(every),
    }


def _compared_at(n: int | None, budgets: Sequence[int]) -> int:
    """The largest budget that is no larger than ``n``."""
    return max((b for b in budgets if n is None or b <= n), default=budgets[0])


def _check(pools: Sequence[Pool], repeats: Sequence[Sequence[Pool]]) -> None:
    for p in (p for run in (pools, *repeats) for p in run):
        if any(t.correct is None for t in p.traces):
            raise DataError(f'problem {p.id!r} has no gold answer and a candidate without "correct"')
    if any({p.id for p in run} != {p.id for p in pools} for run in repeats):
        raise DataError("the runs to put together hold different problems")


Votes = Mapping[str, Ballots]
"""Problem -> what selection sees of it, under one seed."""


def _seeds(
    pools: Sequence[Pool], repeats: Sequence[Sequence[Pool]], listen: Listen, settings: ScoreSettings
) -> tuple[Votes, ...]:
    return tuple({p.id: ballots(p, listen, settings.policy) for p in run} for run in (pools, *repeats))


def _methods(settings: ScoreSettings, listen: Listen, seeds: Sequence[Votes]) -> tuple[list[str], dict[str, str]]:
    """The methods wanted, or all for which there is evidence; and why some of these cannot go by it.

    Raises DataError where one that is wanted has no evidence.
    """
    names = _with_evidence(settings, listen)
    if settings.methods:
        return names, {}
    left_out: dict[str, str] = {}
    for name in names:
        ways = (m for m in (METHODS[name], *fallbacks(METHODS[name], settings.policy)))
        refusals = (refusal(m, b, settings.policy) for m in ways for run in seeds for b in run.values())
        why = next((r for r in refusals if r is not None), None)
        if why is not None:
            left_out[name] = why
    return [name for name in names if name not in left_out], left_out


def _with_evidence(settings: ScoreSettings, listen: Listen) -> list[str]:
    names = []
    for name in settings.methods or METHODS:
        m = method(name)
        needs = {"tool": listen.verifier, "plain": listen.plain, None: ""}[m.filter]
        missing = "verdicts" if needs is None else "scores" if m.reward and listen.reward is None else ""
        if not missing:
            names.append(name)
        elif settings.methods:
            raise DataError(f'"{name}" needs {missing}, and no verifier of these candidates gives any')
    return names


ExpectedByProblem = Mapping[str, Expected]


@dataclass(frozen=True, slots=True)
class _Row:
    """A method at a budget: what it reaches on each problem over all seeds, and each seed's accuracy."""

    found: ExpectedByProblem
    by_seed: tuple[float, ...]


def _over_seeds(name: str, n: int, seeds: Sequence[Votes], settings: ScoreSettings) -> _Row:
    rows = [over_pools(name, votes, n, settings.policy, settings.seed, settings.n_orders) for votes in seeds]
    shared = [i for i in rows[0] if all(i in r for r in rows)]
    found = {i: _mean([r[i] for r in rows]) for i in shared}
    return _Row(found, tuple(sum(r[i].right for i in shared) / len(shared) for r in rows))


def _mean(several: Sequence[Expected]) -> Expected:
    parts = zip(*((e.right, e.fell_back, e.abstained) for e in several), strict=True)
    return Expected(*(sum(part) / len(several) for part in parts))


def _cells(rows: Mapping[int, _Row], family: Mapping[str, str], settings: ScoreSettings) -> dict[str, Any]:
    return {str(n): _cell(row, family, settings) for n, row in rows.items()}


def _cell(row: _Row, family: Mapping[str, str], settings: ScoreSettings) -> dict[str, Any]:
    told = {f: list(found.values()) for f, found in by_family(row.found, family).items()}
    values = {s: list(found.values()) for s, found in by_family(row.found, strata(family)).items()}
    n = len(row.found)
    return {
        **interval_facts(
            mean_interval(values, weighting="problem", n_resamples=settings.n_resamples, seed=settings.seed)
        ),
        "seeds": list(row.by_seed),
        "fell_back": sum(e.fell_back for e in row.found.values()) / n,
        "abstained": sum(e.abstained for e in row.found.values()) / n,
        "families": {f: sum(v) / len(v) for f, v in sorted(told.items())},
    }


def interval_facts(i: Interval) -> dict[str, Any]:
    """An interval as JSON values; ``accuracy`` is the estimate."""
    return {"accuracy": i.estimate, "low": i.low, "high": i.high, "n": i.n}


def _versus(
    other: str,
    table: Mapping[str, Mapping[int, _Row]],
    family: Mapping[str, str],
    budgets: Sequence[int],
    settings: ScoreSettings,
) -> dict[str, Any]:
    """Every method minus another one at the largest budget, paired by problem."""
    n = budgets[-1]
    if other not in table:
        return {}
    drawn = strata(family)
    theirs = by_family(table[other][n].found, drawn)
    return {
        name: difference_facts(by_family(rows[n].found, drawn), theirs, n, settings)
        for name, rows in table.items()
        if name not in (other, "pass")
    }


def difference_facts(a: Values, b: Values, budget: int, settings: ScoreSettings) -> dict[str, Any]:
    """``a`` minus ``b``, paired by problem, as JSON values."""
    pair = paired_difference(a, b, weighting="problem", n_resamples=settings.n_resamples, seed=settings.seed)
    d = pair.difference
    told = {"budget": budget, "difference": d.estimate, "low": d.low, "high": d.high, "n": d.n}
    return told | {"n_better": pair.n_better, "n_worse": pair.n_worse}


def by_family(found: ExpectedByProblem, family: Mapping[str, str]) -> Values:
    """Chances of a right answer, as paired comparisons want them."""
    out: dict[str, dict[str, float]] = defaultdict(dict)
    for i, e in found.items():
        out[family[i]][i] = e.right
    return out


def _rival(
    answers: Sequence[Pool],
    table: Mapping[str, Mapping[int, _Row]],
    family: Mapping[str, str],
    n: int,
    settings: ScoreSettings,
) -> dict[str, Any]:
    """What a rival's first answers reach, and every method at a budget minus that, paired by problem."""
    reached = {p.id: Expected(float(bool(p.traces[0].correct))) for p in answers if p.id in family and p.traces}
    if not reached:
        raise DataError("the rival answered none of these problems")
    drawn = strata(family)
    theirs = by_family(reached, drawn)
    own = {m: by_family(rows[n].found, drawn) for m, rows in table.items() if m != "pass"}
    return {
        **_cell(_Row(reached, ()), family, settings),
        "versus": {m: difference_facts(found, theirs, n, settings) for m, found in own.items()},
    }


def _marks(pools: Sequence[Pool]) -> dict[str, Any]:
    """How many candidates are right, and how many that we would mark otherwise than their file does."""
    ts = [(p.problem, t) for p in pools for t in p.traces]
    gold = [(p, t) for p, t in ts if p.answer]
    differ = sum(scorers.score(p.kind, t.answer, p.answer, p.aliases).correct != t.correct for p, t in gold)
    sources = sorted({t.method for _, t in ts if t.method})
    by_source = {
        s: sum(bool(t.correct) for _, t in ts if t.method == s) / sum(t.method == s for _, t in ts) for s in sources
    }
    return {
        "n_right": sum(bool(t.correct) for _, t in ts),
        "n_without_answer": sum(t.answer is None for _, t in ts),
        "n_our_grader_differs": differ,
        "accuracy_by_source": by_source,
    }


def select_rows(pools: Sequence[Pool], name: str | None, settings: ScoreSettings) -> list[dict[str, Any]]:
    """What a method takes of every pool, all of whose candidates are there, and why; one JSON object a problem.

    Without a name it is the best informed of those that can be computed.
    """
    listen = find_verifiers(pools, settings.listen)
    if name is None:
        name = best_informed(_methods(settings, listen, _seeds(pools, (), listen, settings))[0])
    _with_evidence(replace(settings, methods=(name,)), listen)
    out = []
    for p in pools:
        b: Ballots = ballots(p, listen, settings.policy)
        c = select(name, b, settings.policy)
        chosen = None if c.index is None else p.traces[c.index]
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


def stopping(
    pools: Sequence[Pool],
    name: str | None,
    settings: ScoreSettings,
    looks: Sequence[StopSettings],
    costs: Costs,
    n_orders: int,
) -> list[dict[str, Any]]:
    """What stopping spares on stored candidates (:func:`~agentdistill.verify.stopping.savings`) by a method, else by
    the best informed: candidates, judgements, tokens written, FLOPs and seconds, as far as they are known."""
    listen = find_verifiers(pools, settings.listen)
    if name is None:
        name = best_informed(_methods(settings, listen, _seeds(pools, (), listen, settings))[0])
    _with_evidence(replace(settings, methods=(name,)), listen)
    used = _used(name, listen)
    cost: dict[str, float | None] = {"judgements": len(used) - 1}
    return savings(
        pools, name, listen, settings.policy, looks, cost | _cost(1, used, _parts(pools), costs),
        n_orders=n_orders, seed=settings.seed,
    )  # fmt: skip


GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Costs:
    """What is known of the stages behind a file, by verifier or ``generator``: parameters, and seconds a candidate."""

    n_parameters: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def read_costs(path: Path) -> Costs:
    """The costs that stand beside a file of candidates (``NAME.costs.json``); none where there is no such file."""
    beside = path.with_suffix(COSTS)
    data = read_object(beside)
    try:
        return Costs(
            {str(k): float(v) for k, v in data.get("n_parameters", {}).items() if v is not None},
            {str(k): float(v) for k, v in data.get("seconds", {}).items() if v is not None},
        )
    except (ValueError, AttributeError, TypeError) as e:
        raise DataError(f"{beside}: no costs of stages ({e})") from e


def curve(
    name: str,
    pools: Sequence[Pool],
    settings: ScoreSettings,
    costs: Costs,
    repeats: Sequence[Sequence[Pool]] = (),
    rivals: Mapping[str, Rival] = MappingProxyType({}),
) -> dict[str, Any]:
    """The scores of a file with the cost of every point, as JSON values.

    ``repeats`` are the same problems under other seeds; ``rivals`` others that answer them once. A cost is None where
    it is not known: tokens were not counted, a model's size or the time it took is not told.
    """
    scores = rescore(pools, settings, repeats, rivals)
    listen = find_verifiers(pools, settings.listen)
    every = [p for run in (pools, *repeats) for p in run]
    parts = _parts(every)
    for which, facts in scores["methods"].items():
        used = _used(which, listen)
        for n, cell in facts["budgets"].items():
            cell["cost"] = _cost(1 if which == "first" else int(n), used, parts, costs)
    for name_of, rival in rivals.items():
        scores["rivals"][name_of] |= _rival_costs(rival, costs.n_parameters)
    size = costs.n_parameters.get(GENERATOR)
    return {
        "name": name,
        "generator": pools[0].generator,
        "n_parameters": size,
        **scores,
        "stages": {stage: _stage(stage, part, costs) for stage, part in parts.items()},
    }


def _rival_costs(rival: Rival, sizes: Mapping[str, float]) -> dict[str, Any]:
    """What an answer of a rival costs; that of a search includes what its reward model read."""
    parts = {GENERATOR: _parts(rival.answers)[GENERATOR]}
    known = {} if rival.n_parameters is None else {GENERATOR: float(rival.n_parameters)}
    if rival.reward is not None:
        read = [int(dict(t.notes).get(SCORED_TOKENS, 0)) for p in rival.answers for t in p.traces]
        parts[rival.reward] = _Part(sum(read) / max(1, len(read)), 0.0)
        known |= {k: v for k, v in sizes.items() if k == rival.reward}
    costs = Costs(known)
    return {**_stage(GENERATOR, parts[GENERATOR], costs), "cost": _cost(1, list(parts), parts, costs)}


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
    usages = [t.usage for p in pools for t in p.traces]
    heard = [said for p in pools for said in p.judgements]
    out = {GENERATOR: _part([(u.n_prompt_tokens, u.n_new_tokens) for u in usages])}
    for verifier in {j.judge: None for said in heard for j in said}:
        own = [j for said in heard if (j := by(said, verifier)) is not None]
        free = all(j.role in ("calculations", "gold") for j in own)
        counts = [(j.n_prompt_tokens, j.n_new_tokens) for j in own]
        out[verifier] = _Part(0.0, 0.0) if free else _part(counts)
    return out


def _part(counts: Sequence[tuple[int, int]]) -> _Part:
    n_prompt, n_new = sum(a for a, _ in counts), sum(b for _, b in counts)
    return _Part(n_prompt / len(counts), n_new / len(counts)) if n_prompt or n_new else _Part(None, None)


def _used(method: str, listen: Listen) -> tuple[str, ...]:
    """The stages that a method needs."""
    m = METHODS[method]
    listened = {"tool": listen.verifier, "plain": listen.plain, None: None}[m.filter]
    names = [GENERATOR, listened, listen.reward if m.reward else None]
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


# --- verifiers against the truth --------------------------------------------------------------------------------------

Accepts = Callable[[Said], bool]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Right solutions accepted (tp) and thrown away (fn), wrong ones let through (fp) and caught (tn).

    >>> Confusion(tp=8, fn=2, fp=1, tn=9).recall
    0.8
    """

    tp: int = 0
    fn: int = 0
    fp: int = 0
    tn: int = 0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.tp + other.tp, self.fn + other.fn, self.fp + other.fp, self.tn + other.tn)

    @property
    def n(self) -> int:
        """All verdicts."""
        return self.tp + self.fn + self.fp + self.tn

    @property
    def accuracy(self) -> float | None:
        """Share of verdicts that are the truth; None without any, as everywhere here."""
        return _share(self.tp + self.tn, self.n)

    @property
    def precision(self) -> float | None:
        """Share of the accepted that are right."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """q of the theory, P(accept | right)."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def base_rate(self) -> float | None:
        """Share of the judged that are right."""
        return _share(self.tp + self.fn, self.n)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def confusion(verdicts: Iterable[tuple[bool, bool]]) -> Confusion:
    """The matrix of ``(accepted, right)`` pairs."""
    counts = Counter(verdicts)
    return Confusion(counts[True, True], counts[False, True], counts[True, False], counts[False, False])


def matrices(pools: Iterable[Pool], accepts: Accepts) -> dict[str, Confusion]:
    """A matrix for every problem, over its graded candidates; those of several seeds are counted together."""
    out: dict[str, Confusion] = defaultdict(Confusion)
    for p in pools:
        out[p.id] += confusion((accepts(said), t.correct) for t, said in p.judged if t.correct is not None)
    return out


def total(matrices: Iterable[Confusion]) -> Confusion:
    """All of them as one."""
    return sum(matrices, Confusion())


@dataclass(frozen=True, slots=True)
class Test:
    """What a solution has to pass: one verifier, or several that all have to accept it."""

    verifiers: tuple[str, ...]
    role: str = ""

    def accepts(self, policy: SelectionPolicy, said: Said) -> bool:
        """Whether a candidate passes that this was said of."""
        return all(accepted(by(said, j), policy) for j in self.verifiers)


def matrix_facts(by_problem: Mapping[str, Confusion], n_resamples: int = 2_000, seed: int = 0) -> dict[str, Any]:
    """The matrix and its measures as JSON values, p and q with intervals over problems: candidates of one problem are
    right, and judged, together."""
    m = total(by_problem.values())
    wrong = {i: (k.tn, k.tn + k.fp) for i, k in by_problem.items()}
    right = {i: (k.tp, k.tp + k.fn) for i, k in by_problem.items()}
    return {
        "tp": m.tp,
        "fn": m.fn,
        "fp": m.fp,
        "tn": m.tn,
        "n": m.n,
        "accuracy": m.accuracy,
        "precision": m.precision,
        "recall": m.recall,
        "f1": m.f1,
        "base_rate": m.base_rate,
        "p_reject_wrong": _interval(wrong, n_resamples, seed),
        "q_accept_right": _interval(right, n_resamples, seed),
    }


def _interval(shares: Mapping[str, tuple[int, int]], n_resamples: int, seed: int) -> dict[str, float] | None:
    """Part of whole, each summed over problems, bootstrapped over those that have any; None where nothing has.

    Where each has one candidate these are trials by themselves, and the interval is Wilson's.
    """
    some = {i: share for i, share in shares.items() if share[1]}
    if not some:
        return None
    if all(whole == 1 for _, whole in some.values()):
        alone = wilson(sum(part for part, _ in some.values()), len(some))
        return {"estimate": alone.estimate, "low": alone.low, "high": alone.high}
    parts, wholes = ({"": {i: float(share[k]) for i, share in some.items()}} for k in (0, 1))
    bounds = (0.0, max(wholes[""].values()))
    found = paired_ratio(parts, wholes, weighting="problem", bounds=bounds, n_resamples=n_resamples, seed=seed)
    assert found is not None  # every whole is above zero
    return {"estimate": found.estimate, "low": found.low, "high": min(1.0, found.high)}


def verifier_facts(
    pools: Sequence[Pool], tests: Mapping[str, Test], policy: SelectionPolicy, n_resamples: int = 2_000, seed: int = 0
) -> dict[str, Any]:
    """Every test against the truth: matrix, matrix by family, how many samples ended in which kind of verdict."""
    family = {p.id: p.problem.family for p in pools}
    out: dict[str, Any] = {}
    for name, test in tests.items():
        by_problem = matrices(pools, partial(test.accepts, policy))
        families = {
            f: matrix_facts({i: m for i, m in by_problem.items() if family[i] == f}, n_resamples, seed)
            for f in sorted(set(family.values()))
        }
        told = matrix_facts(by_problem, n_resamples, seed)
        out[name] = {"role": test.role, "kinds": kinds(pools, test), **told, "families": families}
    return out


def tests(pools: Sequence[Pool], listen: Listen, policy: SelectionPolicy) -> dict[str, Test]:
    """Every verifier, by its name, and last the verifier and the reward together: f and r, which T1 multiplies.

    A reward model accepts from a half on. One without verdicts is left out where a half does not part its rewards: it
    ranks, and says nothing of right and wrong.
    """
    there = verifiers_of(pools)
    found = {n: Test((n,), j.role) for n, j in there.items() if j.verdicts or _separates(pools, n, policy)}
    pair = tuple(dict.fromkeys(n for n in (listen.verifier, listen.reward) if n in found))
    if len(pair) == 2:
        found[" × ".join(pair)] = Test(pair, " × ".join(there[n].role for n in pair))
    return found


def _separates(pools: Sequence[Pool], verifier: str, policy: SelectionPolicy) -> bool:
    rewards = [reward_value(by(said, verifier), policy) for p in pools for said in p.judgements]
    known = [r for r in rewards if r is not None]
    return bool(known) and 0 <= min(known) < 0.5 <= max(known) <= 1


def kinds(pools: Sequence[Pool], test: Test) -> dict[str, int] | None:
    """How many samples of a verifier ended in which kind of verdict, and how many candidates it said nothing of; None
    where it gives no verdicts, and for several verifiers."""
    said = [by(s, test.verifiers[0]) for p in pools for s in p.judgements]
    ended = Counter(v for j in said if j is not None for v in j.verdicts)
    if len(test.verifiers) > 1 or not ended:
        return None
    missing = sum(j is None or not j.verdicts for j in said)
    return {**{v.value: ended[v] for v in Verdict}, "candidates_without": missing}


@dataclass(frozen=True, slots=True)
class Chances:
    """``right``: the chance that the chosen is right. ``all_rejected``: that nobody was accepted. ``thrown_away``: the
    share of right candidates that were rejected."""

    right: float
    all_rejected: float
    thrown_away: float


def chance_right(p: float, q: float, n: int, prior: float = 0.5) -> Chances:
    """The formula. Raises ValueError for what is no probability, or ``n`` below 1.

    >>> round(chance_right(p=0.9, q=0.8, n=1).right, 6), round(chance_right(p=0.9, q=0.8, n=64).right, 4)
    (0.5, 0.8889)
    """
    if not (0 <= p <= 1 and 0 <= q <= 1 and 0 <= prior <= 1) or n < 1:
        raise ValueError(f"p, q and the prior are probabilities and n is at least 1, not {p}, {q}, {prior}, {n}")
    accepted_right, accepted_wrong = prior * q, (1 - prior) * (1 - p)
    rejected_right, rejected_wrong = prior * (1 - q), (1 - prior) * p
    a = (rejected_right + rejected_wrong) ** n
    right = (1 - a) * _ratio(accepted_right, accepted_wrong) + a * _ratio(rejected_right, rejected_wrong)
    return Chances(right, a, 1 - q)


def _ratio(x: float, y: float) -> float:
    return x / (x + y) if x + y > 0 else 0.0  # a case that never happens weighs nothing
