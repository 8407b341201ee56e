"""Why a tool helps: the chance that a verified choice is right (T1, arXiv 2504.04718, section 3).

Of N candidates each is right with the prior s. A verifier rejects a wrong one with p and accepts a right one with q.
One of the accepted is chosen at random, or one of all where none is accepted. With a = P(all are rejected):

    a      = (s (1 - q) + (1 - s) p)^N                               ((1 + p - q) / 2)^N  at s = 1/2
    pi_N   = (1 - a) s q / (s q + (1 - s)(1 - p)) + a s (1 - q) / (s (1 - q) + (1 - s) p)

It increases in p for N >= 2. It takes the candidates of a problem as independent, and does not show the price of a
lower q: right solutions thrown away, and whole pools with nobody left. Both are given beside it.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    if not (0 <= p <= 1 and 0 <= q <= 1 and 0 <= prior <= 1) or n < 1:
        raise ValueError(f"p, q and the prior are probabilities and n is at least 1, not {p}, {q}, {prior}, {n}")
    accepted_right, accepted_wrong = prior * q, (1 - prior) * (1 - p)
    rejected_right, rejected_wrong = prior * (1 - q), (1 - prior) * p
    a = (rejected_right + rejected_wrong) ** n
    right = (1 - a) * _ratio(accepted_right, accepted_wrong) + a * _ratio(rejected_right, rejected_wrong)
    return Outcome(right, a, 1 - q)


def _ratio(x: float, y: float) -> float:
    return x / (x + y) if x + y > 0 else 0.0  # a case that never happens weighs nothing
