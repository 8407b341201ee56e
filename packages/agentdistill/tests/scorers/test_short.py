import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill import scorers
from agentdistill.scorers.short import MAX_CHARS, contains, exact_match, measure, normalize, token_f1


@pytest.mark.parametrize(
    ("prediction", "answer", "correct"),
    [
        ("The Eiffel Tower.", "eiffel tower", True),
        ("U.S.", "US", True),
        ("Coahuila, Mexico", "coahuila  mexico", True),
        ("“The Marshall Mathers LP 2”", '"The Marshall Mathers LP 2"', True),
        ("Asi en el cielo", "Así En El Cielo", True),
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
def test_the_verdict(prediction, answer, correct):
    assert scorers.score("short", prediction, answer).correct is correct


@pytest.mark.parametrize(
    ("prediction", "answer", "correct"),
    [
        # names
        ("Beyonce", "Beyoncé", True),
        ("L. A. Reid", "LA Reid", True),
        ("Rocky 3", "Rocky III", True),
        ("World War I", "World War 1", True),
        ("Elizabeth I", "Elizabeth II", False),
        ("Dr. Martin Luther King", "Martin Luther King", True),
        ("President", "President Obama", False),
        ("Mount Rushmore", "Mt. Rushmore", True),
        ("Wall St.", "Wall Saint", False),
        ("Ulm, Germany", "Ulm", True),
        ("Springfield, Illinois, United States", "Springfield", True),
        ("Paris, Texas", "Paris, France", False),
        ("Paris, London", "Paris", False),
        ("Texas", "Paris, Texas", False),
        ("Batman (1989)", "Batman (1966)", False),
        ("12 Monkeys", "12", False),
        ("Hepatitis A", "Hepatitis", False),
        # numbers
        ("forty-two", "42", True),
        ("nineteen eighty-four", "1984", True),
        ("one hundred and one dalmatians", "101 Dalmatians", True),
        ("the 21st", "twenty-first", True),
        ("three", "3rd", False),
        ("1,000,000", "one million", True),
        ("2.50", "2.5", True),
        ("-3", "3", False),
        ("5 children", "five", True),
        ("6 children", "five", False),
        ("1 km", "1000 m", True),
        ("1 km", "1000 miles", False),
        ("$5", "5 euros", False),
        ("roughly 40", "40", True),
        ("roughly speaking", "speaking", False),
        # yes and no
        ("True", "yes", True),
        ("Nope", "no", False),
        ("No.", "no", True),
        ("no one", "no", False),
        ("Yesterday", "yes", False),
    ],
)
def test_a_careful_verdict(prediction, answer, correct):
    score = scorers.score("short", prediction, answer)
    assert score.correct is correct, score


@pytest.mark.parametrize(
    ("prediction", "answer", "correct"),
    [
        ("4 July 1776", "July 4, 1776", True),
        ("4th of July 1776", "July 4, 1776", True),
        ("1776", "July 4, 1776", False),
        ("in July 1776", "1776", True),
        ("on July 4", "July 4, 1776", False),
        ("12/25/1990", "25 December 1990", True),
        ("5/6/2004", "6 May 2004", False),  # two readings: nobody knows
        ("AD 79", "79 AD", True),
        ("100 BC", "100 AD", False),
        ("1914-18", "1914–1918", True),
        ("between 1914 and 1918", "from 1914 to 1918", True),
        ("March to May 1945", "March 1945 to May 1945", True),
        ("31 February", "February 31", True),
        ("May 1990", "June 1990", False),
        ("2020s", "2020", False),
    ],
)
def test_dates(prediction, answer, correct):
    score = scorers.score("short", prediction, answer)
    assert score.correct is correct, score


def test_the_papers_measures():
    assert exact_match("The Beatles!", "beatles")
    assert not exact_match("", "")
    assert contains("I think it was Mark Twain.", "Mark Twain")
    assert not contains("Mark", "Mark Twain")
    best = measure("the author Samuel Clemens", "Mark Twain", ("Samuel Clemens",))
    assert (best.exact_match, best.contains) == (False, True)
    assert best.f1 == pytest.approx(0.8)


@pytest.mark.parametrize(
    "prediction", ["so it goes " * 500_000, "\x00" * 1000, "9" * 5000, "(" * 4000, "1-" * 2000, "the " * 4000, "\ud800"]
)
def test_an_enormous_answer_is_wrong_at_once(prediction):
    started = time.monotonic()
    assert not scorers.score("short", prediction, "1999").correct
    assert not measure(prediction, "1999").exact_match
    assert time.monotonic() - started < 3
    assert len(scorers.score("short", "x" * 10**6, "y").extracted) <= MAX_CHARS


def test_an_alias_counts_and_is_named():
    score = scorers.score("short", "JFK", "John F. Kennedy", ("Jack Kennedy", "JFK"))
    assert score.correct
    assert "'JFK'" in score.reason


def test_a_wrong_answer_shows_what_was_compared_and_how_near_it_was():
    score = scorers.score("short", "Barack Obama", "Barack Hussein Obama")
    assert (score.correct, score.extracted, score.reason) == (False, "barack obama", "no match; F1 0.80")


def test_f1_counts_words_as_often_as_they_come():
    assert token_f1("a b b", "b") == pytest.approx(2 * (1 / 2) * 1 / (1 / 2 + 1))  # "a" is an article
    assert token_f1("red", "blue") == 0
    assert token_f1("", "blue") == 0


@given(st.text(), st.text())
def test_normalising_is_stable_and_f1_symmetric_in_0_to_1(a, b):
    assert normalize(normalize(a)) in (normalize(a), normalize(normalize(normalize(a))))
    assert token_f1(a, b) == pytest.approx(token_f1(b, a))
    assert 0 <= token_f1(a, b) <= 1
    assert scorers.score("short", a, a).correct is bool(a.strip() and normalize(a))
