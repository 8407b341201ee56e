"""Intervals for accuracies and for paired differences and ratios; many samples, and several seeds, as one number."""

from __future__ import annotations

from agentdistill.stats._intervals import CONFIDENCE, N_RESAMPLES, Interval, Strata, Weighting, mean_interval, wilson
from agentdistill.stats._paired import Paired, Values, paired_difference, paired_ratio
from agentdistill.stats._samples import maj_at_k, pass_at_k
from agentdistill.stats._seeds import over_seeds

__all__ = [
    "CONFIDENCE",
    "N_RESAMPLES",
    "Interval",
    "Paired",
    "Strata",
    "Values",
    "Weighting",
    "maj_at_k",
    "mean_interval",
    "over_seeds",
    "paired_difference",
    "paired_ratio",
    "pass_at_k",
    "wilson",
]
