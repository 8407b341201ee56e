"""Which training questions count as test questions, on pairs as they are found in public sets and on templates."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.cli import main
from agentdistill.pipeline.run import Run
from agentdistill.problems.contamination import Screening, normalise, screen, told
from agentdistill.recipe import load_recipe
from agentdistill.types import Problem

RECIPES = Path(__file__).parents[4] / "recipes"


def problems(*questions: str, family: str = "f") -> list[Problem]:
    return [Problem(f"{family}{i}", q, "1", "math", family) for i, q in enumerate(questions)]


def level(train: str, test: str) -> str | None:
    (match,) = screen(problems(train), problems(test)).matches
    return None if match is None else match.level


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Tom has 3 pens.", "tom has 3 pens ."),
        ("Tom's dog ate 1,500 g; why?", "Tom’s dog  ate 1500.0 g — WHY"),
        ("dean 's height is 6 feet . he did n't grow", "Dean's height is 6 feet. He didn't grow."),
        ("Ｆｕｌｌ width ½", "full width 1⁄2"),
        ("She has three cats.", "She has 3 cats."),
        ("pay $ 4.50 now", "Pay $4.5, now!"),
        (r"solution set of $|x-2| \leq 5.6$?", r"Solution set of $|x - 2|\leq5.6$"),
        ("東京の人口は？", "東京の人口は"),
    ],
)
def test_what_is_equal(a: str, b: str) -> None:
    assert normalise(a) == normalise(b)
    assert level(a, b) == level(b, a) == "equal"


@pytest.mark.parametrize(
    ("a", "b"),
    [("What is 4 + 3?", "What is 4 - 3?"), ("Is x < 5?", "Is x > 5?"), ("3.5 km", "35 km"), ("¬P ∨ Q", "P ∨ Q")],
)
def test_numbers_and_signs_are_kept(a: str, b: str) -> None:
    assert normalise(a) != normalise(b)
    assert level(a, b) is None


NEAR = [
    (
        "Sara grew 43 pumpkins, but the rabbits ate 23 pumpkins. How many pumpkins does Sara have left ?",
        "Sara grew 43 pumpkins , but the rabbits ate 23 pumpkins . How many pumpkins does Sara have ?",
    ),
    (
        "Connie has 2315 red markers and 1028 blue markers. How many markers does Connie have altogether?",
        "connie has 2315 red markers and 1028 blue markers . how many markers does she have altogether ?",
    ),
    (
        "If you had 37 bags of cookies with 19 cookies in each bag, how many cookies would you have?",
        "How many cookies would you have if you had 37 bags of cookies with 19 cookies in each bag?",
    ),
    (
        "Which river flows through the town in which the painter of the Mill at Tasch was born?",
        "Please tell me which river flows through the town in which the painter of the Mill at Tasch was born.",
    ),
    ("แม่น้ำโขงไหลผ่านประเทศใดบ้างในเอเชีย", "แม่น้ำโขงไหลผ่านประเทศใดในเอเชีย"),
]
DIFFERENT = [
    (  # SVAMP's way: MAWPS' text, other numbers
        "danny collects bottle caps . he found 18 bottle caps at the park . now he has 55 . how many had he at first ?",
        "danny collects bottle caps . he found 66 bottle caps at the park . now he has 25 . how many had he at first ?",
    ),
    ("How many ways are there to put 5 balls in 3 boxes?", "How many ways are there to put 5 balls in 2 boxes?"),
    ("Who is the employer of the author of The Last Turu?", "Who is the employer of the author of The Last Gilu?"),
    ("When was the person who founded Movo Lines born?", "Where was the person who founded Movo Lines born?"),
    ("Which genus has more species, Cardiospermum or Chestnut?", "Which genus has more species, Eucryphia or Lepi?"),
    ("What is 5 + 7 - 3?", "What is 5 - 7 + 3?"),
]


@pytest.mark.parametrize(("a", "b"), NEAR)
def test_small_edits_are_near(a: str, b: str) -> None:
    assert level(a, b) == level(b, a) == "near"


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_other_numbers_or_names_make_another_question(a: str, b: str) -> None:
    assert level(a, b) is level(b, a) is None


WORDS = (
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "heath",
    "islet", "knoll", "larch", "marsh", "north", "olive", "pearl", "quill",
)  # fmt: skip


@given(st.permutations(WORDS), st.integers(2, 99), st.integers(2, 99), st.data())
def test_one_word_more_or_less_is_near_and_one_number_is_not(
    words: list[str], m: int, n: int, data: st.DataObject
) -> None:
    base = [*words, str(m), "and", str(n)]
    at = data.draw(st.integers(0, len(words)))
    text = " ".join(base)
    assert level(text, " ".join([*base[:at], "really", *base[at:]])) == "near"
    assert level(text, " ".join([*words, str(m), "and", str(n + 1)])) is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_normalising_is_blind_to_case_and_blanks_and_symmetric(a: str, b: str) -> None:
    assert normalise(f"  {a}\n\t") == normalise(a)
    assert level(a, a) == "equal"
    assert level(a, b) == level(b, a)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9))
def test_normalising_is_blind_to_punctuation(words: list[str]) -> None:
    assert normalise(", ".join(words).title() + "?!") == normalise(" ".join(words)) == tuple(words)


def test_a_template_filled_in_otherwise_is_another_question() -> None:
    """No number and no capital tells these apart, but the words of the template are common to all of them."""
    rng = random.Random(0)
    payloads = [" ".join(rng.sample(WORDS, 10)) for _ in range(200)]
    filled = [f"Put the words of this sentence into the order of the alphabet, please: {p}" for p in payloads]
    assert screen(problems(*filled[:150]), problems(*filled[150:])).found == ()
    edited = filled[180].replace(", please:", ":")
    again = screen(problems(*filled[:150], edited), problems(*filled[150:]))
    assert [(m.level, m.test.question) for m in again.found] == [("near", filled[180])]


def test_the_nearest_test_question_is_named_and_an_equal_one_first() -> None:
    (a, b), (c, _) = NEAR[:2]
    test = [*problems(b, c, family="t"), *problems(a, family="u")]
    near, equal, clean = screen(problems(a + " Tell me.", c, "Where is Tasch?"), test).matches
    assert near is not None
    assert equal is not None
    assert (near.level, near.test.family) == ("near", "u")
    assert (equal.level, equal.test.id, equal.overlap) == ("equal", "t1", 1.0)
    assert clean is None


def made() -> Screening:
    (a, b), (c, d) = NEAR[:2]
    train = [*problems(a, "Where is Tasch?", family="mwp"), *problems(d, d, family="gsm")]
    return screen(train, [*problems(b, family="x"), *problems(c, "What?", family="y"), *problems(d, family="z")])


def test_what_is_dropped_is_counted_by_family() -> None:
    facts = made().facts()
    assert made().kept("abcd") == ("b",)
    assert (facts["n"], facts["n_test"], facts["equal"], facts["near"]) == (4, 4, 2, 1)
    assert facts["groups"] == [
        {"train": "gsm", "test": "z", "equal": 2, "near": 0},
        {"train": "mwp", "test": "x", "equal": 0, "near": 1},
    ]
    assert [e["level"] for e in facts["examples"]] == ["near", "equal", "equal"]
    assert told(facts) == "3 of 4 training questions are test questions too (2 equal, 1 near): dropped"
    assert told({**facts, "equal": 0, "near": 0}) == "none of 4 training questions is one of the 4 test questions"
    kept = Screening(made().matches, 4, drop=False)
    assert kept.kept("abcd") == tuple("abcd")
    assert told(kept.facts()).endswith("near): kept")


def test_examples_are_few() -> None:
    text = [f"How many pens are in box number {i} of the shelf?" for i in range(50)]
    facts = screen(problems(*text), problems(*text)).facts()
    assert (facts["equal"], len(facts["examples"])) == (50, 5)


def test_thousands_against_thousands_take_seconds() -> None:
    rng = random.Random(0)
    vocabulary = [a + b for a in WORDS for b in WORDS]

    def text() -> str:
        return "How many of the " + " ".join(rng.choices(vocabulary, k=30)) + " are there?"

    train, test = [text() for _ in range(5_000)], [text() for _ in range(1_500)]
    started = time.process_time()
    found = screen(problems(*train, test[7] + " Say it."), problems(*test)).found
    assert [m.test.question for m in found] == [test[7]]
    assert time.process_time() - started < 20  # two or so; a comparison of all pairs takes minutes


@pytest.mark.parametrize("name", ["tinyworld", "tinyworld-table", "tinyworld-onpolicy", "tinyworld-replay"])
def test_tinyworld_asks_nothing_twice(name: str, tmp_path: Path) -> None:
    run = Run(load_recipe(RECIPES / f"{name}.toml"), tmp_path)
    assert run.screening is not None
    assert len(run.screening.matches) >= 200
    assert run.screening.found == ()
    fresh = run.screen(run.load("tinyworld:practice:150")[0])
    assert fresh is not None
    assert fresh.found == ()


def write(path: Path, *questions: str) -> str:
    path.write_text("".join(json.dumps({"question": q, "answer": "1"}) + "\n" for q in questions))
    return str(path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (a, b), (_, d) = NEAR[:2]
    train = write(tmp_path / "mine.jsonl", a, d, "Where is Tasch?")
    sources = [train, write(tmp_path / "x.jsonl", b), write(tmp_path / "y.jsonl", d)]
    assert main(["contamination", *sources]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "2 of 3 training questions are test questions too (1 equal, 1 near)",
        "  mine in x: 0 equal, 1 near",
        "  mine in y: 1 equal, 0 near",
    ]
    assert [line for line in lines if line.startswith(("near", "equal"))] == [
        "near, overlap 0.93",
        "equal, overlap 1.00",
    ]
    assert main(["contamination", *sources, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["equal"], facts["near"], len(facts["examples"])) == (1, 1, 2)
    assert main(["contamination", train, "tinyworld:test:5", "--show", "0"]) == 0
    assert capsys.readouterr().out == "none of 3 training questions is one of the 40 test questions\n"


def test_the_command_reads_trajectories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = NEAR[0]
    messages = [{"role": "user", "content": a}, {"role": "assistant", "content": "Answer: 20"}]
    (tmp_path / "t.jsonl").write_text(json.dumps({"messages": messages}))
    assert main(["contamination", str(tmp_path / "t.jsonl"), write(tmp_path / "x.jsonl", b)]) == 0
    assert "(0 equal, 1 near)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere.jsonl", "tinyworld:test:5"], "nowhere.jsonl: no such file"),
        (["tinyworld:test:5", "tinyworld:dev"], "dev"),
        (["tinyworld:test:5", "tinyworld:test:5", "--show", "-1"], "--show has to be at least 0"),
    ],
)
def test_what_the_command_refuses_is_one_line(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contamination", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
