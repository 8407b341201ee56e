"""Selection: hand-computed cases, policies for what the methods leave open, and what may make no difference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentdistill
from agentdistill.errors import DataError, UserError
from agentdistill.verify import METHODS, Ballots, SelectionPolicy, Verdict, classes, expected, orders, select
from agentdistill.verify.select import fallbacks, pass_fraction, standing, step_score

T, F, E, L, N, M = Verdict.TRUE, Verdict.FALSE, Verdict.ERROR, Verdict.TIMEOUT, Verdict.NO_CODE, Verdict.MALFORMED


def ballot(groups, rewards=None, passed=None, plain=None, correct=None) -> Ballots:
    n = len(groups)
    return Ballots(
        tuple(groups),
        tuple(rewards or [None] * n),
        tuple(passed or [None] * n),
        tuple(plain or [None] * n),
        tuple(correct or [None] * n),
    )


# Five candidates: answers a, b, b, c and none; the verifier passes a and c.
FIVE = ballot([0, 1, 1, 2, None], [0.5, 0.4, 0.3, 0.6, 0.9], [1.0, 0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("first", 0),
        ("majority", 1),  # b twice
        ("best-of-n", 3),  # 0.6; the 0.9 has no answer
        ("weighted", 1),  # 0.7 for b against 0.5 and 0.6
        ("verifier", 0),  # a and c once each: the first seen
        ("verifier-best", 3),  # 0.6 for c against 0.5
        ("verifier-weighted", 3),
        ("two-stage", 1),  # without the tool b passes, with 0.7
    ],
)
def test_every_method_on_a_case_by_hand(name, index):
    assert select(name, FIVE).index == index
    assert select(name, FIVE).fallback is None


def test_of_equals_the_first_seen_wins():
    assert select("majority", ballot([1, 0, 0, 1])).index == 0
    assert select("best-of-n", ballot([0, 1, 2], [0.3, 0.7, 0.7])).index == 1
    # 0.1 + 0.2 is not 0.3 in floats, and still a tie
    assert select("weighted", ballot([0, 1, 1], [0.3, 0.1, 0.2])).index == 0
    assert select("weighted", ballot([1, 1, 0], [0.1, 0.2, 0.3])).index == 0


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_tie_is_one_whatever_the_scale_of_rewards(scale):
    for name in ("best-of-n", "weighted"):
        assert select(name, ballot([0, 1], [0.5 * scale, 0.9 * scale])).index == 1
        assert select(name, ballot([0, 1], [scale, scale * (1 + 1e-12)])).index == 0
    assert select("best-of-n", ballot([0, 1], [-0.9 * scale, -0.5 * scale])).index == 1


def test_a_reward_of_nothing_still_may_be_chosen_where_a_rejected_one_may_not():
    b = ballot([0, 1], [0.0, 0.9], [1.0, 0.0])
    assert select("verifier-weighted", b).index == 0
    assert select("verifier-best", ballot([0, 1], [-3.0, -1.0], [1.0, 0.0])).index == 0


@pytest.mark.parametrize(
    ("filtered", "index", "fallback"),
    [("reward", 2, "weighted"), ("majority", 0, "majority"), ("abstain", None, "abstain")],
)
def test_where_nobody_passes_the_policy_says_what_is_done(filtered, index, fallback):
    b = ballot([0, 0, 1], [0.1, 0.1, 0.9], [0.0, 0.0, 0.0])
    choice = select("verifier-weighted", b, SelectionPolicy(filtered=filtered))
    assert (choice.index, choice.fallback) == (index, fallback)


def test_without_verdicts_the_policy_says_whether_a_candidate_is_in():
    b = ballot([0, 1, 1], [0.9, 0.2, 0.2], [None, 1.0, None])
    assert select("verifier-weighted", b).index == 1
    assert select("verifier-weighted", b, SelectionPolicy(missing="accept")).index == 0


def test_without_any_answer_or_any_candidate_nothing_is_chosen():
    none = ballot([None, None], [0.5, 0.5], [1.0, 1.0])
    assert {select(m, none).index for m in METHODS if m not in ("first", "pass")} == {None}
    assert select("first", none).index == 0
    assert select("majority", ballot([])).index is None


def test_a_share_of_a_negative_reward_is_no_smaller_one():
    """Half of -0.8 would be more than all of -0.5."""
    b = ballot([0, 1], [-0.8, -0.5], [0.5, 1.0])
    with pytest.raises(DataError, match="multiplies rewards by shares and needs them to be at least 0"):
        select("verifier-best", b, SelectionPolicy(passes="soft"))
    assert select("verifier-best", ballot([0, 1], [-0.8, -0.5], [1.0, 1.0])).index == 1
    assert select("best-of-n", b, SelectionPolicy(passes="soft")).index == 1


def test_votes_refuse_negative_weights_and_unknown_names_are_told():
    with pytest.raises(DataError, match="at least 0; the least is -0"):
        select("weighted", ballot([0], [-0.5]))
    with pytest.raises(UserError, match="no selection is called"):
        select("median", FIVE)
    with pytest.raises(UserError, match="chooses nothing"):
        select("pass", FIVE)


@pytest.mark.parametrize(
    ("verdicts", "any_", "all_", "majority", "soft"),
    [
        ([T, F, F, F], 1.0, 0.0, 0.0, 0.25),
        ([T, T, F, F], 1.0, 0.0, 0.0, 0.5),  # half is no majority
        ([T, T, T, F], 1.0, 0.0, 1.0, 0.75),
        ([T, T, T, T], 1.0, 1.0, 1.0, 1.0),
        ([E, L, N, M], 0.0, 0.0, 0.0, 0.0),
        ([T, E, L, N], 1.0, 0.0, 0.0, 0.25),
    ],
)
def test_k_verdicts_become_one(verdicts, any_, all_, majority, soft):
    rules = {"any": any_, "all": all_, "majority": majority, "soft": soft}
    assert {r: pass_fraction(verdicts, r) for r in rules} == rules


def test_what_is_neither_true_nor_false_counts_as_the_policy_says():
    assert pass_fraction([E, T], "all", "reject") == 0.0
    assert pass_fraction([E, T], "all", "ignore") == 1.0
    assert pass_fraction([E, F], "any", "accept") == 1.0
    assert pass_fraction([E, L, N, M], "any", "ignore") is None
    assert pass_fraction([], "any") is None


def test_step_scores_become_one():
    scores = (0.5, 0.9, 0.8)
    assert [step_score(scores, r) for r in ("last", "min", "mean")] == [0.8, 0.5, pytest.approx(2.2 / 3)]
    assert step_score(scores, "product") == pytest.approx(0.36)
    assert step_score((), "last") is None


# --- against a selection written out by hand --------------------------------------------------------------------------

ballots_ = st.integers(1, 7).flatmap(
    lambda n: st.builds(
        ballot,
        st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=n, max_size=n),
        st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=n, max_size=n),
        st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])), min_size=n, max_size=n),
        st.lists(st.one_of(st.none(), st.sampled_from([0.0, 1.0])), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
    )
)
policies = st.builds(
    SelectionPolicy,
    missing=st.sampled_from(["reject", "accept"]),
    filtered=st.sampled_from(["reward", "majority", "abstain"]),
)
names = st.sampled_from([m for m in METHODS if m != "pass"])


def slowly(name: str, b: Ballots, policy: SelectionPolicy) -> int | None:
    """The same selection, one candidate after another; weights are quarters, so sums are exact."""
    if name == "first":
        return 0
    for m in (METHODS[name], *fallbacks(METHODS[name], policy)):
        weights: dict[int, float] = {}
        for i in range(len(b)):
            f = {"tool": b.passed, "plain": b.plain}.get(m.filter or "", [1.0] * len(b))[i]
            f = float(policy.missing == "accept") if f is None else f
            r = b.rewards[i] if m.reward else 1.0
            if b.groups[i] is not None and f > 0 and r is not None:
                weights[i] = f * r
        if not weights:
            continue
        if m.vote:
            totals = {i: sum(w for j, w in weights.items() if b.groups[j] == b.groups[i]) for i in weights}
        else:
            totals = weights
        return next(i for i, total in totals.items() if total == max(totals.values()))
    return None


@given(names, ballots_, policies)
def test_the_vectorised_choice_is_the_plain_one(name, b, policy):
    assert select(name, b, policy).index == slowly(name, b, policy)


@given(names, ballots_, policies, st.integers(1, 4))
def test_accuracy_at_a_budget_is_the_mean_over_ordered_subsets(name, b, policy, n):
    if n > len(b):
        return
    found = orders(len(b), n, seed=0, n_orders=10_000)
    hits = []
    for order in found:
        some = Ballots(
            *([getattr(b, f)[i] for i in order] for f in ("groups", "rewards", "passed", "plain", "correct"))
        )
        index = slowly(name, some, policy)
        hits.append(index is not None and some.correct[index])
    assert expected(name, b, n, policy, n_orders=10_000).right == pytest.approx(np.mean(hits))


@given(ballots_)
def test_two_votes_are_worth_one_and_the_ceiling_is_one(b):
    if len(b) < 2 or None in b.groups:
        return
    policy = SelectionPolicy()
    by_class = dict(zip(reversed(b.groups), reversed(b.correct), strict=True))
    b = Ballots(b.groups, b.rewards, b.passed, b.plain, tuple(by_class[g] for g in b.groups))
    # First seen wins ties, so a second vote decides nothing: every majority row of the paper shows it.
    assert expected("majority", b, 2, policy).right == pytest.approx(expected("majority", b, 1, policy).right)
    for name in METHODS:
        for n in range(1, len(b) + 1):
            assert expected(name, b, n, policy).right <= expected("pass", b, n, policy).right + 1e-12


def test_subsets_are_all_there_are_or_random_ones_without_bias():
    assert len(orders(4, 2, seed=0)) == 12
    drawn = orders(64, 8, seed=1)
    assert drawn.shape == (256, 8)
    assert all(len(set(row)) == 8 for row in drawn.tolist())
    assert (orders(64, 4, seed=1) == drawn[:, :4]).all()  # smaller ones begin larger ones
    counts = np.bincount(orders(64, 8, seed=2, n_orders=20_000).ravel(), minlength=64) / 20_000
    assert abs(counts - 8 / 64).max() < 0.012
    with pytest.raises(ValueError, match="cannot take 5 of 4"):
        orders(4, 5, seed=0)


def test_a_random_estimate_comes_near_the_exact_one():
    b = ballot(
        [0, 1, 1, 2, 0, 1, 0],
        [0.2, 0.4, 0.6, 0.9, 0.7, 0.1, 0.3],
        correct=[True, False, False, False, True, False, True],
    )
    exact = expected("weighted", b, 4, SelectionPolicy(), n_orders=10_000).right
    drawn = expected("weighted", b, 4, SelectionPolicy(), seed=3, n_orders=800).right
    assert exact != drawn
    assert abs(exact - drawn) < 0.06


@given(names, ballots_)
def test_the_weights_shown_are_of_those_who_may_be_chosen(name, b):
    choice = select(name, b)
    if choice.index is not None and name != "first":
        assert choice.weights[choice.index] is not None
        assert choice.group == b.groups[choice.index]
    eligible, weights = standing(METHODS["majority"], b, SelectionPolicy())
    assert eligible.tolist() == [g is not None for g in b.groups]
    assert set(weights.tolist()) <= {1.0}


# --- classes of answers -----------------------------------------------------------------------------------------------


def test_answers_are_compared_as_the_graders_do():
    assert classes(["1/2", "0.5", r"\frac12", "50", None, " ", "2/4"], "math") == (0, 0, 0, 1, None, None, 0)
    assert classes(["$1,234$", "1234.0", "1235"], "math") == (0, 0, 1)
    assert classes(["Paris", "the Paris.", "London"], "short") == (0, 0, 1)
    assert classes(["x" * 5000, "x" * 5000, "x" * 4999], "math") == (0, 0, 1)


@given(st.lists(st.sampled_from(["1", "1.0", "2", "one half", "1/2", "0.5", None]), max_size=8))
def test_classes_are_numbered_by_first_appearance(answers):
    found = classes(answers, "math")
    seen = list(dict.fromkeys(c for c in found if c is not None))
    assert seen == list(range(len(seen)))
    assert [c is None for c in found] == [a is None for a in answers]


def test_nothing_hangs_on_hashing():
    code = """
from agentdistill.verify import Ballots, SelectionPolicy, classes, expected, select
groups = classes(['a b', 'b a', 'Ulm', 'ulm', 'Bonn', 'a b'], 'short')
right = (True, False, True, True, False, False)
b = Ballots(groups, (.1, .2, .3, .1, .2, .3), (1., 0., 1., 1., 0., 1.), (None,) * 6, right)
chosen = [select(m, b) for m in ('majority', 'weighted', 'verifier-weighted')]
print(groups, chosen, expected('weighted', b, 4, SelectionPolicy()))
"""
    source = str(Path(agentdistill.__file__).parents[1])
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": source, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }  # fmt: skip
    assert len(said) == 1
