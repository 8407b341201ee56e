"""``ask --verify`` on a whole run: a tiny student of random weights, so it is seen what is shown, not wisdom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_run import write_inputs

from agentdistill.cli import main

QUESTION = "How long is the Aren 1 in km?"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = write_inputs(tmp_path_factory.mktemp("inputs"), n_train=4, n_test=2)
    assert main(["train", str(inputs), "--runs", str(inputs.parent / "runs")]) == 0
    return inputs.parent / "runs" / "small"


def test_why_one_won_is_shown(run, capsys):
    capsys.readouterr()
    assert main(["ask", str(run), QUESTION, "--verify", "3", "--max-steps", "1"]) == 0
    said = capsys.readouterr().out
    assert "  1. " in said
    assert "  3. " in said
    assert "chosen: " in said


def test_as_json_every_candidate_is_there(run, capsys):
    capsys.readouterr()
    verifier = str(run.parents[1] / "base")
    assert main(["ask", str(run), QUESTION, "--verify", "2", "--verifier", verifier, "--max-steps", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [c["trace"] for c in told["candidates"]] == ["ask#0", "ask#1"]
    assert {"answer", "chosen", "reason", "fallback", "trace"} <= told.keys()
    assert told["trace"]["prompt"][-1]["content"] == QUESTION


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--verify", "0"], "--verify has to be at least 1"),
        (["--verifier", "x"], "--verifier needs --verify N"),
        (["--verify", "2", "--vote"], "give one of them"),
    ],
)
def test_arguments_that_do_not_go_together_are_told(arguments, words, capsys):
    assert main(["ask", "nowhere", QUESTION, *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_question_behind_stop_is_told_where_to_stand(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["ask", "nowhere", "--verify", "2", "--stop", QUESTION])
    assert "write --stop=0, or put --stop behind the question" in capsys.readouterr().err
