"""Sampling that stops: candidates are sampled in small batches until no further one changes the answer.

Without a bound the answer is that of the full run: sampling stops when no other answer could catch up even if every
remaining candidate voted for it with the greatest possible weight. With a bound it stops when the answer changes with a
probability of at most ``bound``, under this model: the remaining candidates are drawn from a Pólya urn that holds those
seen and one more ball, an answer not given so far, with the greatest weight. :func:`savings` reports on stored
candidates what stopping would have spared, and how often it would have changed the answer.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from agentdistill.errors import UserError
from agentdistill.report.stats import paired_difference
from agentdistill.store import seed_of
from agentdistill.verify.pools import Pool
from agentdistill.verify.select import (
    TOLERANCE,
    Ballots,
    Ints,
    Listen,
    SelectionMethod,
    SelectionPolicy,
    ballots,
    choose,
    greatest,
    leading_group,
    method,
    standing,
)

DRAWS = 1000
"""Urns that a probability is estimated from."""
N_ORDERS = 8
"""Orders of stored candidates in which savings are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSettings:
    """``batch``: candidates between two looks. ``bound``: the greatest probability that the answer of the full run is
    another; 0 for none. Raises UserError for what makes no sense."""

    batch: int = 4
    bound: float = 0.0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UserError("stop.batch has to be at least 1")
        if not 0 <= self.bound < 1:
            raise UserError("stop.bound is a probability: at least 0 and below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTable:
    """What a recipe asks of stopping: what it would spare of its candidates, under every one of ``bounds``."""

    batch: int = 4
    bounds: tuple[float, ...] = (0.0, 0.05)

    @property
    def looks(self) -> tuple[StopSettings, ...]:
        """The settings of every bound. Raises UserError for what makes no sense."""
        return tuple(StopSettings(batch=self.batch, bound=bound) for bound in self.bounds)


def stops(
    settings: StopSettings,
    m: SelectionMethod,
    b: Ballots,
    policy: SelectionPolicy,
    n: int,
    seed: int,
    most: float = 1.0,
) -> bool:
    """Whether the ``len(b)`` candidates seen are enough, of ``n`` that there may be; ``most`` as in
    :func:`is_settled`."""
    if len(b) >= n or is_settled(m, b, policy, n, most):
        return True
    return settings.bound > 0 and len(b) > 0 and chance_of_change(m, b, policy, n, seed, most=most) <= settings.bound


def ceiling(m: SelectionMethod, rewards: Iterable[float | None]) -> float:
    """The greatest weight that a candidate can have: 1, or without end where one of these rewards is no share."""
    return math.inf if m.reward and any(r is not None and r > 1 for r in rewards) else 1.0


def is_settled(m: SelectionMethod, b: Ballots, policy: SelectionPolicy, n: int, most: float = 1.0) -> bool:
    """Whether the answer is the same whatever the ``n - len(b)`` candidates are that are left.

    ``most`` is the greatest weight that one of them can have; a reward above 1 among those seen removes that limit.

    >>> votes = Ballots((0, 0, 0, 1), (None,) * 4, (None,) * 4, (None,) * 4, (None,) * 4)
    >>> [is_settled(method("majority"), votes, SelectionPolicy(), n) for n in (5, 6, 7)]
    [True, True, False]
    """
    left = n - len(b)
    if left <= 0 or (m.name == "first" and len(b)):
        return True
    eligible, weights = standing(m, b, policy)
    if not eligible.any():
        return False  # who comes may be the first to pass
    most = max(most, ceiling(m, b.rewards))
    if not m.vote:
        return bool(weights[eligible].max() >= most)  # of equals the first seen wins
    sums: dict[int, float] = {}
    for group, may, w in zip(b.groups, eligible, weights, strict=True):
        if may and group is not None:
            sums[group] = sums.get(group, 0.0) + float(w)  # in the order in which they were seen
    order = list(sums)
    lead = max(sums.values())
    leader = next(g for g in order if sums[g] >= lead - TOLERANCE * abs(lead))
    room = lead - left * most
    before = order.index(leader)
    ahead = all(sums[g] < room - TOLERANCE * abs(lead) for g in order[:before])
    return ahead and all(s <= room for s in [0.0, *(sums[g] for g in order[before + 1 :])])


@lru_cache(maxsize=256)  # looks with other bounds ask the same
def chance_of_change(
    m: SelectionMethod,
    b: Ballots,
    policy: SelectionPolicy,
    n: int,
    seed: int,
    n_draws: int = DRAWS,
    *,
    most: float = 1.0,
) -> float:
    """The share of urns in which the answer after ``n`` candidates is another than now. 1 where nobody can be chosen
    yet."""
    eligible, weights = standing(m, b, policy)
    if not eligible.any():
        return 1.0
    rng = np.random.default_rng(seed)
    seen, left = len(b), n - len(b)
    most = max(most, ceiling(m, b.rewards))
    top = most if math.isfinite(most) or not m.vote else float(weights[eligible].max())
    groups = np.zeros((n_draws, n), dtype=np.int64)
    may = np.zeros((n_draws, n), dtype=bool)
    w = np.zeros((n_draws, n))
    groups[:, :seen] = [-1 if g is None else g for g in b.groups]
    may[:, :seen], w[:, :seen] = eligible, np.where(eligible, weights, 0.0)
    new = max((g for g in b.groups if g is not None), default=-1) + 1
    rows = np.arange(n_draws)
    for t in range(seen, seen + left):
        drawn = rng.integers(0, t + 1, size=n_draws)  # the last of them is the ball that nobody has seen
        fresh = drawn == t
        from_ = np.where(fresh, 0, drawn)
        groups[:, t] = np.where(fresh, new + t - seen, groups[rows, from_])
        may[:, t] = fresh | may[rows, from_]
        w[:, t] = np.where(fresh, top, w[rows, from_])
    winner = leading_group(groups, may, w) if m.vote else greatest(may, w)
    now = groups[0, int(choose(m, b, policy, np.arange(seen)[None])[0][0])]
    return float((groups[rows, winner] != now).mean())


# --- what stopping spares, on candidates that are there ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stop:
    used: int
    of: int
    same: bool
    correct: bool | None
    correct_full: bool | None


def savings(
    pools: Sequence[Pool],
    name: str,
    listen: Listen,
    policy: SelectionPolicy,
    looks: Sequence[StopSettings],
    cost: Mapping[str, float | None],
    *,
    n_orders: int = N_ORDERS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """What the method ``name`` would have used of the candidates of every pool, in ``n_orders`` random orders; one
    record for each of ``looks``.

    ``cost`` is what a candidate costs with all its judgements, such as ``tokens`` and ``seconds``; None where it is not
    known. ``changed`` is the share of runs whose answer is another than with all candidates in that order;
    ``difference`` is accuracy minus ``accuracy_of_all``, paired by problem, with a 95 % interval. Pools of one problem
    (under several seeds) count as more orders of it.
    """
    m = method(name)
    if m.name == "pass":
        raise UserError('"pass" chooses nothing, so it cannot stop')
    some = [p for p in pools if p.traces]
    if not some:
        raise UserError("no candidates to stop at")
    most = ceiling(m, (r for p in some for r in ballots(p, listen, policy).rewards))
    stopped = [_stops(p, m, listen, policy, looks, n_orders, seed, most) for p in some]
    return [
        {"method": name, "batch": look.batch, "bound": look.bound}
        | _summary([(p, found[i]) for p, found in zip(some, stopped, strict=True)], cost, n_orders, seed)
        for i, look in enumerate(looks)
    ]


def _summary(
    by_pool: Sequence[tuple[Pool, Sequence[_Stop]]], cost: Mapping[str, float | None], n_orders: int, seed: int
) -> dict[str, Any]:
    runs = [s for _, stopped in by_pool for s in stopped]
    used, of = sum(s.used for s in runs) / n_orders, sum(s.of for s in runs) / n_orders
    graded = [s for s in runs if s.correct is not None and s.correct_full is not None]
    spared = {k: None if c is None else round((of - used) * c, 3) for k, c in cost.items()}
    return {
        "n_problems": len(runs) // n_orders,
        "candidates": {"used": used, "of": of, "share": used / of},
        "spared": {"candidates": of - used, **spared},
        "changed": sum(not s.same for s in runs) / len(runs),
        "accuracy": sum(bool(s.correct) for s in graded) / len(graded) if graded else None,
        "accuracy_of_all": sum(bool(s.correct_full) for s in graded) / len(graded) if graded else None,
        "difference": _paired(by_pool, seed) if graded else None,
    }


def _paired(by_pool: Sequence[tuple[Pool, Sequence[_Stop]]], seed: int) -> dict[str, float]:
    """The share right after stopping minus that with all candidates, bootstrapped over problems."""
    found: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    for pool, runs in by_pool:
        some = [(s.correct, s.correct_full) for s in runs if s.correct is not None and s.correct_full is not None]
        found[pool.problem.family, pool.id] += some
    then: dict[str, dict[str, float]] = defaultdict(dict)
    full: dict[str, dict[str, float]] = defaultdict(dict)
    for (family, name), pairs in found.items():
        if pairs:
            then[family][name], full[family][name] = (sum(p[i] for p in pairs) / len(pairs) for i in (0, 1))
    d = paired_difference(then, full, weighting="problem", seed=seed).difference
    return {"estimate": d.estimate, "low": d.low, "high": d.high, "n": d.n}


def _stops(
    pool: Pool,
    m: SelectionMethod,
    listen: Listen,
    policy: SelectionPolicy,
    looks: Sequence[StopSettings],
    n_orders: int,
    seed: int,
    most: float,
) -> list[list[_Stop]]:
    """For each of ``looks``, where it stops in every order."""
    rng = np.random.default_rng(seed_of(seed, "stop", pool.id))
    n, out = len(pool.traces), [list[_Stop]() for _ in looks]
    for i in range(n_orders):
        b = ballots(reordered(pool, rng.permutation(n)), listen, policy)
        full = _answer(m, b, policy)
        for look, stopped in zip(looks, out, strict=True):
            used = next(
                k
                for k in [*range(look.batch, n, look.batch), n]
                if stops(look, m, _first(b, k), policy, n, seed_of(seed, pool.id, i, k), most)
            )
            then = _answer(m, _first(b, used), policy)
            same = (None if then is None else b.groups[then]) == (None if full is None else b.groups[full])
            stopped.append(_Stop(used, n, same, _right(b, then), _right(b, full)))
    return out


def reordered(pool: Pool, order: Ints) -> Pool:
    """The pool with its candidates in another order."""
    places = [int(i) for i in order]
    traces = tuple(pool.traces[i] for i in places)
    return replace(pool, traces=traces, judgements=tuple(pool.judgements[i] for i in places))


def _first(b: Ballots, k: int) -> Ballots:
    return Ballots(b.groups[:k], b.rewards[:k], b.passed[:k], b.plain[:k], b.correct[:k])


def _answer(m: SelectionMethod, b: Ballots, policy: SelectionPolicy) -> int | None:
    chosen = int(choose(m, b, policy, np.arange(len(b))[None])[0][0])
    return None if chosen < 0 else chosen


def _right(b: Ballots, place: int | None) -> bool | None:
    """Whether the chosen candidate is right; choosing none is wrong where anything is known of the others."""
    if place is None:
        return False if any(c is not None for c in b.correct) else None
    return b.correct[place]
