"""Two methods on the same problems: their difference, and their ratio, with intervals that are paired by problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agentdistill.stats._intervals import (
    CONFIDENCE,
    N_RESAMPLES,
    Interval,
    Strata,
    Weighting,
    mean_interval,
    resampled_means,
    unseen,
    weights_of,
)

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
    weights = weights_of({f: len(v) for f, v in pairs.items()}, weighting)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((n_resamples, 2))
    for f, values in pairs.items():
        drawn += weights[f] * resampled_means(values, n_resamples, rng)
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
    down, up = unseen(residuals, weights, reach, confidence)
    low = ratio - math.hypot(max(0.0, ratio - low), down / bottom)
    high = ratio + math.hypot(max(0.0, high - ratio), up / bottom)
    return Interval(ratio, max(0.0, low), high, sum(len(v) for v in pairs.values()))
