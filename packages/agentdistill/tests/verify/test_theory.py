"""The formula against a simulation, the published counts against the published measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.verify import Confusion, confusion
from agentdistill.verify.scores import Chances, chance_right

# Per published verifier on MATH-500 x 64: counts, then accuracy, precision and recall as printed (arXiv 2504.04718).
PUBLISHED = [
    (Confusion(tp=6684, fn=1930, fp=4179, tn=19207), 0.8091, 0.6153, 0.7759),
    (Confusion(tp=6398, fn=2216, fp=1948, tn=21438), 0.8699, 0.7666, 0.7427),
]


@pytest.mark.parametrize(("matrix", "accuracy", "precision", "recall"), PUBLISHED)
def test_the_published_counts_give_the_published_measures(matrix, accuracy, precision, recall):
    assert matrix.n == 32_000
    assert round(matrix.accuracy, 4) == accuracy
    assert round(matrix.precision, 4) == precision
    assert round(matrix.recall, 4) == pytest.approx(recall, abs=1.01e-4)  # 6684/8614 is .77595: printed cut off
    assert round(PUBLISHED[1][0].f1, 4) == 0.7545


def test_a_matrix_is_counted_from_pairs_and_empty_ones_have_no_measures():
    pairs = [(True, True)] * 3 + [(True, False)] * 2 + [(False, True)] + [(False, False)] * 4
    assert confusion(pairs) == Confusion(tp=3, fn=1, fp=2, tn=4)
    assert confusion(pairs) + Confusion(tp=1) == Confusion(tp=4, fn=1, fp=2, tn=4)
    empty = Confusion()
    assert [empty.accuracy, empty.precision, empty.recall, empty.f1] == [None] * 4


def simulate(p: float, q: float, n: int, prior: float, n_trials: int) -> Chances:
    """The same by drawing candidates and verdicts; nothing of the formula is in it."""
    rng = np.random.default_rng(0)
    good = rng.random((n_trials, n)) < prior
    accepted = rng.random((n_trials, n)) < np.where(good, q, 1 - p)
    empty = ~accepted.any(axis=1)
    chosen = np.where(accepted | empty[:, None], rng.random((n_trials, n)), -1.0).argmax(axis=1)
    right = good[np.arange(n_trials), chosen].mean()
    return Chances(float(right), float(empty.mean()), float((good & ~accepted).sum() / good.sum()))


@pytest.mark.parametrize(("p", "q"), [(0.55, 0.55), (0.55, 0.95), (0.8, 0.75), (0.99, 0.55), (0.99, 0.95)])
@pytest.mark.parametrize(("n", "prior"), [(1, 0.5), (2, 0.5), (6, 0.5), (16, 0.5), (3, 0.2)])
def test_the_formula_agrees_with_simulation(p, q, n, prior):
    told, drawn = chance_right(p, q, n, prior), simulate(p, q, n, prior, n_trials=400_000)
    assert drawn.right == pytest.approx(told.right, abs=0.003)  # four standard errors
    assert drawn.all_rejected == pytest.approx(told.all_rejected, abs=0.003)
    assert drawn.thrown_away == pytest.approx(told.thrown_away, abs=0.003)


def test_the_papers_formula_is_the_one_at_equal_priors():
    p, q, n = 0.9, 0.7, 5
    a = ((1 + p - q) / 2) ** n
    paper = (1 - a) * q / (q + 1 - p) + a * (1 - q) / (1 - q + p)
    assert chance_right(p, q, n).right == pytest.approx(paper)


@given(st.floats(0.51, 0.98), st.floats(0.51, 0.99), st.integers(2, 64), st.floats(0.001, 0.02))
def test_it_increases_in_p(p, q, n, more):
    assert chance_right(p + more, q, n).right > chance_right(p, q, n).right - 1e-12


def test_what_it_does_not_show_is_shown_beside_it():
    """A verifier with a lower q may choose as well, and throws away more: pools with nobody left."""
    high, low = chance_right(0.95, 0.95, 2), chance_right(0.95, 0.55, 2)
    assert low.thrown_away > high.thrown_away
    assert low.all_rejected > high.all_rejected
    with pytest.raises(ValueError, match="are probabilities"):
        chance_right(1.2, 0.5, 1)
    with pytest.raises(ValueError, match="n is at least 1"):
        chance_right(0.9, 0.5, 0)
