"""Which scorer a source's answers are for, and gold answers in the forms in which datasets have them."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentdistill import scorers
from agentdistill.errors import DataError
from agentdistill.exchange import read_trajectories
from agentdistill.problems import answer_kind, as_text, load_problems
from agentdistill.problems.answers import final_answer_of

FORMULAS = [
    "5", "-2.5", "1,000", "$1,000", "10%", "3/4", "1 1/2", "3e5", "10 km", "90°", r"\frac{1}{2}", "x^2+1", "2x+3",
    "n^2", "3xy + 2", "2+3i", "a/b", "x=5", "x < 3", "(1,2)", "[0,1]", "1, 2, 3", "sin x", "5π", "5!", "10 - 8",
    "1.5 x 10^8", "½", "1½", "-∞", "1.5M", "2 million",
]  # fmt: skip
NAMES = [
    "no", "yes", "UK", "EU", "it", "B", "(a)", "10-8", "1999-2003", "2018-01-05", "3/4/2020", "3:00", "555-1234", "3D",
    "4th", "10am", "C++", "A+", "B2", "R2-D2", "H2O", "N/A", "AC/DC", "U.S.", "80s", "1990s", "49ers", "F-16",
    "1986/87", "J. K.", "x-ray", "Paris", "9 people", "Na+", "24/7/365",
]  # fmt: skip


@pytest.mark.parametrize("answer", FORMULAS)
def test_numbers_and_formulas_are_mathematics(answer: str) -> None:
    assert answer_kind([answer]) == "math"


@pytest.mark.parametrize("answer", NAMES)
def test_short_words_scores_and_dates_are_not(answer: str) -> None:
    assert answer_kind([answer]) == "short"


def test_years_alone_are_no_arithmetic() -> None:
    assert answer_kind(["1999", "2018"]) == "short"
    assert answer_kind(["1999", "2018", "7"]) == "math"


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.mark.parametrize("limit", [None, 1, 3, 5])
def test_the_kind_is_the_sources_whatever_is_taken_of_it(tmp_path: Path, limit: int | None) -> None:
    numbers = [{"question": f"{i}?", "answer": str(i)} for i in range(20)]
    words = [{"question": "w?", "answer": "Rome"}, *numbers]
    assert {p.kind for p in load_problems(write(tmp_path / "a.jsonl", words), limit=limit).problems} == {"math"}
    mixed = [*numbers[:5], *({"question": f"{i}?", "answer": f"Mount {i}"} for i in range(9)), {"question": "no gold"}]
    assert {p.kind for p in load_problems(write(tmp_path / "b.jsonl", mixed), limit=limit).problems} == {"short"}
    talks = [
        {**r, "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "A"}]} for r in mixed
    ]
    read = read_trajectories(str(write(tmp_path / "c.jsonl", talks)), limit=limit)
    assert {t.problem.kind for t in read.traces} == {"short"}


def test_every_imported_row_has_the_kind_of_its_source_or_its_own(tmp_path: Path) -> None:
    def row(answer: str, **more: object) -> dict[str, object]:
        said = [{"role": "user", "content": answer}, {"role": "assistant", "content": f"Answer: {answer.upper()}"}]
        return {"question": f"{answer}?", "answer": answer, "messages": said, **more}

    rows = [row("no"), row("10-8"), row("no way"), row("7"), row("8", kind="math")]
    traces = read_trajectories(str(write(tmp_path / "t.jsonl", rows)), method="cot").traces
    assert [t.problem.kind for t in traces] == ["short", "short", "short", "short", "math"]
    assert all(t.correct for t in traces)


# --- gold answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("She has 4/2 = <<4/2=2>>2 left.\n#### 2", "2"),
        ("Sum:\n\n####  1,500  \n", "1,500"),
        ("One.\n#### 7\nThe answer is: 7", "7"),
        (r"So $x = 3$ and the area is $\boxed{\frac{9}{2}}$ in all.", r"\frac{9}{2}"),
        ("First we add.\nThe answer is 12.", "12"),
        ("One.\n####\n7.", "7"),
        ("One. #### $7", "$7"),
        ("One.\n#### \\boxed{7}", "7"),
        ("One.\n#### The answer is 7", "7"),
        ("<think>\n3 + 4\n</think>\n\n<answer> 7 </answer>", "7"),
        ("<think>\n3 + 4\n</think>\n7", "7"),
        ("One.\n\n### Answer\n7", "7"),
        ("One.\n**Final Answer**\n\n7", "7"),
        ("One.\nFinal Answer: The final answer is 7. I hope it is correct.", "7"),
        ("She eats three. Four are left. The answer is 7.", "7"),
        ("So the answer is (B).", "(B)"),
        ("The #### sign", "The #### sign"),
        ("Roses are red. The answer is love.", "Roses are red. The answer is love."),
        ("Answer: one\nof two lines", "Answer: one\nof two lines"),
        ("The Answer: a life", "The Answer: a life"),
        ("#### Heading\nand text below it", "#### Heading\nand text below it"),
        ("Paris", "Paris"),
    ],
)
def test_a_worked_solution_is_the_answer_it_ends_in(text: str, answer: str) -> None:
    assert final_answer_of(text) == answer


def test_solutions_in_the_answers_place_are_graded(tmp_path: Path) -> None:
    rows = [
        {"question": f"q{i}", "answer": f"It is {i}+{i} = <<{i}+{i}={2 * i}>>{2 * i}.\n#### {2 * i}"} for i in range(4)
    ]
    loaded = load_problems(write(tmp_path / "gsm.jsonl", rows))
    assert [(p.kind, scorers.score(p.kind, str(2 * i), p.answer).correct) for i, p in enumerate(loaded.problems)] == [
        ("math", True)
    ] * 4
    assert loaded.warnings == ()


def test_golds_longer_than_any_answer_are_told(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"question": "a?", "answer": "because " * 60}, {"question": "b?", "answer": "yes"}]
    loaded = load_problems(write(tmp_path / "long.jsonl", rows))
    [line] = loaded.warnings
    assert "1 of 2 gold answers have over 300 characters" in line
    assert "fields = { answer" in line
    assert load_problems(tmp_path / "long.jsonl", kind="gym").warnings == ()
    rows = [
        {"question": f"{i}?", "answer": f"She has {i} eggs and buys {i} more, and so she has {i}."} for i in range(4)
    ]
    assert "4 of 4 gold answers have over 12 words" in load_problems(write(tmp_path / "s.jsonl", rows)).warnings[0]


def test_answers_with_aliases_in_one_object(tmp_path: Path) -> None:
    trivia = {"value": "Sinclair Lewis", "aliases": ["Harry Lewis", "Sinclair Lewis"], "type": "x"}
    squad = {"text": ["in 1999", "1999"], "answer_start": [5, 8]}
    drop = {"number": "", "date": {"day": ""}, "spans": ["Velm", "Orla"]}
    verl = {"ground_truth": "7", "style": "rule"}
    rows = [{"question": f"{i}?", "answer": a} for i, a in enumerate([trivia, squad, drop, verl, {}])]
    loaded = load_problems(write(tmp_path / "t.jsonl", rows))
    assert [(p.answer, p.aliases) for p in loaded.problems] == [
        ("Sinclair Lewis", ("Harry Lewis",)), ("in 1999", ("1999",)), ("Velm", ("Orla",)), ("7", ()),
    ]  # fmt: skip
    assert 't.jsonl:5: "answer" holds dict, not text' in loaded.skipped[0]
    with pytest.raises(DataError, match="holds dict"):
        load_problems(tmp_path / "t.jsonl", strict=True)


@pytest.mark.parametrize("cell", ['["Velm", "Orla"]', "['Velm' 'Orla']", "['Velm', 'Orla']"])
def test_aliases_in_a_cell_of_a_table_are_a_list(cell: str, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"question": "a?", "answer": "Ruo", "aliases": cell}]
    assert load_problems(write(tmp_path / "t.jsonl", rows)).problems[0].aliases == ("Velm", "Orla")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime.date(2018, 1, 5), "2018-01-05"),
        (datetime.datetime(2018, 1, 5), "2018-01-05"),
        (datetime.datetime(2018, 1, 5, tzinfo=datetime.UTC), "2018-01-05"),
        (datetime.datetime(2018, 1, 5, 13, 30), "2018-01-05 13:30:00"),
        (datetime.time(7, 5), "07:05:00"),
    ],
)
def test_dates_as_values_are_text(value: object, text: str) -> None:
    assert as_text(value) == text


def test_date_columns_of_parquet_are_answers(tmp_path: Path) -> None:
    rows = [{"question": f"{d}?", "answer": datetime.date(2018, 1, d)} for d in (5, 6)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    stamps = pa.array([datetime.datetime(2018, 1, d) for d in (5, 6)], pa.timestamp("s"))
    pq.write_table(pa.table({"question": ["a", "b"], "answer": stamps}), tmp_path / "s.parquet")
    for name in ("d", "s"):
        problems = load_problems(tmp_path / f"{name}.parquet").problems
        assert [(p.answer, p.kind) for p in problems] == [("2018-01-05", "short"), ("2018-01-06", "short")]
        assert scorers.score("short", "January 5, 2018", problems[0].answer).correct
        assert not scorers.score("short", "2018", problems[0].answer).correct
