"""Several seeds as one result: what another seed would have given is part of the doubt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.report.stats import Interval, mean_interval, over_seeds, student_t

MEAN = Interval(0.5, 0.45, 0.55, 100)
shares = st.floats(0, 1)


def test_one_seed_says_nothing_of_others() -> None:
    assert over_seeds(MEAN, [0.5]) == MEAN


def test_seeds_that_agree_leave_the_interval_as_it_is() -> None:
    assert over_seeds(MEAN, [0.5, 0.5, 0.5]) == MEAN


@given(st.lists(shares, min_size=1, max_size=6))
def test_seeds_only_ever_widen(estimates: list[float]) -> None:
    wide = over_seeds(MEAN, estimates)
    assert wide.low <= MEAN.low
    assert MEAN.high <= wide.high
    assert (wide.estimate, wide.n) == (MEAN.estimate, MEAN.n)
    bounded = over_seeds(MEAN, estimates, bounds=(0.0, 1.0))
    assert 0 <= bounded.low <= bounded.high <= 1


def test_without_a_seed_there_is_nothing() -> None:
    with pytest.raises(ValueError, match="no seed"):
        over_seeds(MEAN, [])


@pytest.mark.parametrize(
    ("dof", "confidence", "t"),
    # From the tables of Student's distribution.
    [(1, 0.95, 12.7062), (2, 0.95, 4.3027), (3, 0.99, 5.8409), (4, 0.95, 2.7764), (7, 0.9, 1.8946), (30, 0.95, 2.0423)],
)
def test_students_t(dof: int, confidence: float, t: float) -> None:
    assert student_t(dof, confidence) == pytest.approx(t, abs=1e-4)


@pytest.mark.parametrize(("n_seeds", "between"), [(3, 0.0), (3, 0.06), (5, 0.03)])
def test_it_covers_the_truth_where_seeds_differ(n_seeds: int, between: float) -> None:
    rng = np.random.default_rng(11)
    hits, alone, n_runs, truth = 0, 0, 200, 0.5
    for _ in range(n_runs):
        hard = rng.random(100) * 0.6 - 0.3
        seeds = [(rng.random(100) < truth + hard + rng.normal(0, between)).astype(float) for _ in range(n_seeds)]
        mean = mean_interval({"x": np.mean(seeds, axis=0).tolist()}, n_resamples=500)
        wide = over_seeds(mean, [float(s.mean()) for s in seeds])
        hits += wide.low <= truth <= wide.high
        alone += mean.low <= truth <= mean.high
    assert hits / n_runs >= 0.93
    if between >= 0.06:
        assert alone / n_runs < 0.9, "or what seeds scatter needs no place in the interval"
