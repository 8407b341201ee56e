import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill import scorers
from agentdistill.errors import DataError, InfrastructureError
from agentdistill.problems import as_text, load_problems
from agentdistill.types import Problem

BENCHMARKS = Path(__file__).parents[4].parent / "shared" / "data" / "benchmarks"
ROWS = [
    {"id": 7, "question": "Where is Tasch?", "answer": "In Orvia", "family": "hop", "aliases": ["Orvia", "In Orvia"]},
    {"id": "b", "question": "When?", "answer": "the year 1999"},
]
EXPECTED = (
    Problem("7", "Where is Tasch?", "In Orvia", "short", "hop", ("Orvia",)),
    Problem("b", "When?", "the year 1999", "short", "q"),
)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return path


def jsonl(rows):
    return "".join(json.dumps(r) + "\n" for r in rows)


def save(folder, kind):
    path = folder / f"q.{kind.partition('-')[0]}"
    if kind == "jsonl":
        return write(path, jsonl(ROWS))
    if kind == "json":
        return write(path, ROWS)
    if kind == "json-examples":
        return write(path, {"metadata": {"examples_range": [1, 2]}, "examples": ROWS})
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([{**r, "id": str(r["id"])} for r in ROWS]), path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "json-examples", "parquet"])
def test_every_format_gives_the_same_problems(tmp_path, kind):
    loaded = load_problems(save(tmp_path, kind))
    assert loaded.problems == EXPECTED
    assert loaded.skipped == ()
    assert len(loaded) == 2


@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_csv_and_tsv(tmp_path, ending, delimiter):
    path = tmp_path / f"q.{ending}"
    with path.open("w", newline="", encoding="utf-8-sig") as f:  # spreadsheets write the mark
        out = csv.writer(f, delimiter=delimiter)
        out.writerows(
            [["question", "answer"], ["Two\nlines, here?", "5"], ["", "6"], ["Three?", "7", "8"], ["Four?", "9"]]
        )
    loaded = load_problems(path, kind="math")
    assert [(p.question, p.answer) for p in loaded.problems] == [("Two\nlines, here?", "5"), ("Four?", "9")]
    assert loaded.skipped == (
        f'{path}:4: "question" is empty',
        f"{path}:5: more cells than the header has columns",
    )


def test_a_dataset_by_name(tmp_path, monkeypatch):
    import datasets

    # A folder of that name stands in for the hub: the same library call, without the network.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "someone" / "riddles").mkdir(parents=True)
    write(
        tmp_path / "someone" / "riddles" / "train.jsonl", jsonl([{"question": f"q{i}?", "answer": i} for i in range(5)])
    )
    loaded = load_problems("someone/riddles:train", limit=3)
    assert [(p.question, p.answer, p.family, p.kind) for p in loaded.problems] == [
        (f"q{i}?", str(i), "riddles", "math") for i in range(3)
    ]
    with pytest.raises(DataError, match=r"someone/riddles:test: Unknown split"):
        load_problems("someone/riddles:test")


def test_a_hub_out_of_reach_is_not_the_users_mistake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InfrastructureError, match="someone/else:train: the hub cannot be reached"):
        load_problems("someone/else:train")


def test_fields_are_mapped_and_kind_and_family_given(tmp_path):
    path = write(tmp_path / "q.jsonl", jsonl([{"prompt": "q?", "gold": ["5", "five"], "alt": "V", "no": 3}]))
    fields = {"question": "prompt", "answer": "gold", "aliases": "alt", "id": "no"}
    (problem,) = load_problems(path, fields=fields, kind="short", family="mine").problems
    assert problem == Problem("3", "q?", "5", "short", "mine", ("five", "V"))
    with pytest.raises(DataError, match='no problem field is called "anwser"'):
        load_problems(path, fields={"anwser": "gold"})
    with pytest.raises(DataError, match='unknown scorer "essay"'):
        load_problems(path, kind="essay")


def test_the_kind_is_found_for_the_whole_source_unless_rows_say(tmp_path):
    numbers = [
        {"question": f"{i}?", "answer": a} for i, a in enumerate([5, -2.5, r"\frac{1}{2}", "x^2+1", "1,000", "10%"])
    ]
    assert {p.kind for p in load_problems(write(tmp_path / "a.jsonl", jsonl(numbers))).problems} == {"math"}
    words = [{"question": f"{i}?", "answer": a} for i, a in enumerate(["Rome", "1999", "yes", "9 people", "42"])]
    assert {p.kind for p in load_problems(write(tmp_path / "b.jsonl", jsonl(words))).problems} == {"short"}
    mixed = [{"question": "a?", "answer": "5", "kind": "short"}, {"question": "b?", "answer": "6"}]
    assert [p.kind for p in load_problems(write(tmp_path / "c.jsonl", jsonl(mixed))).problems] == ["short", "math"]


def test_ids_are_made_from_the_content_and_stay_the_same(tmp_path):
    rows = [{"question": "a?", "answer": "x"}, {"question": "b?", "answer": "x"}]
    first = [p.id for p in load_problems(write(tmp_path / "a.jsonl", jsonl(rows))).problems]
    second = [p.id for p in load_problems(write(tmp_path / "b.jsonl", jsonl(rows[::-1]))).problems]
    assert first == second[::-1]
    assert len(set(first)) == 2


