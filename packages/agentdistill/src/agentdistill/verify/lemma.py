"""The lemma at the p and q that verifiers were measured to have, beside what these very candidates give by its rule.

One of the accepted among n is taken at random, or one of all where none is accepted. Of N stored candidates of which A
right and B wrong ones are accepted, C right and D wrong ones rejected, n are drawn at random, so that

    a  = C(C + D, n) / C(N, n)                                       nobody is accepted
    pi = (1 - a) A / (A + B) + a C / (C + D)

is exact. What another q would give is seen by throwing accepted right ones away at random, or by taking rejected ones
back: the mean over how many that may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from agentdistill.verify.confusion import Confusion, Test, counts
from agentdistill.verify.evidence import Policy
from agentdistill.verify.theory import chance_right, table
from agentdistill.verify.types import Pool

QS = tuple(i / 10 for i in range(1, 11))
CLOSE = 0.03
"""Nearer to the measured q another one shows nothing more."""


def lemma(
    runs: Sequence[Sequence[Pool]],
    verifiers: Mapping[str, Any],
    tests: Mapping[str, Test],
    policy: Policy,
    budgets: Sequence[int],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Formula and candidates for every verifier that has a p and a q: by budget, with a simulation, and by q."""
    by_budget: list[dict[str, Any]] = []
    by_q: list[dict[str, Any]] = []
    for name, v in verifiers.items():
        if v["p_reject_wrong"] is None or v["q_accept_right"] is None:
            continue
        p, q, prior = v["p_reject_wrong"]["estimate"], v["q_accept_right"]["estimate"], v["base_rate"]
        found = [m for run in runs for m in counts(run, partial(tests[name].accepts, policy)).values()]
        rows = table([(name, p, q)], budgets, prior=prior, n_trials=20_000)
        by_budget += [row | {"measured": mean(found, row["n"], chosen_right)} for row in rows]
        for n in dict.fromkeys((budgets[len(budgets) // 2], budgets[-1])):
            for new in sorted({q, *(other for other in QS if abs(other - q) > CLOSE)}):
                row = {"verifier": name, "p": p, "n": n, "q": new, "is_measured": new == q}
                row["formula"] = chance_right(p, new, n, prior).right
                by_q.append(row | {"measured": mean(found, n, partial(at_another_q, q=q, new=new))})
    return by_budget, by_q


def mean(pools: Sequence[Confusion], n: int, of: Callable[[Confusion, int], float]) -> float | None:
    """The mean over those pools that have ``n`` candidates; None where none has."""
    found = [of(m, n) for m in pools if m.n >= n]
    return math.fsum(found) / len(found) if found else None


@lru_cache(maxsize=65_536)
def chosen_right(m: Confusion, n: int) -> float:
    """The chance that the chosen one of ``n`` candidates is right.

    >>> chosen_right(Confusion(tp=1, fn=0, fp=0, tn=3), 2)
    0.5
    """
    n_accepted, n_rejected = m.tp + m.fp, m.fn + m.tn
    nobody = math.comb(n_rejected, n) / math.comb(m.n, n)
    some = m.tp / n_accepted if n_accepted else 0.0
    return (1 - nobody) * some + (nobody * m.fn / n_rejected if n_rejected else 0.0)


@lru_cache(maxsize=65_536)
def at_another_q(m: Confusion, n: int, q: float, new: float) -> float:
    """The same, had the verifier accepted right ones with ``new`` and not with ``q``."""
    if new == q or m.tp + m.fn == 0:
        return chosen_right(m, n)
    movable, share, sign = (m.tp, 1 - new / q, -1) if new < q else (m.fn, (new - q) / (1 - q), 1)
    moved = (Confusion(m.tp + sign * k, m.fn - sign * k, m.fp, m.tn) for k in range(movable + 1))
    return math.fsum(_binomial(movable, k, share) * chosen_right(one, n) for k, one in enumerate(moved))


def _binomial(n: int, k: int, share: float) -> float:
    """The chance of ``k`` of ``n``; by logarithms, since the number of ways outgrows a float."""
    if share in (0.0, 1.0):
        return float(k == n * share)
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))
