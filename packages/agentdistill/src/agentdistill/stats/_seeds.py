"""One result out of several runs that differ in their seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import stdev

from agentdistill.stats._intervals import CONFIDENCE, Interval


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
