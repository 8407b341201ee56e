"""Intervals for accuracies: Wilson's, and the stratified bootstrap over problems.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    weights = weights_of({f: len(v) for f, v in families.items()}, weighting)
    estimate = sum(weights[f] * float(v.mean()) for f, v in families.items())
    rng = np.random.default_rng(seed)
    resampled: NDArray[np.float64] = np.zeros(n_resamples)
    for f, values in families.items():
        resampled += weights[f] * resampled_means(values, n_resamples, rng)
    tail = (1 - confidence) / 2 * 100
    low, high = (float(x) for x in np.percentile(resampled, [tail, 100 - tail]))
    down, up = unseen(families, weights, bounds, confidence)
    low = estimate - math.hypot(max(0.0, estimate - low), down)
    high = estimate + math.hypot(max(0.0, high - estimate), up)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Interval(estimate, low, high, n)


def weights_of(sizes: Mapping[str, int], weighting: Weighting) -> dict[str, float]:
    """What share of the average each family has, from its number of problems."""
    n = sum(sizes.values())
    return {f: 1 / len(sizes) if weighting == "family" else size / n for f, size in sizes.items()}


def resampled_means(values: NDArray[np.float64], n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Means of resamples of n - 1 problems, ``[resamples]``, or ``[resamples, k]`` of ``[n, k]`` values.

    One multinomial draw each over the distinct values, so that the cost ignores n.
    """
    distinct, counts = np.unique(values, axis=0, return_counts=True)
    if len(distinct) == 1:
        return np.repeat(distinct.astype(float), n_resamples, axis=0)
    size = len(values) - 1
    draws = rng.multinomial(size, counts / len(values), size=n_resamples)
    return np.asarray(draws @ distinct / size, dtype=float)


def unseen(
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
