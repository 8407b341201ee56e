"""What a method would reach with n candidates, when N were sampled: the mean over random subsets, without bias.

A run with n candidates is n of the N in random order (the order decides ties), so accuracy at n is the mean over
ordered subsets: over all of them where there are few, else over random ones that are the same for every method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from agentdistill.stats import pass_at_k
from agentdistill.store import seed_of
from agentdistill.verify.evidence import Ballots, Policy
from agentdistill.verify.select import Ints, choose, method

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


def expected(name: str, b: Ballots, n: int, policy: Policy, seed: int = 0, n_orders: int = N_ORDERS) -> Expected:
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
    name: str, pools: Mapping[str, Ballots], n: int, policy: Policy, seed: int = 0, n_orders: int = N_ORDERS
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
