"""Intervals for accuracies, for paired differences and ratios, and over seeds; pass@k and maj@k.

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
from statistics import NormalDist, stdev
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
    weights = _weights({f: len(v) for f, v in families.items()}, weighting)
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


def _weights(sizes: Mapping[str, int], weighting: Weighting) -> dict[str, float]:
    """What share of the average each family has, from its number of problems."""
    n = sum(sizes.values())
    return {f: 1 / len(sizes) if weighting == "family" else size / n for f, size in sizes.items()}


def _resampled_means(values: NDArray[np.float64], n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Means of resamples of n - 1 problems, ``[resamples]``, or ``[resamples, k]`` of ``[n, k]`` values.

    One multinomial draw each over the distinct values, so that the cost ignores n.
    """
    distinct, counts = np.unique(values, axis=0, return_counts=True)
    if len(distinct) == 1:
        return np.repeat(distinct.astype(float), n_resamples, axis=0)
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


Values = Mapping[str, Mapping[str, float]]
"""Family -> problem id -> value."""


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


def paired_difference(
    a: Values,
    b: Values,
    *,
    weighting: Weighting = "family",
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Paired:
    """``a - b`` over the problems that both have, with the interval of :func:`mean_interval` on the differences.

    Pairing removes what is hard about a problem from the noise. Raises ValueError when they share no problem.
    """
    common = _common(a, b)
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


def _common(a: Values, b: Values) -> dict[str, list[str]]:
    """The problems that both have, by family."""
    shared = {f: [p for p in a[f] if p in b[f]] for f in a if f in b}
    shared = {f: problems for f, problems in shared.items() if problems}
    if not shared:
        raise ValueError("the two methods share no scored problem")
    return shared


def _mean(strata: Strata, weighting: Weighting) -> float:
    if weighting == "problem":
        values = [v for vs in strata.values() for v in vs]
        return math.fsum(values) / len(values)
    return math.fsum(math.fsum(vs) / len(vs) for vs in strata.values()) / len(strata)


def paired_ratio(
    a: Values,
    b: Values,
    *,
    weighting: Weighting = "family",
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The mean of ``a`` over the mean of ``b``, on the problems that both have; None where ``b`` is zero there.

    A percentile bootstrap that draws the same problems for both, family by family. The upper limit is infinite where
    a ``b`` of zero cannot be excluded. A family in which ``a`` is the same multiple of ``b`` on all problems adds
    Wilson's bound on what it has not shown, as in :func:`mean_interval`. Values lie within ``bounds``.

    Raises ValueError when the two share no problem.
    """
    common = _common(a, b)
    pairs = {f: np.array([[a[f][p], b[f][p]] for p in sorted(problems)]) for f, problems in sorted(common.items())}
    weights = _weights({f: len(v) for f, v in pairs.items()}, weighting)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((n_resamples, 2))
    for f, values in pairs.items():
        drawn += weights[f] * _resampled_means(values, n_resamples, rng)
    top, bottom = sum(weights[f] * v.mean(axis=0) for f, v in pairs.items())
    if bottom == 0:
        return None
    ratio = float(top / bottom)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(drawn[:, 1] > 0, drawn[:, 0] / drawn[:, 1], np.inf)
    tail = (1 - confidence) / 2 * 100
    # Without interpolation: between two infinite values there is none.
    low, high = (float(x) for x in np.percentile(ratios, [tail, 100 - tail], method="inverted_cdf"))
    residuals = {f: np.sort(v[:, 0] - ratio * v[:, 1]) for f, v in pairs.items()}
    reach = (bounds[0] - ratio * bounds[1], bounds[1] - ratio * bounds[0])
    down, up = _unseen(residuals, weights, reach, confidence)
    low = ratio - math.hypot(max(0.0, ratio - low), down / bottom)
    high = ratio + math.hypot(max(0.0, high - ratio), up / bottom)
    return Interval(ratio, max(0.0, low), high, sum(len(v) for v in pairs.values()))


def over_seeds(
    mean: Interval,
    estimates: Sequence[float],
    *,
    bounds: tuple[float, float] | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of a mean over seeds: another seed might have given another student, other problems other answers.

    ``mean`` is the interval over problems of the values averaged over seeds; ``estimates`` are the seeds' own. Their
    scatter, t(S - 1) sd / sqrt(S), joins the limits as a sum of squares. Noise within problems is in both, so the
    result is a little wide; with two seeds t is 12.7, and it is very wide. A single seed says nothing about others: the
    interval stays as it is. Raises ValueError without any.
    """
    if not estimates:
        raise ValueError("no seed to average over")
    if len(estimates) == 1:
        return mean
    spread = student_t(len(estimates) - 1, confidence) * stdev(estimates) / math.sqrt(len(estimates))
    low = mean.estimate - math.hypot(mean.estimate - mean.low, spread)
    high = mean.estimate + math.hypot(mean.high - mean.estimate, spread)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Interval(mean.estimate, low, high, mean.n)


def student_t(dof: int, confidence: float = CONFIDENCE) -> float:
    """The two-sided quantile of Student's t with ``dof`` degrees of freedom.

    >>> [round(student_t(n), 3) for n in (1, 2, 9)]
    [12.706, 4.303, 2.262]
    """
    low, high = 0.0, 1.0
    while _within(high, dof) < confidence:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, dof) < confidence else (low, middle)
    return high


def _within(t: float, dof: int) -> float:
    """The chance of a value within ``t`` of zero: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(dof))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = dof % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(2 + odd, dof + 1, 2):
        total += term
        term *= square * (k - 1) / k
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


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


def percent(share: float | None) -> str:
    """A share in per cent; a dash for none.

    >>> percent(0.4231)
    '42.3'
    """
    return "–" if share is None else f"{share * 100:.1f}"


def points(share: float) -> str:
    """A signed difference in percentage points, with a true minus sign.

    >>> points(-0.0312)
    '−3.1'
    """
    return f"{share * 100:+.1f}".replace("-", "−")
