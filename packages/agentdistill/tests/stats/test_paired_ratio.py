"""The ratio of two methods on the same problems, and how far it can be trusted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill.report.stats import paired_difference, paired_ratio

Values = dict[str, dict[str, float]]


def family(values: list[float]) -> dict[str, float]:
    return {str(i): v for i, v in enumerate(values)}


def test_by_hand() -> None:
    ours = {"x": family([1, 1, 0, 0]), "y": family([1, 0]), "only ours": family([1])}
    theirs = {"x": family([1, 0, 0, 0]), "y": family([1, 1])}
    ratio = paired_ratio(ours, theirs)
    assert ratio is not None
    assert ratio.estimate == pytest.approx((0.5 + 0.5) / (0.25 + 1.0))
    assert ratio.n == 6
    by_problem = paired_ratio(ours, theirs, weighting="problem")
    assert by_problem is not None
    assert by_problem.estimate == pytest.approx(3 / 3)


verdicts = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), verdicts, min_size=1), st.randoms())
def test_it_holds_its_estimate_whatever_the_order(pairs: dict[str, list[tuple[bool, bool]]], order: object) -> None:
    ours: Values = {f: family([float(a) for a, _ in ps]) for f, ps in pairs.items()}
    theirs: Values = {f: family([float(b) for _, b in ps]) for f, ps in pairs.items()}
    ratio = paired_ratio(ours, theirs, n_resamples=300)
    plain = paired_difference(ours, theirs, n_resamples=10).ratio
    if ratio is None:
        assert plain is None
        return
    assert ratio.estimate == pytest.approx(plain)
    assert 0 <= ratio.low <= ratio.estimate <= ratio.high
    shuffled = {f: dict(reversed(list(ours[f].items()))) for f in reversed(list(ours))}
    assert paired_ratio(shuffled, theirs, n_resamples=300) == ratio


def test_nothing_right_below_the_line_gives_no_ratio_and_hardly_anything_no_upper_limit() -> None:
    some = {"x": family([1, 1, 0, 0])}
    assert paired_ratio(some, {"x": family([0, 0, 0, 0])}) is None
    rare = paired_ratio(some, {"x": family([0, 0, 0, 1])})
    assert rare is not None
    assert math.isinf(rare.high)
    assert math.isfinite(rare.low)


def test_a_method_against_itself_is_one_with_the_doubt_that_its_difference_has() -> None:
    values = {"x": family([0.0, 1.0] * 20)}
    same, difference = paired_ratio(values, values), paired_difference(values, values).difference
    assert same is not None
    assert same.estimate == 1
    assert (same.low, same.high) == pytest.approx((1 + difference.low / 0.5, 1 + difference.high / 0.5))


def test_nothing_right_above_the_line_is_zero_with_an_upper_limit() -> None:
    none = paired_ratio({"x": family([0.0] * 40)}, {"x": family([0.0, 1.0] * 20)})
    assert none is not None
    assert (none.estimate, none.low) == (0.0, 0.0)
    assert 0.1 < none.high < 0.3


def test_they_have_to_share_a_problem() -> None:
    with pytest.raises(ValueError, match="share no"):
        paired_ratio({"x": {"1": 1.0}}, {"x": {"2": 1.0}})


@pytest.mark.parametrize(("a", "b", "shared"), [(0.5, 0.4, 0.6), (0.2, 0.2, 0.3), (0.3, 0.9, 0.0)])
def test_its_interval_covers_the_truth(a: float, b: float, shared: float) -> None:
    rng = np.random.default_rng(3)
    hits, n_runs = 0, 200
    for seed in range(n_runs):
        ours: Values = {}
        theirs: Values = {}
        for f in "wxyz":
            u = rng.random(40)
            v = np.where(rng.random(40) < shared, u, rng.random(40))
            ours[f] = family((u < a).astype(float).tolist())
            theirs[f] = family((v < b).astype(float).tolist())
        ratio = paired_ratio(ours, theirs, n_resamples=1_000, seed=seed)
        hits += ratio is not None and ratio.low <= a / b <= ratio.high
    assert hits / n_runs >= 0.92
