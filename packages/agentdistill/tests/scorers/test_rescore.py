"""Scoring stored answers again: rows and traces, one kind and several, and what the totals say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_traces import made_trace

from agentdistill.cli import main
from agentdistill.errors import DataError
from agentdistill.scorers.rescore import read_answered, rescore
from agentdistill.store import append_jsonl


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def test_both_graders_and_where_they_differ(tmp_path: Path) -> None:
    path = write(
        tmp_path / "said.jsonl",
        {"prediction": "0.5", "answer": r"\frac12"},
        {"prediction": "(3, 5)", "answer": "[3, 5]"},
        {"prediction": "6", "answer": r"\sum_{k=1}^{3} k"},
        {"prediction": None, "answer": 5},
        {"prediction": 7, "answer": "8", "aliases": ["7.0"]},
    )
    out = rescore(read_answered(path, "math"))
    assert (out["kind"], out["n"], out["n_correct"], out["accuracy"]) == ("math", 5, 3, 0.6)
    assert out["interval"][0] < 0.6 < out["interval"][1]
    assert [r["correct"] for r in out["rows"]] == [True, False, True, False, True]
    assert [r.get("exact") for r in out["rows"]] == [True, False, None, None, True]
    assert out["graders"]["exact"] == {"n_right": 2, "n_wrong": 1, "n_none": 2}
    assert out["agreement"] == {"n_both": 3, "n_agree": 2, "rate": pytest.approx(2 / 3)}
    assert out["disagreements"] == [
        {"line": 2, "prediction": "(3, 5)", "answer": "[3, 5]", "exact": False, "math_verify": True, "correct": False}
    ]


def test_the_papers_measures_beside_the_verdict(tmp_path: Path) -> None:
    path = write(
        tmp_path / "said.jsonl",
        {"prediction": "the author Samuel Clemens", "answer": "Mark Twain", "aliases": ["Samuel Clemens"]},
        {"prediction": "4 July 1776", "answer": "July 4, 1776"},
    )
    out = rescore(read_answered(path, "short"))
    assert [r["correct"] for r in out["rows"]] == [False, True]
    assert out["measures"] == {"exact_match": 0.0, "f1": pytest.approx(0.9), "contains": 0.5}


def test_rows_may_name_their_kind(tmp_path: Path) -> None:
    rows = [{"prediction": "1/2", "answer": "0.5", "kind": "math"}, {"prediction": "a", "answer": "b", "kind": "short"}]
    out = rescore(read_answered(write(tmp_path / "said.jsonl", *rows)))
    assert (out["kind"], out["n_correct"]) == ("mixed", 1)
    assert {"agreement", "measures"} <= out.keys()


def test_traces_as_a_run_stores_them(tmp_path: Path) -> None:
    from agentdistill.types import End

    right = made_trace(0)
    fault = replace(right, id="fault", end=End.FAULT, answer=None, score=None, fault="lost")
    silent = replace(right, id="silent", answer=None)
    append_jsonl(tmp_path / "traces.jsonl", [right, fault, silent])
    answers = read_answered(tmp_path / "traces.jsonl")
    assert [a.line for a in answers] == [1, 3]
    assert answers[0].question == right.problem.question
    out = rescore(answers)
    assert (out["n"], out["n_correct"]) == (2, 1)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prediction": "1"}, ':1: no "answer"'),
        ({"answer": "1"}, ':1: no "prediction"'),
        ({"prediction": "1", "answer": "1"}, ':1: no "kind"'),
        (
            {"prediction": "1", "answer": "1", "kind": "essay"},
            ':1: unknown scorer "essay" (there are: gym, math, short)',
        ),
        ({"prediction": "1", "answer": "1", "kind": "math", "aliases": {"a": 1}}, ':1: "aliases" is no list of texts'),
        ({"problem": {}, "end": "answered"}, ":1: "),
    ],
)
def test_what_is_wrong_with_a_row_is_one_clear_line(tmp_path: Path, row: object, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read_answered(write(tmp_path / "said.jsonl", row))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hostile_rows_are_graded_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"prediction": text, "answer": r"\sqrt{5}"}
        for text in ("\ud800", "\x00", "{" * 100_000, "9^{9^{9}}", "so it goes " * 100_000, "", "1e999999999")
    ]
    path = write(tmp_path / "said.jsonl", *rows)
    for kind in ("math", "short"):
        assert main(["grade", str(path), "--kind", kind]) == 0
        out = json.loads(capsys.readouterr().out)
        assert (out["n"], out["n_correct"]) == (7, 0)
    path.write_text(f'{{"prediction": {"9" * 5000}, "answer": "1"}}\n')
    assert main(["grade", str(path), "--kind", "math"]) == 2
    assert "said.jsonl:1: a number too long" in capsys.readouterr().err


def test_an_empty_file_has_no_accuracy(tmp_path: Path) -> None:
    assert rescore(read_answered(write(tmp_path / "said.jsonl"), "math"))["accuracy"] is None
