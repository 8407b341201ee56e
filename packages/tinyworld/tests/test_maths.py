"""Mathematical problems: program, worked lines and answer agree, and the numbers stand in the text."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyworld.maths import MATH_FAMILIES, math_question

SEEDS = st.integers(0, 2**30)
FAMILIES = st.sampled_from(MATH_FAMILIES)


@given(SEEDS, FAMILIES)
@settings(max_examples=300, deadline=None)
def test_the_program_gives_the_answer(seed: int, family: str) -> None:
    q = math_question(Random(seed), family)
    names: dict[str, Any] = {}
    exec("\n".join(q.code), names)  # our own generator's text
    assert str(names["x"]) == q.answer
    assert family == "steps" or int(q.answer) >= 0  # a long story goes below nothing once in some hundred
    assert math_question(Random(seed), family) == q


_LINE = re.compile(r"(\d+) ([-+*/%]) (\d+) = (\d+)")
_DO = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "%": lambda a, b: a % b,
    "/": lambda a, b: a // b if a % b == 0 else None,
}  # fmt: skip


@given(SEEDS, FAMILIES)
@settings(max_examples=300, deadline=None)
def test_every_worked_line_is_true_and_the_last_is_the_answer(seed: int, family: str) -> None:
    q = math_question(Random(seed), family)
    for line in q.lines:
        found = _LINE.fullmatch(line)
        if found:
            a, sign, b, c = found.groups()
            assert _DO[sign](int(a), int(b)) == int(c), line
    assert q.lines[-1].rpartition("= ")[2] == q.answer


@given(SEEDS, st.sampled_from(["word", "large", "steps"]))
@settings(max_examples=200, deadline=None)
def test_stories_hold_the_numbers_that_are_used(seed: int, family: str) -> None:
    """Nothing has to be guessed: each operand of the program stands in the question."""
    q = math_question(Random(seed), family)
    told = set(re.findall(r"\d+", q.text))
    used = set(re.findall(r"\d+", "\n".join(q.code)))
    assert used <= told, (q.text, q.code)
    assert "{" not in q.text


def largest(family: str) -> int:
    rng = Random(0)
    return max(int(n) for _ in range(200) for n in re.findall(r"\d+", math_question(rng, family).text))


def test_families_differ_as_they_should() -> None:
    assert largest("large") > 10 * largest("word")
    rng = Random(0)
    n_steps = {family: [len(math_question(rng, family).lines) for _ in range(100)] for family in ("word", "steps")}
    assert set(n_steps["word"]) == {1, 2, 3}
    assert max(n_steps["word"]) < min(n_steps["steps"])
    assert {math_question(rng, f).family for f in MATH_FAMILIES} == set(MATH_FAMILIES)


@pytest.mark.parametrize("family", MATH_FAMILIES)
def test_problems_are_not_one_string_with_slots(family: str) -> None:
    rng = Random(0)
    shapes = {re.sub(r"\d+|\b[A-Z]\w+", "_", math_question(rng, family).text) for _ in range(300)}
    assert len(shapes) > 12
