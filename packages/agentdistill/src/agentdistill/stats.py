"""Intervals for accuracies and for paired differences, and the estimators that turn many samples into one number.

The problems are the sample, so problems are what is resampled. Where an accuracy spans task families it is the mean of
the families' means (the number that papers print), and every family is resampled by itself: a stratified bootstrap.

Two choices that matter for small families:

- Each resample draws ``n - 1`` of a family's ``n`` problems. Drawing ``n`` gives a variance ``(n - 1) / n`` too small.
- A family whose values are all the same looks certain to a bootstrap. What it has not shown yet is bounded instead by
  the Wilson interval of 0 in ``n``: that share of its problems may still behave otherwise. The bound joins the
  percentile limits as a sum of squares, so a method at 0 of 100 gets an interval, not a point.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Strata = Mapping[str, Sequence[float]]
"""Family -> one value for each problem."""
Weighting = Literal["family", "problem"]
"""``family``: every family counts the same. ``problem``: every problem does."""

N_RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided limits. ``n`` is the number of problems behind it."""

    estimate: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """True when zero lies outside: the sign of the estimate is settled at this confidence."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Paired:
    """Method ``a`` minus method ``b`` on the problems that both were scored on."""

    difference: Interval
    a: float
    b: float
    n_better: int
    n_worse: int

    @property
    def ratio(self) -> float | None:
        """``a / b``; None where ``b`` is zero."""
        return self.a / self.b if self.b else None


def wilson(n_successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval for a proportion. Raises ValueError for ``n < 1`` or counts that do not fit.

    >>> i = wilson(0, 10)
    >>> i.low, round(i.high, 3)
    (0.0, 0.278)
    """
    if n < 1 or not 0 <= n_successes <= n:
        raise ValueError(f"cannot take {n_successes} of {n} as a proportion")
    low, high = _wilson(n_successes / n, n, confidence)
    # The formula gives these two exactly; floating point only nearly does.
    return Interval(n_successes / n, 0.0 if n_successes == 0 else low, 1.0 if n_successes == n else high, n)


def _wilson(p: float, n: float, confidence: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def mean_interval(
    strata: Strata,
    *,
    weighting: Weighting = "family",
    bounds: tuple[float, float] | None = (0.0, 1.0),
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The mean over families and its percentile interval from a stratified bootstrap over problems.

    ``bounds`` are the least and greatest value a problem can take (None: not known, and then a family whose values
    all agree adds nothing to the width). The same arguments give the same interval, whatever the order of families or
    problems. Raises ValueError when there is no value at all, or a value outside the bounds.
    """
    families = {f: np.sort(np.asarray(values, dtype=float)) for f, values in sorted(strata.items()) if len(values)}
    if not families:
        raise ValueError("no scored problem to average")
    if bounds is not None and any(v[0] < bounds[0] or v[-1] > bounds[1] for v in families.values()):
        raise ValueError(f"a value lies outside {bounds}")
    n = sum(len(v) for v in families.values())
    weights = {f: 1 / len(families) if weighting == "family" else len(v) / n for f, v in families.items()}
    estimate = sum(weights[f] * float(v.mean()) for f, v in families.items())
    rng = np.random.default_rng(seed)
    resampled: NDArray[np.float64] = np.zeros(n_resamples)
    for f, values in families.items():
        resampled += weights[f] * _resampled_means(values, n_resamples, rng)
    tail = (1 - confidence) / 2 * 100
    low, high = (float(x) for x in np.percentile(resampled, [tail, 100 - tail]))
    down, up = _unseen(families, weights, bounds, confidence)
    low = estimate - math.hypot(max(0.0, estimate - low), down)
    high = estimate + math.hypot(max(0.0, high - estimate), up)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Interval(estimate, low, high, n)


def _resampled_means(values: NDArray[np.float64], n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Means of resamples of n - 1 values: one multinomial draw each over the distinct values, so cost ignores n."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return np.full(n_resamples, float(distinct[0]))
    size = len(values) - 1
    draws = rng.multinomial(size, counts / len(values), size=n_resamples)
    return np.asarray(draws @ distinct / size, dtype=float)


def _unseen(
    families: Mapping[str, NDArray[np.float64]],
    weights: Mapping[str, float],
    bounds: tuple[float, float] | None,
    confidence: float,
) -> tuple[float, float]:
    """How far down and up the mean could lie because of families that showed one value only (see the module's note)."""
    if bounds is None:
        return 0.0, 0.0
    constant: dict[float, list[str]] = defaultdict(list)
    for f, values in families.items():
        if values[0] == values[-1]:
            constant[float(values[0])].append(f)
    down = up = 0.0
    for value, names in constant.items():
        weight = sum(weights[f] for f in names)
        n = weight**2 / sum(weights[f] ** 2 / len(families[f]) for f in names)  # as many as a plain mean would need
        share = weight * _wilson(0.0, n, confidence)[1]
        down = math.hypot(down, share * (value - bounds[0]))
        up = math.hypot(up, share * (bounds[1] - value))
    return down, up


def paired_difference(
    a: Mapping[str, Mapping[str, float]],
    b: Mapping[str, Mapping[str, float]],
    *,
    weighting: Weighting = "family",
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Paired:
    """``a - b`` over the problems that both have, with the interval of :func:`mean_interval` on the differences.

    ``a`` and ``b`` map family -> problem id -> value. Pairing removes what is hard about a problem from the noise.
    Raises ValueError when they share no problem.
    """
    common = {f: [p for p in a[f] if p in b[f]] for f in a if f in b}
    common = {f: problems for f, problems in common.items() if problems}
    if not common:
        raise ValueError("the two methods share no scored problem")
    strata = {f: [a[f][p] - b[f][p] for p in problems] for f, problems in common.items()}
    interval = mean_interval(
        strata, weighting=weighting, bounds=bounds, confidence=confidence, n_resamples=n_resamples, seed=seed
    )
    deltas = [d for values in strata.values() for d in values]
    return Paired(
        difference=interval,
        a=_mean({f: [a[f][p] for p in ps] for f, ps in common.items()}, weighting),
        b=_mean({f: [b[f][p] for p in ps] for f, ps in common.items()}, weighting),
        n_better=sum(d > 0 for d in deltas),
        n_worse=sum(d < 0 for d in deltas),
    )


def _mean(strata: Strata, weighting: Weighting) -> float:
    if weighting == "problem":
        values = [v for vs in strata.values() for v in vs]
        return math.fsum(values) / len(values)
    return math.fsum(math.fsum(vs) / len(vs) for vs in strata.values()) / len(strata)


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
