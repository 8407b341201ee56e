import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.grade import grade
from agentdistill.grade.short import normalize, token_f1


@pytest.mark.parametrize(
    ("prediction", "answer", "correct"),
    [
        ("The Eiffel Tower.", "eiffel tower", True),
        ("U.S.", "US", True),
        ("Coahuila, Mexico", "coahuila  mexico", True),
        ("“The Marshall Mathers LP 2”", '"The Marshall Mathers LP 2"', True),
        ("Asi en el cielo", "Así En El Cielo", False),
        ("1,999", "1999", True),
        ("1.5", "15", False),
        ("-5", "5", False),
        ("1914-1918", "1914–1918", True),
        ("yes", "no", False),
        ("The", "A", False),
        ("the", "The", True),
        ("?", "!", False),
        ("Anna Lee", "Anne Lee", False),
    ],
)
def test_normalised_exact_match(prediction, answer, correct):
    assert grade("short", prediction, answer).correct is correct


def test_an_alias_counts_and_is_named():
    score = grade("short", "JFK", "John F. Kennedy", ("Jack Kennedy", "JFK"))
    assert score.correct
    assert "'JFK'" in score.reason


def test_a_wrong_answer_shows_what_was_compared_and_how_near_it_was():
    score = grade("short", "Barack Obama", "Barack Hussein Obama")
    assert (score.correct, score.extracted, score.reason) == (False, "barack obama", "no exact match; F1 0.80")


def test_f1_counts_words_as_often_as_they_come():
    assert token_f1("a b b", "b") == pytest.approx(2 * (1 / 2) * 1 / (1 / 2 + 1))  # "a" is an article
    assert token_f1("red", "blue") == 0
    assert token_f1("", "blue") == 0


@given(st.text(), st.text())
def test_normalising_is_stable_and_f1_symmetric_in_0_to_1(a, b):
    assert normalize(normalize(a)) in (normalize(a), normalize(normalize(normalize(a))))
    assert token_f1(a, b) == pytest.approx(token_f1(b, a))
    assert 0 <= token_f1(a, b) <= 1
    assert grade("short", a, a).correct is bool(a.strip() and normalize(a))
