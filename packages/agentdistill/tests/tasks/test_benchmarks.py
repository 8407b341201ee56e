"""The public benchmarks as tasks: the paper's files, other forms, the hub, and what can be wrong with them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from agentdistill import scorers
from agentdistill.errors import DataError, UserError
from agentdistill.problems.benchmarks import FOLDER_VARIABLE, parse_spec
from agentdistill.problems.tasks import find_task
from agentdistill.registry import names
from agentdistill.scorers import exact
from agentdistill.types import Problem

SHARED = Path(__file__).parents[4].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the benchmark files are not in {SHARED}")
BENCHMARKS = {
    "hotpotqa": 500,
    "musique": 500,
    "two_wiki": 500,
    "bamboogle": 125,
    "math500": 500,
    "gsm_hard": 500,
    "aime": 90,
    "olymmath": 200,
}


def problems_of(source: str) -> list[Problem]:
    found = find_task(source)
    assert found is not None, source
    module, split = found
    return list(module.problems(split))


@pytest.fixture(autouse=True)
def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def test_every_benchmark_is_found_by_its_name() -> None:
    assert {*BENCHMARKS, "math", "gsm8k", "mmlu_pro", "paper", "svamp"} <= set(names("tasks"))
    assert not any(name.startswith("_") for name in names("tasks"))
    assert find_task("hotpotqa.jsonl") is None
    assert find_task("hotpotqa/hotpot_qa:train") is None
    found = find_task("hotpotqa@/data/q.json")
    assert found is not None
    assert found[1] == "test@/data/q.json"


@needs_shared
@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_papers_samples(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = problems_of(f"{name}:test@{SHARED}")
    assert len(made) == BENCHMARKS[name]
    assert len({p.id for p in made}) == len(made)
    assert {p.kind for p in made} == {"math" if name in ("math500", "gsm_hard", "aime", "olymmath") else "short"}
    monkeypatch.setenv(FOLDER_VARIABLE, str(SHARED / "benchmarks"))
    assert problems_of(name) == made
    assert problems_of(f"{name}:test:7") == made[:7]


@needs_shared
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_gold_answer_passes_its_own_scorer(name: str) -> None:
    made = problems_of(f"{name}:test@{SHARED}")
    wrong = [p.answer for p in made if not scorers.score(p.kind, p.answer, p.answer, p.aliases).correct]
    assert wrong == []
    # The same in other clothes, so that it is not the text that is compared.
    dressed = [rf"$\boxed{{{p.answer} }}$." if p.kind == "math" else f"The answer is: {p.answer}." for p in made]
    wrong = [s for s, p in zip(dressed, made, strict=True) if not scorers.score(p.kind, s, p.answer, p.aliases).correct]
    assert wrong == []


@needs_shared
@pytest.mark.parametrize("name", ["math500", "gsm_hard", "aime", "olymmath"])
def test_the_exact_comparison_reads_every_gold_answer(name: str) -> None:
    made = problems_of(f"{name}:test@{SHARED}")
    assert [p.answer for p in made if not exact.compare(rf"\boxed{{{p.answer}}}", p.answer).correct] == []


@needs_shared
def test_the_training_sets() -> None:
    made = problems_of(f"paper:train@{SHARED}")
    assert Counter(p.family for p in made) == {"hotpotqa": 1000, "math": 1996}  # four of MATH's rows have no answer
    assert len({p.id for p in made}) == len(made)
    assert len(problems_of(f"math:hard@{SHARED}")) == 998
    assert len(problems_of(f"math:medium@{SHARED}")) == 998
    tested = {p.question for p in problems_of(f"paper:test@{SHARED}")}
    assert not tested & {p.question for p in made}


@needs_shared
def test_the_paper_as_one_task() -> None:
    made = problems_of(f"paper:test:10@{SHARED}")
    assert list(Counter(p.family for p in made).values()) == [10] * 8
    assert len({p.id for p in made}) == 80
    with pytest.raises(UserError, match='paper has no split "dev"'):
        problems_of("paper:dev")


@needs_shared
def test_gsm8k_from_its_release() -> None:
    test, train = problems_of(f"gsm8k:test:660@{SHARED}"), problems_of(f"gsm8k:train@{SHARED}")
    assert (len(test), test[0].answer, test[0].kind) == (660, "18", "math")
    assert len(train) == 7473
    assert all(scorers.score("math", p.answer, p.answer).correct for p in test)


@needs_shared
def test_svamp_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(SHARED))
    made = problems_of("svamp")
    assert (len(made), len({p.id for p in made}), {p.kind for p in made}) == (1000, 1000, {"math"})
    assert (made[0].id, made[0].answer) == ("svamp-svamp_3735", "14")
    assert all(scorers.score("math", p.answer, p.answer).correct for p in made)
    assert problems_of("svamp:test:7") == made[:7]


@needs_shared
def test_one_folder_for_all_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of the data in one folder; the paper's samples come first where both are there."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(SHARED))
    sizes = {"svamp": 1000, "gsm8k": 660, "gsm_hard": 500, "math500": 500, "hotpotqa": 500}
    assert {name: len(problems_of(name)) for name in sizes} == sizes
    questions = SHARED / "questions"
    assert len(problems_of(f"gsm_hard@{questions}")) == 1319
    assert len(problems_of(f"hotpotqa@{questions}")) == 100
    paper = {p.question: p.answer for p in problems_of("gsm_hard")}
    whole = {p.question: p.answer for p in problems_of(f"gsm_hard@{questions}")}
    assert paper.items() <= whole.items()


def test_svamp_as_its_release_has_it(tmp_path: Path) -> None:
    rows = [
        {"ID": "chal-7", "Body": "Ada had 9 pens. She lost 2", "Question": "How many are left?", "Answer": 7.0},
        {"ID": "chal-8", "Body": "A rope is 5 m long.", "Question": "How long is half of it?", "Answer": "2.5"},
        {"ID": "chal-9", "Body": "No number.", "Question": "Why?", "Answer": "because"},
    ]
    (tmp_path / "SVAMP.json").write_text(json.dumps(rows))
    assert problems_of(f"svamp@{tmp_path}") == [
        Problem("svamp-chal-7", "Ada had 9 pens. She lost 2 How many are left?", "7", "math", "svamp"),
        Problem("svamp-chal-8", "A rope is 5 m long. How long is half of it?", "2.5", "math", "svamp"),
    ]


def test_mmlu_pro_has_letters_and_the_options_own_words(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mmlu_pro_test.jsonl",
        {"question_id": 70, "question": "Which?", "options": ["iron", "gold", "tin"], "answer": "B", "answer_index": 1},
        {"question_id": 71, "question": "And?", "options": ["A", "B", "C"], "answer": "C"},
    )
    first, second = problems_of(f"mmlu_pro@{path}")
    assert first.question.splitlines()[2:5] == ["A. iron", "B. gold", "C. tin"]
    for said in ("B", "b", "(B)", "B.", "gold", "B. gold"):
        assert scorers.score("short", said, first.answer, first.aliases).correct, said
    for said in ("A", "(A)", "iron", "A. iron", "gold and tin"):
        assert not scorers.score("short", said, first.answer, first.aliases).correct, said
    assert second.aliases == ()
    assert problems_of(f"mmlu_pro@{tmp_path}") == [first, second]


def test_levels_and_subjects_stay_with_their_problems(tmp_path: Path) -> None:
    row = {"problem": "2x = 4", "answer": "2", "subject": "Algebra", "level": 3, "unique_id": "test/algebra/1.json"}
    [problem] = problems_of(f"math500@{write(tmp_path / 'math_500.jsonl', row)}")
    assert (problem.family, problem.labels) == ("math500", (("level", "3"), ("subject", "Algebra")))
    question = {"question": "Which?", "options": ["iron", "gold"], "answer": "B", "category": "chemistry"}
    [problem] = problems_of(f"mmlu_pro@{write(tmp_path / 'mmlu_pro_test.jsonl', question)}")
    assert (problem.family, problem.labels) == ("mmlu_pro", (("category", "chemistry"),))


def test_math_as_the_hub_has_it(tmp_path: Path) -> None:
    rows = [
        {"problem": "a?", "level": "Level 4", "solution": r"so $\boxed{1}$, no, $\boxed{\frac{1}{2}}$."},
        {"problem": "b?", "level": "Level 1", "solution": r"$\boxed{7}$"},
        {"problem": "c?", "level": "Level 4", "solution": "no box, though } is closed"},
        {"problem": "d?", "level": "Level 4", "solution": r"\boxed{never closed"},
    ]
    (tmp_path / "math_1000.json").write_text(json.dumps(rows))
    (made,) = problems_of(f"math:hard@{tmp_path}")
    assert (made.question, made.answer, made.family) == ("a?", r"\frac{1}{2}", "math")


def test_aliases_and_other_names_of_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q.jsonl",
        {"id": "2hop__1", "question": "Who?", "answer": "Mark Twain", "answer_aliases": ["Samuel Clemens"]},
        {"Question": "Where?", "Answer": "Ulm"},
        {"input": "How many?", "target": 3.509e-07},
    )
    made = problems_of(f"musique:test@{path}")
    assert made[0] == Problem("musique-2hop__1", "Who?", "Mark Twain", "short", "musique", ("Samuel Clemens",))
    assert [p.answer for p in made[1:]] == ["Ulm", "0.0000003509"]


def test_a_dataset_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    # A folder of that name stands in for the hub: the same library call, without the network.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write(
        tmp_path / "chiayewken" / "bamboogle" / "test.jsonl",
        {"Question": "Who?", "Answer": "X"},
        {"Question": "And?", "Answer": "Y"},
    )
    made = problems_of("bamboogle")
    assert [(p.question, p.answer, p.family) for p in made] == [("Who?", "X", "bamboogle"), ("And?", "Y", "bamboogle")]
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "empty"))  # what the folder lacks comes from the hub
    assert problems_of("bamboogle") == made


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hotpotqa:dev@{folder}", 'hotpotqa has no split "dev"; there are: test, train, dev_100, train_100, train_500'),
        (
            "hotpotqa@{folder}",
            "no file of hotpotqa in it (looked for hotpotqa_500*.json, hotpot_dev_*.json, hotpotqa_distractor*.csv)",
        ),
        ("hotpotqa@{folder}/none.json", "none.json: no such file"),
        ("hotpotqa:test:x", '"test:x" is no split of a benchmark'),
        ("hotpotqa:test:0", '"test:0" is no split of a benchmark'),
        ("hotpotqa@{folder}/list.jsonl", "list.jsonl:1: expected an object, got list"),
        ("hotpotqa@{folder}/text.jsonl", "text.jsonl:1: not JSON"),
        ("hotpotqa@{folder}/bare.jsonl", "bare.jsonl:1: no question (the row has: answer)"),
        ("hotpotqa@{folder}/void.jsonl", "no problem with an answer in it"),
        ("hotpotqa@{folder}/twice.jsonl", "twice.jsonl:2: id 'hotpotqa-1' was there before"),
    ],
)
def test_what_is_wrong_is_one_clear_line(tmp_path: Path, source: str, words: str) -> None:
    write(tmp_path / "list.jsonl", [1])
    (tmp_path / "text.jsonl").write_text("so\n")
    write(tmp_path / "bare.jsonl", {"answer": "x"})
    write(tmp_path / "void.jsonl", {"question": "?", "answer": None})
    write(tmp_path / "twice.jsonl", *({"id": 1, "question": q, "answer": "x"} for q in ("a?", "b?")))
    with pytest.raises(UserError) as caught:
        problems_of(source.format(folder=tmp_path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_environment_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone: no file of aime in it"):
        problems_of("aime")


def test_a_split_taken_apart() -> None:
    assert parse_spec("train:5@~/a:b@c.json") == ("train", 5, "~/a:b@c.json")
    assert parse_spec("") == ("test", None, None)
    assert parse_spec("test:") == ("test", None, None)
