"""Many samples of a problem as one number: the chance that one of k is right, or that a vote of k is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations

import numpy as np


def pass_at_k(n: int, n_correct: int, k: int) -> float:
    """The chance that at least one of ``k`` samples is right, from ``n`` samples of which ``n_correct`` were.

    Unbiased: 1 - C(n - c, k) / C(n, k). Raises ValueError unless ``1 <= k <= n`` and ``0 <= n_correct <= n``.
    """
    if not 1 <= k <= n or not 0 <= n_correct <= n:
        raise ValueError(f"pass@{k} needs 1 <= k <= n and 0 <= correct <= n, not n={n}, correct={n_correct}")
    return 1.0 - math.comb(n - n_correct, k) / math.comb(n, k)


def maj_at_k(
    answers: Sequence[Hashable | None], correct: Sequence[bool], k: int, *, n_subsets: int = 2_000, seed: int = 0
) -> float:
    """The chance that a vote among ``k`` of the samples is right, over all subsets of ``k``.

    ``answers`` hold what is voted for, equal where two samples agree; None abstains. A tie is broken at random, so it
    counts by the share of tied answers that are right. Where there are more than ``n_subsets`` subsets, that many are
    drawn instead. Raises ValueError unless ``1 <= k <= len(answers) == len(correct)``.
    """
    n = len(answers)
    if not 1 <= k <= n or len(correct) != n:
        raise ValueError(f"maj@{k} needs 1 <= k <= n and one verdict an answer, not {n} and {len(correct)}")
    subsets: Iterable[Sequence[int]]
    if math.comb(n, k) <= n_subsets:
        subsets = list(combinations(range(n), k))
    else:
        rng = np.random.default_rng(seed)
        subsets = [[int(i) for i in rng.choice(n, k, replace=False)] for _ in range(n_subsets)]
    votes = [_vote([answers[i] for i in s], [correct[i] for i in s]) for s in subsets]
    return math.fsum(votes) / len(votes)


def _vote(answers: Sequence[Hashable | None], correct: Sequence[bool]) -> float:
    """The share of the most frequent answers that are right."""
    groups: dict[Hashable, list[bool]] = defaultdict(list)
    for answer, right in zip(answers, correct, strict=True):
        if answer is not None:
            groups[answer].append(right)
    if not groups:
        return 0.0
    most = max(len(g) for g in groups.values())
    winners = [g for g in groups.values() if len(g) == most]
    return sum(any(g) for g in winners) / len(winners)
