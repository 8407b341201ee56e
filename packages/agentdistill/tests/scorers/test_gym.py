"""Answers to reasoning-gym's questions: what its scorers decide, what is ours, and what hostile answers do."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agentdistill import scorers
from agentdistill.errors import UserError
from agentdistill.problems.reasoning_gym import problems
from agentdistill.scorers.gym import BY_VALUE, SETS, library_score, parse_ref
from agentdistill.store import from_dict, to_dict
from agentdistill.types import Problem, Score

pytest.importorskip("reasoning_gym", reason="the extra agentdistill[gym] is not installed")


def scored(problem: Problem, prediction: str) -> Score:
    return scorers.score(problem.kind, prediction, problem.answer, problem.aliases)


@pytest.fixture(scope="module")
def by_family() -> dict[str, list[Problem]]:
    found = [*problems("train:25"), *problems("test:25")]
    return {name: [p for p in found if p.family == name] for name in SETS["compute12"]}


@pytest.mark.parametrize("family", SETS["compute12"])
def test_gold_answers_are_right_and_a_neighbours_are_not(by_family, family):
    found = by_family[family]
    assert [p.answer for p in found if not scored(p, f" {p.answer}\n").correct] == []
    if family not in BY_VALUE:
        refs = [(parse_ref(p.aliases[0]), p.answer) for p in found]
        assert [a for ref, a in refs if ref is None or library_score(ref, a, a) != 1.0] == []
    pairs = [(a, b) for a, b in itertools.pairwise(found) if a.answer != b.answer]
    assert len(pairs) > 20
    assert [(a.answer, b.answer) for a, b in pairs if scored(a, b.answer).correct] == []


@pytest.mark.parametrize("family", SETS["compute12"])
def test_a_problem_is_graded_the_same_after_it_was_stored(by_family, family):
    problem = by_family[family][0]
    again = from_dict(Problem, to_dict(problem))
    assert again == problem
    assert scored(again, problem.answer).correct


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("gsm_symbolic", "-{}"), ("gsm_symbolic", "{}/7"), ("gsm_symbolic", "{} or 1"), ("gcd", "{}1"), ("lcm", "-{}"),
        ("products", "{} + 0"), ("chain_sum", "{}.01"), ("count_primes", "{0}, {0}"),
        ("gcd", "[{}, 0]"), ("prime_factorization", "1 × {}"), ("base_conversion", "0x{}"),
        ("calendar_arithmetic", "not {}"), ("fraction_simplification", "{}0"), ("simple_equations", "x"),
    ],
)  # fmt: skip
def test_what_is_nearly_right_is_wrong(by_family, family, wrong):
    for problem in by_family[family]:
        assert not scored(problem, wrong.format(problem.answer)).correct, problem


def test_numbers_count_by_their_value(by_family):
    for family in ("chain_sum", "products", "gcd", "lcm", "count_primes", "gsm_symbolic"):
        for problem in by_family[family]:
            number = int(float(problem.answer))
            for written in (f"{number}.0", f"{number:,}", f"{number}.", f"${number}" if number >= 0 else f"{number}"):
                assert scored(problem, written).correct, (problem.answer, written)
    sums = by_family["decimal_chain_sum"]
    computed = [repr(eval(p.question.partition(": ")[2].rstrip("= "))) for p in sums]
    assert any(len(said) > 15 for said in computed), "floats with noise in their last digits"
    assert all(scored(p, said).correct for p, said in zip(sums, computed, strict=True))
    assert not any(scored(p, repr(round(float(p.answer) + 0.001, 4))).correct for p in sums)


def test_words_and_forms_are_their_scorers_business(by_family):
    days = [p for p in by_family["calendar_arithmetic"] if p.answer.endswith("day")]
    assert days
    assert all(scored(p, f"{p.answer}.").correct for p in days)
    assert not any(scored(p, p.answer[:3]).correct for p in days)
    counts = [p for p in by_family["calendar_arithmetic"] if p.answer.isdigit()]
    assert counts
    off_by_one = scored(counts[0], str(int(counts[0].answer) + 1))
    assert not off_by_one.correct
    assert off_by_one.reason.startswith("scored 0."), "what is nearly right has a score, and counts as wrong"
    product = next(p for p in by_family["prime_factorization"] if p.answer.count("×") > 1)
    factors = product.answer.split(" × ")
    assert scored(product, " × ".join(reversed(factors))).correct
    assert not scored(product, " × ".join([*factors[2:], str(int(factors[0]) * int(factors[1]))])).correct


def test_a_whole_fraction_may_be_written_as_a_number():
    [one] = [p for p in problems("train:fraction_simplification:150") if p.answer == "1/1"][:1]
    assert scored(one, "1").correct
    assert not scored(one, one.question.split()[3]).correct, "it is asked for in lowest terms"


HOSTILE = (
    "", " ", "\x00", "\ud800", "nan", "NaN", "inf", "None", "[]", "{}", "null", "1/0", "×" * 500, "99999999999:00",
    "9" * 2000, "9" * 5000, "[" * 2000, "(" * 2000, "1e999999999", "1e999_999_999", "-1e-99999999", "9**9**9**9",
    "__import__('pathlib').Path('made').touch()", "[__import__('pathlib').Path('made').touch()]",
    "{}.__class__.__base__.__subclasses__()", "{0.__class__}",
)  # fmt: skip


@pytest.mark.parametrize("family", [*SETS["compute12"], "time_intervals", "power_function", "pool_matrix", "jugs"])
def test_hostile_answers_are_wrong_and_do_nothing(family, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [problem] = problems(f"test:{family}:1")
    began = time.process_time()
    for said in HOSTILE:
        verdict = scored(problem, said)
        assert not verdict.correct, said[:50]
        assert verdict.reason
    assert time.process_time() - began < 10
    assert not Path("made").exists()


def test_a_scorer_that_raises_is_a_wrong_answer(by_family):
    [problem] = problems("train:rectangle_count:1")
    ref = parse_ref(problem.aliases[0])
    assert ref is not None
    assert library_score(ref, problem.answer, problem.answer) == 1.0
    factors = by_family["prime_factorization"][0]
    assert scored(factors, "2 × two").reason == "scored 0 by prime_factorization"


def test_without_its_entry_texts_and_values_are_compared():
    assert scorers.score("gym", "24.0", "24").correct
    assert scorers.score("gym", "Tuesday", "Tuesday", ("Dienstag",)).correct
    assert not scorers.score("gym", "Monday", "Tuesday").correct
    assert not scorers.score("gym", "15 - 43 - 75", "-103").correct, "the question said again is no answer"
    assert scorers.score("gym", "25", "24").reason == "another value"


def test_a_question_that_is_made_otherwise_today_is_no_wrong_answer(by_family):
    problem = replace(by_family["calendar_arithmetic"][0], answer="Doomsday")
    with pytest.raises(UserError, match=r"^reasoning_gym calendar_arithmetic level 0 seed \d+: another question"):
        scored(problem, "Monday")


def test_the_scorers_of_the_library_are_what_the_table_says():
    """The reason why gsm_symbolic's own scorer is not asked."""
    import reasoning_gym

    dataset = reasoning_gym.create_dataset("gsm_symbolic", seed=42, size=1)
    entry = dataset[0]
    assert dataset.score_answer(f"-{entry['answer']}", entry) == 1.0
