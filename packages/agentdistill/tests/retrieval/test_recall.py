"""Recall of supporting passages, in every form the datasets come in, and the command that prints it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_server import search_server

from agentdistill.cli import main
from agentdistill.errors import DataError
from agentdistill.retrieval import Passage, build_retriever
from agentdistill.retrieval.recall import Gold, Question, measure, n_missing, read_questions, recall

DATA = Path(__file__).parents[4].parent / "shared" / "data" / "retrieval"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the retrieval files are not in {DATA}")

PASSAGES = [
    Passage("Velmora", "Velmora is a town on the Aren."),
    Passage("Aren", "The Aren is a river."),
    Passage("Aren", "The Aren floods in May."),
    Passage('Eddie "The Eagle"', "A ski jumper."),
]
HOTPOT = {
    "question": "On which river is Velmora?",
    "supporting_facts": [["Velmora", 0], ["Aren", 0], ["Aren", 1]],
    "context": [["Velmora", ["Velmora is a town on the Aren."]]],
}
HUB = {"question": "On which river is Velmora?", "supporting_facts": {"title": ["Velmora", "Aren"], "sent_id": [0, 0]}}
MUSIQUE = {
    "question": "When does the river at Velmora flood?",
    "paragraphs": [
        {"idx": 0, "title": "Velmora", "paragraph_text": "Velmora is a town on the Aren.", "is_supporting": True},
        {"idx": 1, "title": "Aren", "paragraph_text": "The Aren  floods in May.", "is_supporting": True},
        {"idx": 2, "title": "Aren", "paragraph_text": "The Aren is a river.", "is_supporting": False},
    ],
}


def write(path: Path, rows: Any) -> Path:
    lines = path.suffix == ".jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"data": r}, lambda r: {"examples": r}, None])
def test_every_form_is_read(tmp_path: Path, wrap: Any) -> None:
    rows = [HOTPOT, HUB, MUSIQUE]
    name = "q.json" if wrap else "q.jsonl"
    hotpot, hub, musique = read_questions(write(tmp_path / name, wrap(rows) if wrap else rows))
    assert hotpot.gold == hub.gold == (Gold("Velmora"), Gold("Aren"))
    assert musique.gold == (Gold("Velmora", PASSAGES[0].text), Gold("Aren", "The Aren  floods in May."))


def test_a_title_is_enough_where_there_is_no_text() -> None:
    by_title, by_text = Question("?", (Gold("Velmora"), Gold("Aren"))), Question("?", (Gold("Aren", PASSAGES[2].text),))
    assert recall([PASSAGES[1]], by_title, 1) == 0.5
    assert recall([PASSAGES[2], PASSAGES[0]], by_title, 2) == 1.0
    assert recall(PASSAGES[:2], by_text, 2) == 0.0
    assert recall(PASSAGES[:3], by_text, 3) == 1.0
    assert recall([PASSAGES[3]], Question("?", (Gold("Eddie  &quot;The Eagle&quot;"),)), 1) == 1.0


@given(st.permutations(range(4)), st.sets(st.sampled_from(["Velmora", "Aren", "X"]), min_size=1))
def test_recall_grows_with_k_and_is_all_that_is_there(order: list[int], wanted: set[str]) -> None:
    found = [PASSAGES[i] for i in order]
    question = Question("?", tuple(map(Gold, sorted(wanted))))
    at = [recall(found, question, k) for k in range(6)]
    assert at == sorted(at)
    assert at[0] == 0
    assert at[5] == pytest.approx(len(wanted - {"X"}) / len(wanted))
    assert n_missing([question], PASSAGES) == len(wanted & {"X"})


def test_measured_is_the_mean_over_questions() -> None:
    questions = [Question("Velmora town", (Gold("Velmora"),)), Question("a town", (Gold("Nowhere"), Gold("Velmora")))]
    said = measure(build_retriever("bm25", PASSAGES), questions, (1, 5))
    assert (said["recall@1"], said["recall@5"], said["n_questions"]) == (0.75, 0.75, 2)
    low, high = said["intervals"]["recall@5"]
    assert 0 <= low <= 0.75 <= high <= 1
    assert said["ms_per_query"] > 0
    with pytest.raises(DataError, match="no questions"):
        measure(build_retriever("bm25", PASSAGES), [])


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no questions"),
        ({"rows": []}, "expected a list of problems"),
        ([7], r'q.json:1: no "question"'),
        ([HOTPOT, {"question": " "}], r'q.json:1: no "question"'),
        ([{"question": "Why?"}], "q.json:1: no supporting passages"),
        ([{"question": "Why?", "supporting_facts": [["A", 0], 5]}], "supporting passages cannot be read"),
        ([{"question": "Why?", "supporting_facts": {"sent_id": [0]}}], "supporting passages cannot be read"),
        ([{"question": "Why?", "supporting_facts": [[1, 0]]}], "a title is 1"),
        ([{"question": "Why?", "paragraphs": [{"is_supporting": True}]}], "supporting passages cannot be read"),
        (
            [{"question": "Why?", "paragraphs": [{"title": "A", "text": "x", "is_supporting": False}]}],
            "no supporting passages",
        ),
        ([{"question": "Why?", "paragraphs": 3}], "supporting passages cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, rows: Any, why: str) -> None:
    with pytest.raises(DataError, match=why) as caught:
        read_questions(write(tmp_path / "q.json", rows))
    assert str(tmp_path / "q.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    corpus = write(tmp_path / "c.jsonl", [{"title": p.title, "text": p.text} for p in PASSAGES])
    questions = write(tmp_path / "q.json", [HOTPOT, MUSIQUE])
    return ["retrieve-eval", "--corpus", str(corpus), "--questions", str(questions)]


def test_the_command_prints_json(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--retriever", "hybrid", "--set", "n_sources=2", "--set", 'views=["bm25","linked"]']) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["recall@10"] == 1.0
    assert {"recall@2", "recall@5", "ms_per_query", "index_s"} <= said.keys()
    assert (said["n_passages"], said["n_questions"], said["n_gold_not_in_corpus"]) == (4, 2, 0)
    assert said["settings"] == {"n_sources": 2, "views": ["bm25", "linked"]}
    index = tmp_path / "index"
    assert main([*files, "--k", "1", "3", "--limit", "1", "--index", str(index)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["retriever"] == "bm25"
    assert {k for k in said if k.startswith("recall@")} == {"recall@1", "recall@3"}
    assert sorted(p.name.split("-")[0] for p in index.iterdir()) == ["bm25", "corpus"]


def test_answers_are_looked_for_in_passages_as_they_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "The Aren is a river that flows, after many a bend past many a mill, into the Lake of Naj."
    corpus = write(tmp_path / "c.jsonl", [{"title": "Aren", "text": long}, {"title": "Lake", "text": "A lake."}])
    rows = [
        {**HUB, "question": "Where does the river Aren flow?", "answer": "lake of naj", "aliases": ["Naj Lake"]},
        {**HUB, "question": "Is the Aren a river?", "answer": "Yes"},
        {**HUB, "question": "Which river flows past mills?", "answer": "Rhine", "answer_aliases": ["the Aren"]},
    ]
    questions = write(tmp_path / "a.json", rows[:2]), write(tmp_path / "b.jsonl", rows[2:])
    command = ["retrieve-eval", "--corpus", str(corpus), str(corpus), "--questions", *map(str, questions)]
    assert main([*command, "--k", "1", "2", "--chars", "40", "500"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["n_questions"], said["n_answers"], said["questions"]) == (3, 2, [str(q) for q in questions])
    assert {k: v for k, v in said.items() if k.startswith("answer@")} == {
        "answer@1": 1.0, "answer@2": 1.0, "answer@1/40": 0.5, "answer@2/40": 0.5, "answer@1/500": 1.0,
        "answer@2/500": 1.0,
    }  # fmt: skip
    assert len(said["intervals"]["answer@2/40"]) == 2


def test_a_server_is_measured_too(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with search_server(build_retriever("bm25", PASSAGES)) as served:
        assert main(["retrieve-eval", *files[3:], "--retriever", "search-r1", "--url", served.url]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["recall@10"] == 1.0
    assert "n_passages" not in said


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (["--retriever", "bm52"], 'unknown retriever "bm52"'),
        (["--retriever", "search-r1"], "search-r1 needs --url"),
        (["--retriever", "search-r1", "--url", "http://127.0.0.1:1"], "leave --corpus out"),
        (["--url", "http://127.0.0.1:1"], 'unknown setting "url"'),
        (["--set", "k1"], "is not NAME=VALUE"),
        (["--set", "titel_weight=1"], 'did you mean "title_weight"'),
        (["--set", "k1=high"], "k1 has to be a number, got 'high'"),
        (["--k", "0"], "have to be at least 1"),
        (["--limit", "0"], "have to be at least 1"),
        (["--chars", "0"], "have to be at least 1"),
        (["--questions", "nowhere.json"], "nowhere.json: no such file"),
        (["--corpus", "nowhere.json"], "no such corpus"),
    ],
)
def test_mistakes_are_one_line(
    files: list[str], extra: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*files, *extra]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("agentdistill: ")
    assert why in said


def test_a_corpus_has_to_be_named(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retrieve-eval", *files[3:]]) == 2
    assert "bm25 needs --corpus" in capsys.readouterr().err


@needs_data
def test_hotpotqa_as_two_samples_over_one_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    ours = DATA.parent / "questions"
    csv, train = ours / "hotpotqa_distractor_100.csv", ours / "hotpotqa_train_500_with_passages.json"
    corpus = [str(p) for p in (csv, DATA / "hotpotqa_100_corpus.json", train)]
    questions = ["--questions", str(csv), str(DATA / "hotpotqa_100.json")]
    assert main(["retrieve-eval", "--corpus", *corpus, *questions, "--k", "3", "--chars", "300"]) == 0
    said = json.loads(capsys.readouterr().out)
    facts = (said["n_passages"], said["n_duplicates"], said["n_questions"], said["n_answers"])
    assert (*facts, said["n_gold_not_in_corpus"]) == (6859, 90, 200, 186, 0)
    assert said["recall@3"] == pytest.approx(0.685, abs=0.01)
    assert said["answer@3/300"] < said["answer@3"]


@needs_data
def test_the_hotpotqa_files_are_read_and_nothing_is_missing() -> None:
    from agentdistill.retrieval import read_corpus

    questions = read_questions(DATA / "hotpotqa_100.json")
    assert (len(questions), {len(q.gold) for q in questions}) == (100, {2})
    assert n_missing(questions, read_corpus(DATA / "hotpotqa_100_corpus.json")) == 0
