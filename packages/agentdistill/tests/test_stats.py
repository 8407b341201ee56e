from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill.report.stats import maj_at_k, mean_interval, paired_difference, pass_at_k, wilson

shares = st.sampled_from([0.0, 0.25, 0.5, 1.0])
strata = st.dictionaries(st.sampled_from("abcd"), st.lists(shares, min_size=1, max_size=12), min_size=1)


@pytest.mark.parametrize(
    ("n_successes", "n", "low", "high"),
    # The worked examples of Newcombe, Statistics in Medicine 17 (1998), table I, score method without correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_published_examples(n_successes, n, low, high):
    interval = wilson(n_successes, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert interval.estimate == n_successes / n


@given(n=st.integers(1, 400), data=st.data())
def test_wilson_contains_its_estimate_and_mirrors(n, data):
    k = data.draw(st.integers(0, n))
    interval, mirror = wilson(k, n), wilson(n - k, n)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert (1 - mirror.high, 1 - mirror.low) == pytest.approx((interval.low, interval.high))
    assert wilson(k, n, 0.5).high - wilson(k, n, 0.5).low < interval.high - interval.low


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_counts_that_do_not_fit(k, n):
    with pytest.raises(ValueError, match="proportion"):
        wilson(k, n)


@settings(max_examples=60, deadline=None)
@given(values=strata, order=st.randoms())
def test_mean_interval_holds_its_estimate_whatever_the_order(values, order):
    interval = mean_interval(values, n_resamples=300)
    means = [sum(v) / len(v) for v in values.values()]
    assert interval.estimate == pytest.approx(sum(means) / len(means))
    assert -1e-9 <= interval.low <= interval.estimate + 1e-9
    assert interval.estimate - 1e-9 <= interval.high <= 1 + 1e-9
    assert interval.low < interval.high, "a handful of problems never settles an accuracy"
    shuffled = {f: order.sample(values[f], len(values[f])) for f in order.sample(list(values), len(values))}
    assert mean_interval(shuffled, n_resamples=300) == interval


def test_mean_interval_weighs_by_family_or_by_problem():
    values = {"few": [1.0, 1.0], "many": [0.0] * 6}
    assert mean_interval(values).estimate == 0.5
    assert mean_interval(values, weighting="problem").estimate == 0.25


def test_a_constant_family_gets_the_interval_of_wilson():
    families = {"a": [0.0] * 30, "b": [0.0] * 50, "c": [0.0] * 20}
    single = mean_interval({"all": [0.0] * 100})
    assert (single.low, single.high) == pytest.approx((0.0, wilson(0, 100).high))
    equal = mean_interval({f: [0.0] * 25 for f in "abcd"})
    assert equal.high == pytest.approx(wilson(0, 100).high), "equal families at zero are as good as one pool"
    assert mean_interval(families).high > single.high, "unequal families tell a little less"


def test_more_problems_narrow_the_interval():
    def width(n):
        interval = mean_interval({"a": [0.0, 1.0] * n, "b": [1.0, 0.0, 0.0] * n})
        return interval.high - interval.low

    assert width(40) == pytest.approx(width(10) / 2, rel=0.1)


@pytest.mark.parametrize(("values", "words"), [({}, "no scored"), ({"a": []}, "no scored"), ({"a": [1.5]}, "outside")])
def test_mean_interval_refuses_what_it_cannot_average(values, words):
    with pytest.raises(ValueError, match=words):
        mean_interval(values)


def coverage(rates, n, n_runs=300):
    """How often the interval of simulated runs holds the true mean of the families' rates."""
    rng = np.random.default_rng(7)
    truth, hits = sum(rates) / len(rates), 0
    for seed in range(n_runs):
        values = {str(i): (rng.random(n) < p).astype(float).tolist() for i, p in enumerate(rates)}
        interval = mean_interval(values, n_resamples=1_000, seed=seed)
        hits += interval.low <= truth <= interval.high
    return hits / n_runs


@pytest.mark.parametrize(
    ("rates", "n", "at_least"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 20, 0.92),
        ([0.5] * 8, 5, 0.92),
        ([0.3], 20, 0.92),
        ([0.01] * 8, 20, 0.93),  # where families show nothing but zeros and a plain bootstrap fails
        ([1, 1, 1, 1, 0, 0, 0.5, 0.5], 20, 0.92),
    ],
)
def test_the_interval_of_a_mean_covers_the_truth(rates, n, at_least):
    assert coverage(rates, n) >= at_least


def test_a_plain_bootstrap_would_not_cover_rare_successes():
    rng = np.random.default_rng(7)
    hits = 0
    for seed in range(200):
        values = {str(i): (rng.random(20) < 0.01).astype(float).tolist() for i in range(8)}
        interval = mean_interval(values, bounds=None, n_resamples=500, seed=seed)
        hits += interval.low <= 0.01 <= interval.high
    assert hits / 200 < 0.9, "or the correction for constant families is not needed"


@pytest.mark.parametrize(("a", "b", "shared"), [(0.5, 0.4, 0.6), (0.6, 0.6, 0.9), (0.05, 0.02, 0.5)])
def test_the_interval_of_a_paired_difference_covers_the_truth(a, b, shared):
    rng = np.random.default_rng(3)
    hits, n_runs = 0, 200
    for seed in range(n_runs):
        ours, theirs = {}, {}
        for f in "wxyz":
            u = rng.random(25)
            v = np.where(rng.random(25) < shared, u, rng.random(25))
            ours[f] = {str(i): float(u[i] < a) for i in range(25)}
            theirs[f] = {str(i): float(v[i] < b) for i in range(25)}
        d = paired_difference(ours, theirs, n_resamples=1_000, seed=seed).difference
        hits += d.low <= a - b <= d.high
    assert hits / n_runs >= 0.92


def test_paired_difference_by_hand():
    ours = {"x": {"1": 1.0, "2": 1.0, "3": 0.0}, "y": {"4": 1.0, "5": 0.0}, "only ours": {"9": 1.0}}
    theirs = {"x": {"1": 0.0, "2": 1.0, "7": 1.0}, "y": {"4": 0.0, "5": 1.0}}
    paired = paired_difference(ours, theirs)
    # Common: x has 1 (better) and 2 (same), y has 4 (better) and 5 (worse). Means 1.0 and 0.5 against 0.5 and 0.5.
    assert (paired.a, paired.b, paired.ratio) == (0.75, 0.5, 1.5)
    assert paired.difference.estimate == 0.25
    assert (paired.n_better, paired.n_worse, paired.difference.n) == (2, 1, 4)


def test_a_ratio_to_zero_is_none():
    assert paired_difference({"x": {"1": 1.0}}, {"x": {"1": 0.0}}).ratio is None


def test_pairing_removes_the_noise_that_two_methods_share():
    hard = {str(i): float(i % 2) for i in range(100)}
    better = hard | {"0": 1.0, "2": 1.0, "4": 1.0, "6": 1.0, "8": 1.0, "10": 1.0}
    paired = paired_difference({"x": better}, {"x": hard}).difference
    assert paired.excludes_zero
    assert wilson(50, 100).high > 0.56, "unpaired, the same six problems would be lost in the noise"


def test_two_methods_that_agree_everywhere_differ_by_zero_with_some_doubt():
    values = {"x": {str(i): float(i % 2) for i in range(40)}}
    d = paired_difference(values, values).difference
    assert d.estimate == 0
    assert d.low == pytest.approx(-d.high)
    assert d.high == pytest.approx(wilson(0, 40).high)
    assert not d.excludes_zero


def test_paired_difference_needs_a_common_problem():
    with pytest.raises(ValueError, match="share no"):
        paired_difference({"x": {"1": 1.0}}, {"x": {"2": 1.0}})


@given(n=st.integers(1, 8), data=st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(itertools.combinations(range(n), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(any(i < c for i in s) for s in subsets) / len(subsets))


@given(p=st.floats(0.05, 0.95), k=st.integers(1, 4))
def test_pass_at_k_is_unbiased(p, k):
    n = 6
    mean = sum(math.comb(n, c) * p**c * (1 - p) ** (n - c) * pass_at_k(n, c, k) for c in range(n + 1))
    assert mean == pytest.approx(1 - (1 - p) ** k)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 4), (3, 4, 1), (3, 1, 0), (3, -1, 1)])
