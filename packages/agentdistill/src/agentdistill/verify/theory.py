"""Why a tool helps: the chance that a verified choice is right, as a formula and as a simulation (T1, section 3).

Of N candidates each is right with the prior s. A verifier rejects a wrong one with p and accepts a right one with q.
One of the accepted is chosen at random, or one of all where none is accepted. With a = P(all are rejected):

    a      = (s (1 - q) + (1 - s) p)^N                               ((1 + p - q) / 2)^N  at s = 1/2
    pi_N   = (1 - a) s q / (s q + (1 - s)(1 - p)) + a s (1 - q) / (s (1 - q) + (1 - s) p)

It increases in p for N >= 2. What it does not show is the price of a lower q: right solutions thrown away, and whole
pools with nobody left. Both are given beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Outcome:
    """``right``: the chance that the chosen is right. ``all_rejected``: that nobody was accepted. ``thrown_away``: the
    share of right candidates that were rejected."""

    right: float
    all_rejected: float
    thrown_away: float


def chance_right(p: float, q: float, n: int, prior: float = 0.5) -> Outcome:
    """The formula. Raises ValueError for what is no probability, or ``n`` below 1.

    >>> round(chance_right(p=0.9, q=0.8, n=1).right, 6), round(chance_right(p=0.9, q=0.8, n=64).right, 4)
    (0.5, 0.8889)
    """
    _check(p, q, n, prior)
    accepted_right, accepted_wrong = prior * q, (1 - prior) * (1 - p)
    rejected_right, rejected_wrong = prior * (1 - q), (1 - prior) * p
    a = (rejected_right + rejected_wrong) ** n
    right = (1 - a) * _ratio(accepted_right, accepted_wrong) + a * _ratio(rejected_right, rejected_wrong)
    return Outcome(right, a, 1 - q)


def _ratio(x: float, y: float) -> float:
    return x / (x + y) if x + y > 0 else 0.0  # a case that never happens weighs nothing


def _check(p: float, q: float, n: int, prior: float) -> None:
    if not (0 <= p <= 1 and 0 <= q <= 1 and 0 <= prior <= 1) or n < 1:
        raise ValueError(f"p, q and the prior are probabilities and n is at least 1, not {p}, {q}, {prior}, {n}")


def simulate(
    p: float, q: float, n: int, prior: float = 0.5, n_trials: int = 400_000, seed: int = 0, batch: int = 50_000
) -> Outcome:
    """The same by drawing candidates and verdicts: nothing of the formula is in it."""
    _check(p, q, n, prior)
    rng = np.random.default_rng(seed)
    n_right = n_empty = n_lost = n_good = 0
    for start in range(0, n_trials, batch):
        size = min(batch, n_trials - start)
        good = rng.random((size, n)) < prior
        accepted = rng.random((size, n)) < np.where(good, q, 1 - p)
        empty = np.logical_not(np.asarray(accepted.any(axis=1)))
        may = accepted | empty[:, None]
        ranked = np.where(may, rng.random((size, n)), -1.0)
        chosen = ranked.argmax(axis=1)
        n_right += int(good[np.arange(size), chosen].sum())
        n_empty += int(empty.sum())
        n_lost += int((good & ~accepted).sum())
        n_good += int(good.sum())
    return Outcome(n_right / n_trials, n_empty / n_trials, n_lost / n_good if n_good else 0.0)


def table(
    verifiers: Iterable[tuple[str, float, float]], budgets: Sequence[int], prior: float = 0.5, n_trials: int = 100_000
) -> list[dict[str, Any]]:
    """Formula and simulation side by side, for named ``(p, q)`` and every budget."""
    out = []
    for name, p, q in verifiers:
        for n in budgets:
            told, drawn = chance_right(p, q, n, prior), simulate(p, q, n, prior, n_trials, seed=n)
            row: dict[str, Any] = {"verifier": name, "p": p, "q": q, "prior": prior, "n": n}
            row |= {"formula": told.right, "simulated": drawn.right, "all_rejected": told.all_rejected}
            out.append(row | {"thrown_away": told.thrown_away, "standard_error": (0.25 / n_trials) ** 0.5})
    return out
