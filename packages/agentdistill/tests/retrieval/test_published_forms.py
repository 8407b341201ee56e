"""A corpus of questions with their passages, in every form the datasets are published in, and of several sources."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.errors import DataError, UserError
from agentdistill.problems import benchmarks, load_problems, passages_beside, supporting_titles
from agentdistill.problems.tasks import open_search
from agentdistill.retrieval import Passage, build_retriever, load_corpus, open_corpus
from agentdistill.retrieval.corpus import Distinct

SHARED = Path(__file__).parents[4].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the HotpotQA files are not in {SHARED}")
HOTPOTQA = [
    "questions/hotpotqa_distractor_100.csv",
    "retrieval/hotpotqa_100_corpus.json",
    "questions/hotpotqa_train_500_with_passages.json",
]

TITLES = ["Naj", 'The "Aren"', "Woman's Era"]
SENTENCES = [
    ['"Naj" is a town; "" is not.', " It lies\non the Aren's bank."],
    ["The \\Aren\\ is a river, array(['x'], dtype=object)."],
    ["An era: ..., said 'she' to \"him\"."],
]
PASSAGES = [Passage(t, "".join(s)) for t, s in zip(TITLES, SENTENCES, strict=True)]
QUESTION = {"id": "q1", "question": "On which river is Naj?", "answer": "the Aren"}
FACTS = [["Naj", 1], ['The "Aren"', 0], ["Naj", 0]]


def arrays(titles: list[str], sentences: list[list[str]]) -> dict[str, Any]:
    """The context as pandas holds it: arrays of objects in an array of objects."""
    bodies = np.empty(len(sentences), dtype=object)
    for i, s in enumerate(sentences):
        bodies[i] = np.array([*s, None], dtype=object)[:-1]
    return {"title": np.array([*titles, None], dtype=object)[:-1], "sentences": bodies}


def original(path: Path) -> None:
    context = [[t, s] for t, s in zip(TITLES, SENTENCES, strict=True)]
    row = {**QUESTION, "context": context, "supporting_facts": FACTS}
    path.write_text(json.dumps([row]) if path.suffix == ".json" else json.dumps(row))


def from_the_hub(path: Path) -> None:
    facts = {"title": [t for t, _ in FACTS], "sent_id": [i for _, i in FACTS]}
    row = {**QUESTION, "context": {"title": TITLES, "sentences": SENTENCES}, "supporting_facts": facts}
    pq.write_table(pa.Table.from_pylist([row]), path)


def printed_by_pandas(path: Path) -> None:
    facts = {"title": np.array([t for t, _ in FACTS], dtype=object), "sent_id": np.array([1, 0, 0], dtype=np.int32)}
    row = {**QUESTION, "supporting_facts": str(facts), "context": str(arrays(TITLES, SENTENCES))}
    assert "dtype=object)" in row["context"]
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, list(row))
        writer.writeheader()
        writer.writerow(row)


def musique(path: Path) -> None:
    supporting = {t for t, _ in FACTS}
    rows = [
        {"title": p.title, "paragraph_text": p.text, "is_supporting": p.title in supporting, "idx": i}
        for i, p in enumerate(PASSAGES)
    ]
    path.write_text(json.dumps({**QUESTION, "paragraphs": rows}))


FORMS = [("q.json", original), ("q.jsonl", original), ("q.parquet", from_the_hub), ("q.csv", printed_by_pandas)]
FORMS = [*FORMS, ("m.jsonl", musique)]


@pytest.mark.parametrize(("name", "write"), FORMS, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_every_form_gives_the_same_passages_and_titles(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    assert load_corpus(tmp_path / name) == PASSAGES
    assert list(open_corpus(tmp_path / name, tmp_path / "index")) == PASSAGES
    task = "musique" if name == "m.jsonl" else "hotpotqa"
    assert list(open_search(f"{task}:test@{tmp_path / name}", tmp_path / "index")) == PASSAGES
    problems = [*load_problems(tmp_path / name).problems, *benchmarks.HOTPOTQA.problems(f"test@{tmp_path / name}")]
    assert [p.supporting for p in problems] == [("Naj", 'The "Aren"')] * 2


def test_samples_are_found_by_the_names_of_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTDISTILL_DATA", raising=False)
    with pytest.raises(
        UserError, match=r"hotpotqa:dev_100: no file of it given .* name the folder in AGENTDISTILL_DATA"
    ):
        benchmarks.HOTPOTQA.problems("dev_100")
    (tmp_path / "questions").mkdir()
    printed_by_pandas(tmp_path / "questions" / "hotpotqa_distractor_100.csv")
    original(tmp_path / "hotpotqa_100.json")
    assert [p.id for p in benchmarks.HOTPOTQA.problems(f"dev_100@{tmp_path}")] == ["hotpotqa-q1"]
    splits = ("test", "dev_100", "train_100")
    families = [{p.family for p in benchmarks.HOTPOTQA.problems(f"{split}@{tmp_path}")} for split in splits]
    assert families == [{"hotpotqa"}, {"hotpotqa-dev"}, {"hotpotqa-train100"}]
    [named] = benchmarks.HOTPOTQA.problems(f"train_100@{tmp_path / 'hotpotqa_100.json'}")
    assert named.family == "hotpotqa-train100"
    monkeypatch.setenv("AGENTDISTILL_DATA", str(tmp_path))
    corpus = open_search(["hotpotqa:dev_100", "hotpotqa:train_100"], tmp_path / "index")
    assert (list(corpus), corpus.n_duplicates) == (PASSAGES, len(PASSAGES))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_what_pandas_prints_is_read_back(context: list[tuple[str, list[str]]]) -> None:
    values = arrays([t for t, _ in context], [s for _, s in context])
    plain = {"title": [t for t, _ in context], "sentences": [s for _, s in context]}
    assert passages_beside({"context": repr(values)}) == passages_beside({"context": plain})
    titles = repr({"title": values["title"], "sent_id": np.arange(len(context), dtype=np.int32)})
    assert supporting_titles({"supporting_facts": titles}) == tuple(dict.fromkeys(plain["title"]))


@given(st.text(max_size=40) | st.text("[](){},:'\"\\ar0.-ey\n", max_size=30))
def test_any_other_cell_is_an_error_and_nothing_is_run(cell: str) -> None:
    with suppress(ValueError):
        assert isinstance(passages_beside({"context": cell}), list)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("{'title': array(['a', ..., 'z'], dtype=object)}", r"numpy left out values at character 22 \(\.\.\.\)"),
        ("__import__('os').getcwd()", "expected a value at character 0"),
        ("[['a', ['b']]", "at character 13, found the end"),
        ("{'title': ['a'], 'sentences': []}", "as many sentence lists as titles"),
        ("{'title': ['a']}", "as many sentence lists as titles"),
        ("[[1, ['b']]]", "a title is 1"),
        ("[" * 60, "nested more than"),
        ("A plain text.", "expected a value"),
    ],
)
def test_a_broken_cell_is_named(tmp_path: Path, cell: str, why: str) -> None:
    path = tmp_path / "q.csv"
    with path.open("w", newline="") as f:
        csv.writer(f).writerows([["question", "context"], ["Why?", cell]])
    with pytest.raises(DataError, match=why) as caught:
        load_corpus(path)
    assert f"{path}:2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_sources_are_one_corpus_and_duplicates_are_left_out(tmp_path: Path) -> None:
    original(tmp_path / "a.json")
    printed_by_pandas(tmp_path / "b.csv")
    (tmp_path / "c.jsonl").write_text('{"title": "Naj", "text": "Another Naj."}\n')
    sources = [str(tmp_path / n) for n in ("a.json", "b.csv", "c.jsonl")]
    both = [*PASSAGES, Passage("Naj", "Another Naj.")]
    assert load_corpus(sources) == both
    mapped = open_corpus(sources, tmp_path / "index")
    assert (list(mapped), mapped.n_duplicates) == (both, len(PASSAGES))
    mixed = open_search([*sources, f"hotpotqa@{tmp_path / 'a.json'}"], tmp_path / "index")
    assert (list(mixed), mixed.n_duplicates, mixed.digest) == (both, 2 * len(PASSAGES), mapped.digest)
    assert build_retriever("bm25", mapped).search("Another", 1) == [both[-1]]
    assert load_corpus([sources[0], f"{tmp_path}/*.json"]) == PASSAGES  # one file, named twice
    with pytest.raises(DataError, match="no such corpus"):
        load_corpus([*sources, str(tmp_path / "none.json")])


@given(st.lists(st.integers(0, 6000), max_size=9000))
def test_each_passage_is_taken_once_however_many_there_are(numbers: list[int]) -> None:
    numbers = [n * 7919 % 6001 for n in numbers] + [*range(4000), *range(3000)]  # past where the table grows
    found = Distinct(Passage(str(n), "") for n in numbers)
    assert [p.title for p in found] == list(map(str, dict.fromkeys(numbers)))
    assert found.n_duplicates == len(numbers) - len(set(numbers))


def test_a_table_of_titles_and_texts(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('title,text\nAren,"A river, long."\nNaj,A town.\n')
    assert load_corpus(tmp_path / "c.csv") == [Passage("Aren", "A river, long."), Passage("Naj", "A town.")]
    (tmp_path / "c.md").write_text("words")
    assert load_corpus(tmp_path) == [Passage("c", "words")]  # a table among documents is not one of them
    (tmp_path / "d.csv").write_text("title,text\nAren,a,b\n")
    with pytest.raises(DataError, match=r"d\.csv:2: more cells"):
        load_corpus(tmp_path / "d.csv")


def test_a_task_without_passages_says_so(tmp_path: Path) -> None:
    (tmp_path / "q.json").write_text(json.dumps([QUESTION]))
    with pytest.raises(UserError, match="no passages beside the question; name a corpus of its own"):
        open_search(f"hotpotqa@{tmp_path / 'q.json'}", tmp_path)
    with pytest.raises(UserError, match='task "gsm8k" brings no corpus'):
        open_search(["gsm8k"], tmp_path)


@needs_shared
def test_the_hotpotqa_files_are_one_corpus(tmp_path: Path) -> None:
    corpus = open_corpus([SHARED / f for f in HOTPOTQA], tmp_path)
    assert (len(corpus), corpus.n_duplicates) == (6859, 90)
    assert len(load_corpus(SHARED / HOTPOTQA[0])) == 1000  # ten a question, none of them twice