BAD = """{"id": 1, "question": "a?", "answer": "x"}
{"id": 2, "question": "b?"}

{"id": 3, "question": "c?", "answer": ""}
{"id": 4, "answer": "x"}
not json
[1, 2]
{"id": 1, "question": "d?", "answer": "x"}
{"id": 5, "question": "e?", "answer": {"value": 5}}
{"id": 6, "question": "f?", "answer": "x", "kind": "essay"}
{"id": 7, "question": "g?", "answer": null}
{"id": 8, "question": "h?", "answer": "x"}
"""
REASONS = [
    '2: no "answer" (the row has: id, question)',
    '4: "answer" is empty',
    '5: no "question" (the row has: id, answer)',
    "6: not JSON (Expecting value)",
    "7: expected an object, got list",
    "8: id '1' was there before",
    '9: "answer" holds dict, not text',
    '10: unknown scorer in "kind": "essay" (there are: gym, math, short)',
    '11: "answer" is empty',
]


def test_bad_rows_are_skipped_and_reported_by_file_and_line(tmp_path):
    path = write(tmp_path / "questions.jsonl", BAD)
    loaded = load_problems(path)
    assert [p.id for p in loaded.problems] == ["1", "8"]
    assert list(loaded.skipped) == [f"{path}:{reason}" for reason in REASONS]


def test_strict_stops_at_the_first(tmp_path):
    path = write(tmp_path / "questions.jsonl", BAD)
    with pytest.raises(DataError) as caught:
        load_problems(path, strict=True)
    assert str(caught.value) == f"{path}:{REASONS[0]}"


def test_rows_of_a_json_file_are_named_by_line_too(tmp_path):
    text = '{"metadata": {},\n"examples": [\n  {"question": "a?", "answer": "x"},\n  {"question":\n "b?"}]}'
    path = write(tmp_path / "q.json", text)
    assert load_problems(path).skipped == (f'{path}:4: no "answer" (the row has: question)',)


def test_limit_counts_good_rows_and_reads_no_further(tmp_path):
    loaded = load_problems(write(tmp_path / "q.jsonl", BAD), limit=1)
    assert [p.id for p in loaded.problems] == ["1"]
    assert loaded.skipped == ()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("q.jsonl", "", "no problems in it"),
        ("q.json", "[]", "no problems in it"),
        ("q.csv", "", "no problems in it"),
        ("q.json", '[\n{"question": 1,\n]', "q.json:3: not JSON"),
        ("q.json", '{"rows": []}', 'or an object with "examples"'),
        ("q.jsonl", '{"question": "a?"}\n{"question": "b?"}\n', "none of its 2 rows is a problem; "),
        ("q.xlsx", "x", "cannot read problems from .xlsx"),
        ("q.parquet", "not parquet", "not Parquet"),
        ("q.json", "[" * 100_000, "not JSON"),
        ("q", "x", "a file without an ending"),
    ],
)
def test_a_file_that_gives_nothing_is_one_clear_line(tmp_path, name, content, words):
    with pytest.raises(DataError) as caught:
        load_problems(write(tmp_path / name, content))
    assert words in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"missing\.jsonl: no such file"):
        load_problems(tmp_path / "missing.jsonl")
    with pytest.raises(DataError, match='a hub dataset is written "owner/name:split"'):
        load_problems("someone/riddles")
    with pytest.raises(DataError, match="is a folder"):
        load_problems(tmp_path)
    (tmp_path / "latin.jsonl").write_bytes('{"question": "café"}'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text"):
        load_problems(tmp_path / "latin.jsonl")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value_as_text(value):
    assert float(as_text(value)) == value
    assert as_text(value) != ""


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False))
def test_whole_numbers_and_decimals_keep_their_value(value):
    assert Decimal(as_text(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (13138980.0, "13138980"),
        (3.509e-07, "0.0000003509"),
        (True, "yes"),
        (None, ""),
        ([1], ""),
        (" a ", "a"),
        (1e300, "1e+300"),
    ],
)
def test_cells_as_text(value, text):
    assert as_text(value) == text


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason=f"the benchmark files are not in {BENCHMARKS}")
def test_every_benchmark_file_loads():
    n_skipped = {}
    for path in sorted(BENCHMARKS.rglob("*.json")):
        loaded = load_problems(path)
        n_rows = json.loads(path.read_text())["metadata"]["dataset_info"]["total_examples"]
        assert len(loaded) + len(loaded.skipped) == n_rows
        n_skipped[path.name] = len(loaded.skipped)
        maths = path.name.startswith(("aime", "gsm", "math", "olymmath"))
        assert {p.kind for p in loaded.problems} == {"math" if maths else "short"}
        assert scorers.score(loaded.problems[0].kind, loaded.problems[0].answer, loaded.problems[0].answer).correct
    assert len(n_skipped) == 11
    # Four training problems have null for an answer; everything else is kept.
    assert {k: n for k, n in n_skipped.items() if n} == {"math_1000.json": 2, "math_medium_1000.json": 2}