def test_pass_at_k_refuses_what_cannot_be(n, c, k):
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(n, c, k)


def test_maj_at_k_by_hand():
    answers, correct = ["a", "a", "b"], [True, True, False]
    assert maj_at_k(answers, correct, 3) == 1
    assert maj_at_k(answers, correct, 1) == pytest.approx(2 / 3)
    assert maj_at_k(answers, correct, 2) == pytest.approx(2 / 3)  # aa wins, two ties of a and b count a half
    assert maj_at_k([None, None, "a"], [False, False, True], 3) == 1, "who gives no answer does not vote"
    assert maj_at_k([None], [False], 1) == 0


@settings(max_examples=40, deadline=None)
@given(answers=st.lists(st.sampled_from("abc"), min_size=1, max_size=7))
def test_maj_at_1_is_the_share_of_right_samples(answers):
    correct = [a == "a" for a in answers]
    assert maj_at_k(answers, correct, 1) == pytest.approx(sum(correct) / len(correct))


def test_maj_at_k_draws_subsets_where_there_are_too_many():
    answers = ["right"] * 18 + ["wrong"] * 12
    correct = [a == "right" for a in answers]
    whole = sum(
        math.comb(18, r) * math.comb(12, 5 - r) / math.comb(30, 5) for r in range(3, 6)
    )  # three of five or more must be right
    assert maj_at_k(answers, correct, 5, n_subsets=4_000) == pytest.approx(whole, abs=0.03)
    assert maj_at_k(answers, correct, 5) == maj_at_k(answers, correct, 5)


def test_maj_at_k_refuses_lists_that_do_not_fit():
    with pytest.raises(ValueError, match="maj@2"):
        maj_at_k(["a", "b"], [True], 2)
