"""Why a tool helps: the chance that a verified choice is right, as a formula and as a simulation (T1, section 3).

Of N candidates each is right with the prior s. A verifier rejects a wrong one with p and accepts a right one with q.
One of the accepted is chosen at random, or one of all where none is accepted. With a = P(all are rejected):

    a      = (s (1 - q) + (1 - s) p)^N                               ((1 + p - q) / 2)^N  at s = 1/2
    pi_N   = (1 - a) s q / (s q + (1 - s)(1 - p)) + a s (1 - q) / (s (1 - q) + (1 - s) p)

It increases in p for N >= 2. What it does not show is the price of a lower q: right solutions thrown away, and whole
pools with nobody left. Both are given beside it.

The toy task (appendix A) asks whether a sum of N three-digit numbers is right. For every N there are as many right
equations as wrong ones, whose result is off by less than 5 %. A verifier with code copies the sum, one without has to
do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from agentdistill.types import Problem
from agentdistill.verify.types import Candidate, Pool

TERMS = tuple(range(3, 11))
PER_SORT = 500


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
    p: float, q: float, n: int, prior: float = 0.5, n_trials: int = 400_000, seed: int = 0, n_at_once: int = 2_000_000
) -> Outcome:
    """The same by drawing candidates and verdicts, ``n_at_once`` candidates held: nothing of the formula is in it."""
    _check(p, q, n, prior)
    rng = np.random.default_rng(seed)
    n_right = n_empty = n_lost = n_good = 0
    batch = max(1, n_at_once // n)
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


def equations(n_terms: int, n: int, seed: int = 0) -> list[tuple[str, int, int]]:
    """``n`` right and ``n`` wrong ones: the left side, the result that is written and the true one. Raises ValueError.

    Terms are added or taken away at random and the result is above 100, so that 5 % of it is room for a mistake.
    """
    if n_terms < 2 or n < 1:
        raise ValueError(f"a sum has at least two terms and there is at least one, not {n_terms} and {n}")
    rng = Random(f"toy-{n_terms}-{seed}")
    out: list[tuple[str, int, int]] = []
    seen: set[str] = set()
    while len(out) < 2 * n:
        signs = [1, *(rng.choice((1, -1)) for _ in range(n_terms - 1))]
        terms = [rng.randint(100, 999) for _ in range(n_terms)]
        result = sum(s * t for s, t in zip(signs, terms, strict=True))
        text = "".join(f" {'+' if s > 0 else '-'} {t}" for s, t in zip(signs, terms, strict=True)).removeprefix(" + ")
        if result <= 100 or text in seen:
            continue
        seen.add(text)
        most = max(1, (result - 1) // 20)  # below 5 %
        off = rng.choice((1, -1)) * rng.randint(1, most) if len(out) % 2 else 0
        out.append((text, result + off, result))
    return out


def toy_pools(terms: Sequence[int] = TERMS, n: int = PER_SORT, seed: int = 0) -> list[Pool]:
    """The task as pools of one candidate each, to be judged like any other; families are the numbers of terms."""
    out = []
    for n_terms in terms:
        for i, (left, written, result) in enumerate(equations(n_terms, n, seed)):
            name = f"toy-{n_terms:02}-{i:04}"
            problem = Problem(name, f"What is {left}?", str(result), "math", f"{n_terms:02} terms")
            candidate = Candidate(f"{left} = {written}", str(written), written == result)
            out.append(Pool(problem, (candidate,), "toy"))
    return out
