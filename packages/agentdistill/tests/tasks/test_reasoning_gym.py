"""Questions of reasoning-gym: what a source names, what is held out, and whether the gold answers are right."""

from __future__ import annotations

import inspect
import itertools
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest

from agentdistill.errors import UserError
from agentdistill.problems.reasoning_gym import SPLITS, parse, problems
from agentdistill.problems.tasks import find_task
from agentdistill.scorers import gym
from agentdistill.scorers.gym import FAULTY_TEMPLATES, LEVELS, SETS, offered, parse_ref
from agentdistill.types import Problem

factory = pytest.importorskip("reasoning_gym", reason="the extra agentdistill[gym] is not installed").factory
TWELVE = SETS["compute12"]


def test_a_source_names_split_generators_level_and_number():
    task = find_task("reasoning_gym:train:gcd,lcm:3")
    assert task is not None
    found = task[0].problems(task[1])
    assert [p.id for p in found] == [f"gym-{g}-train-000{i}" for g in ("gcd", "lcm") for i in range(3)]
    assert [p.family for p in found] == ["gcd"] * 3 + ["lcm"] * 3
    assert {(p.kind, p.labels) for p in found} == {("gym", (("level", "0"),))}


@pytest.mark.parametrize(
    ("text", "split", "generators", "level", "n"),
    [
        ("", "test", TWELVE, None, 50),
        ("train", "train", TWELVE, None, 200),
        ("gcd", "test", ("gcd",), None, 50),
        ("test-easy:7", "test-easy", TWELVE, None, 7),
        ("train:level=1:7", "train", TWELVE, 1, 7),
        ("test:gcd, compute12", "test", ("gcd", *(g for g in TWELVE if g != "gcd")), None, 50),
        ("test:count_bits:level=3:7", "test", ("count_bits",), 3, 7),
    ],
)
def test_every_part_of_a_source_may_be_left_out(text, split, generators, level, n):
    spec = parse(text)
    assert (spec.split, spec.generators, spec.level, spec.n) == (split, generators, level, n)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("trian", 'unknown generator, set or split "trian"; did you mean "train"?'),
        ("train:gdc", 'unknown generator, set or split "gdc"; did you mean "gcd"?'),
        ("train:compute21:5", 'did you mean "compute12"?'),
        ("train:gcd:0", 'cannot read "0"'),
        ("train:gcd:5:6", 'cannot read "6"'),
        ("train:gcd:level=x", 'cannot read "level=x"'),
        ("train:gcd:level=9", "there is no level 9 of gcd; the hardest is 1"),
        ("train:n_queens", '"n_queens" is not offered: its scorer evaluates the answer as code'),
        ("train@/data", 'unknown generator, set or split "train@/data"'),
        ("train:prime_factorization:9999", "prime_factorization has only 19"),
    ],
)
def test_a_source_that_does_not_fit_gets_one_line(text, why):
    with pytest.raises(UserError) as e:
        problems(text)
    assert why in str(e.value)
    assert "\n" not in str(e.value)


@pytest.fixture(scope="module")
def made() -> dict[str, list[Problem]]:
    """40 of each of the twelve, split by split, and the easy and hard ones of the other side's level."""
    return {s: problems(f"{s}:40") for s in SPLITS} | {"train hard": problems("train:level=1:40")}


def test_no_question_and_no_seed_is_on_both_sides(made):
    def seeds(*names: str) -> set[tuple[str, int]]:
        refs = [parse_ref(p.aliases[0]) for n in names for p in made[n]]
        return {(r.generator, r.seed) for r in refs if r is not None}

    def asked(*names: str) -> set[str]:
        return {p.question for n in names for p in made[n]}

    assert len(made["train"]) == len({p.question for p in made["train"]}) == 40 * len(TWELVE)
    assert asked("train", "train hard") & asked("test", "test-easy") == set()
    assert seeds("train", "train hard") & seeds("test", "test-easy") == set()
    ids = [p.id for found in made.values() for p in found]
    assert len(ids) == len(set(ids))


def test_a_text_is_on_the_same_side_wherever_it_comes_from():
    """A small generator, whose questions come up on both sides again and again."""
    train, test = problems("train:gcd:level=0:400"), problems("test:gcd:level=0:400")
    both = {p.question for p in train} | {p.question for p in test}
    assert len(both) == 800


def test_word_problems_are_split_by_template(made):
    templates = {s: {dict(p.labels).get("template") for p in made[s] if p.family == "gsm_symbolic"} for s in made}
    assert len(templates["train"]) > 10
    assert len(templates["test"]) > 5
    assert templates["train"] & (templates["test"] | templates["test-easy"]) == set()
    assert {int(t) for found in templates.values() for t in found if t} & FAULTY_TEMPLATES == set()


def test_train_is_easy_and_test_is_harder(made):
    def size(split: str, family: str) -> float:
        found = [p.question for p in made[split] if p.family == family]
        return sum(max(len(n) for n in re.findall(r"\d+", q)) for q in found) / len(found)

    for family in ("chain_sum", "products", "gcd", "lcm", "count_primes", "prime_factorization", "simple_equations"):
        assert size("train", family) == pytest.approx(size("test-easy", family), rel=0.2), family
        assert size("test", family) > 1.15 * size("train", family), family


def test_fewer_are_the_first_of_more():
    assert problems("test:lcm,gsm_symbolic:5") == [
        p for p in problems("test:lcm,gsm_symbolic:12") if int(p.id[-4:]) < 5
    ]


def test_every_process_makes_the_same_questions():
    code = (
        "import json; from agentdistill.problems.reasoning_gym import problems;"
        "print(json.dumps([[p.id, p.question, p.answer] for p in problems('train:4') + problems('test:4')]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    here = [[p.id, p.question, p.answer] for p in problems("train:4") + problems("test:4")]
    assert json.loads(done.stdout) == here


def test_questions_and_answers_are_short(made):
    for split in ("train", "test"):
        assert max(len(p.question) for p in made[split]) < 700
        assert max(len(p.answer) for p in made[split]) < 40


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    gym._library.cache_clear()
    try:
        with pytest.raises(UserError, match=r"reasoning_gym is not installed.*pip install 'agentdistill\[gym\]'"):
            problems("train:gcd:1")
    finally:
        monkeypatch.undo()
        gym._library.cache_clear()


# --- the gold answers -------------------------------------------------------------------------------------------------


def is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def value(formula: str, **names: int) -> Fraction:
    return eval(re.sub(r"\d+(\.\d+)?", r"F('\g<0>')", formula), {"F": Fraction, **names})


def base_conversion(question: str, answer: str) -> bool:
    plain = question.replace("binary", "base-2").replace("hexadecimal", "base-16")
    match = re.search(r"base-(\d+) number (\w+) to base-(\d+)", plain)
    assert match
    return int(match[2], int(match[1])) == int(answer, int(match[3]))


def simple_equations(question: str, answer: str) -> bool:
    left, right = question.partition(": ")[2].split("=")
    names = {n: int(answer) for n in set(re.findall(r"[a-z]", left))}
    return value(left, **names) == value(right, **names)


def calendar_arithmetic(question: str) -> str:
    written = re.findall(r"[A-Z][a-z]+ \d+, \d{4}|\d\d/\d\d/\d{4}", question)
    days = [datetime.strptime(d, "%m/%d/%Y" if "/" in d else "%B %d, %Y").date() for d in written]
    if "occur" in question or "How many" in question:
        first = re.search(r"[A-Z][a-z]+day, ([A-Z][a-z]+ \d+)", question)
        assert first
        start = datetime.strptime(f"{first[1]}, {days[-1].year}", "%B %d, %Y").date()
        weekday = re.search(r"(\w+day)s? (?:are|from|occur)|does (\w+day)", question)
        assert weekday
        span = (start + timedelta(days=i) for i in range((days[-1] - start).days + 1))
        return str(sum(f"{d:%A}" == (weekday[1] or weekday[2]) for d in span))
    moved = re.search(r"(\d+)(?:-day| days)", question)
    back = re.search(r"ago|before|backward", question)
    day: date = days[0] + timedelta(days=int(moved[1]) * (-1 if back else 1)) if moved else days[0]
    return f"{day:%A}"


RIGHT: dict[str, Callable[[str, str], bool]] = {
    "chain_sum": lambda q, a: value(q.partition(": ")[2].rstrip("= ")) == Fraction(a),
    "decimal_chain_sum": lambda q, a: value(q.partition(": ")[2].rstrip("= ")) == Fraction(a),
    "products": lambda q, a: math.prod(numbers(q)) == int(a),
    "gcd": lambda q, a: math.gcd(*numbers(q)) == int(a),
    "lcm": lambda q, a: math.lcm(*numbers(q)) == int(a),
    "base_conversion": base_conversion,
    "calendar_arithmetic": lambda q, a: calendar_arithmetic(q) == a,
    "fraction_simplification": lambda q, a: str(Fraction(*numbers(q))) == a.removesuffix("/1"),
    "simple_equations": simple_equations,
    "count_primes": lambda q, a: sum(map(is_prime, range(numbers(q)[0], numbers(q)[1] + 1))) == int(a),
    "prime_factorization": lambda q, a: math.prod(numbers(a)) == numbers(q)[0] and all(map(is_prime, numbers(a))),
}


@pytest.mark.parametrize("family", sorted(RIGHT))
def test_the_gold_answers_are_what_the_questions_ask_for(made, family):
    found = [p for split in ("train", "test", "test-easy") for p in made[split] if p.family == family]
    assert len(found) == 120
    assert [(p.question, p.answer) for p in found if not RIGHT[family](p.question, p.answer)] == []


def test_every_generator_of_the_table_is_offered_and_made():
    assert set(LEVELS) <= set(offered())
    for name in LEVELS:
        for level in range(len(LEVELS[name])):
            assert len(problems(f"train:{name}:level={level}:2")) == 2


def test_no_scorer_that_is_offered_runs_what_it_is_given():
    """The list of those not offered, held against the release that is installed."""
    runs = re.compile(r"\b(eval|exec|sympify|parse_expr|literal_eval|compile)\(|pickle|subprocess|os\.system")
    found = set()
    for name in offered():
        scorer = factory.DATASETS[name][0].score_answer
        if runs.search(inspect.getsource(inspect.getmodule(scorer))):
            found.add(name)
    # Its scorer computes the expression of the question, not the answer.
    assert found == {"bitwise_arithmetic"}


def test_other_generators_have_the_levels_of_their_curricula():
    easy, hard = (problems(f"train:count_bits:level={level}:5") for level in (0, 3))
    assert max(numbers(p.question)[-1] for p in easy) < max(numbers(p.question)[-1] for p in hard)
    assert [p.id for p in hard] == [f"gym-count_bits-train-level3-000{i}" for i in range(5)]
    with pytest.raises(UserError, match="refuses modulo_grid at level 1: max_target must be greater than 0"):
        list(itertools.islice(problems("test:modulo_grid:1"), 1))
