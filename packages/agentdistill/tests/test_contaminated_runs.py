"""Runs whose training questions are test questions: what is asked, what is filtered, what is counted and shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import question, recipe_with, row, write_inputs

from agentdistill.cli import main
from agentdistill.errors import DataError
from agentdistill.pipeline import run_recipe, write_report
from agentdistill.pipeline.filtering import folder_of
from agentdistill.pipeline.on_policy.rounds import fresh_problems
from agentdistill.pipeline.run import Run
from agentdistill.progress import Silent
from agentdistill.recipe import OnPolicySettings, Recipe, load_recipe
from agentdistill.store import read_traces

TOLD = "2 of 8 training questions are test questions too (1 equal, 1 near): "


class Said(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose test has the question of q1 as it stands, and that of q2 with a word more."""
    path = write_inputs(tmp_path_factory.mktemp("inputs"))
    lines = [row(0, 100), row(1), row(2).replace(" in km?", " in km exactly?")]
    (path.parent / "test.jsonl").write_text("".join(lines))
    return path


@pytest.fixture(scope="module")
def dropped(inputs: Path) -> tuple[Path, list[str]]:
    """The run up to the filter, and what it said."""
    said = Said()
    return run_recipe(load_recipe(inputs), inputs.parent / "dropped", said, "filter"), said.lines


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def ids(path: Path) -> list[str]:
    return [t.id for t in read_traces(path / "traces.jsonl")]


def imported(inputs: Path, **changes: object) -> Recipe:
    """The recipe with one collection read from a file of all eight questions' trajectories."""
    source = inputs.parent / "kept"
    if not source.exists():
        run_recipe(recipe_with(inputs, problems={"contamination": "report"}), source, until="collect")
    trajectories = {"agent": str(source / "collect" / "agent" / "traces.jsonl")}
    return recipe_with(inputs, collect={"trajectories": trajectories}, problems={"train": "", **changes})


def test_the_teacher_is_not_asked_test_questions(dropped: tuple[Path, list[str]]) -> None:
    run, said = dropped
    for name in ("agent", "agent-prefix", "cot"):
        assert ids(run / "collect" / name) == ["q0", "q3", "q4", "q5", "q6", "q7"]
    assert said == [f"contamination: {TOLD}dropped"]
    facts = read(run / "contamination.json")
    assert facts["groups"] == [{"train": "train", "test": "test", "equal": 1, "near": 1}]
    assert [(e["level"], e["train"]["id"], e["test"]["id"]) for e in facts["examples"]] == [
        ("near", "q2", "q2"),
        ("equal", "q1", "q1"),
    ]


def test_the_report_shows_what_was_dropped(dropped: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = dropped
    assert main(["report", str(run)]) == 0
    assert f"Contamination: problems: {TOLD}dropped." in capsys.readouterr().out
    report = read(run / "report.json")
    (part,) = report["contamination"]
    assert (part["part"], part["n"], part["n_test"], part["equal"], part["near"]) == ("problems", 8, 3, 1, 1)
    assert report["warnings"] == []
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"problems: {TOLD}dropped." in page
    assert "<td>train</td><td>test</td>" in page
    assert f"{question(2)[:-1]} exactly?" in page.split('id="data"')[0]  # among the pairs, not only among the episodes


def test_kept_with_eyes_open(inputs: Path, tmp_path: Path) -> None:
    said = Said()
    run = run_recipe(recipe_with(inputs, problems={"contamination": "report"}), tmp_path / "run", said, "filter")
    assert ids(run / "collect" / "agent") == [f"q{i}" for i in range(8)]
    assert said.lines == [f"contamination: {TOLD}kept"]
    write_report(run, Silent())
    report = read(run / "report.json")
    assert report["contamination"][0]["dropped"] is False
    assert report["warnings"] == [f"problems: {TOLD}kept"]


def test_imported_trajectories_are_filtered(inputs: Path, tmp_path: Path) -> None:
    said = Said()
    run = run_recipe(imported(inputs), tmp_path / "run", said, "filter")
    assert ids(run / "collect" / "agent") == [f"q{i}" for i in range(8)]
    assert ids(run / "filter" / "agent") == ["q3", "q5", "q6", "q7"]  # q0 and q4 are wrong
    manifest = read(run / "filter" / "agent" / "manifest.json")
    assert manifest["counts"] == {
        "kept": 4,
        "right_answer": 2,
        "no_parse_error": 0,
        "within_steps": 0,
        "contaminated": 2,
    }
    assert said.lines == [f"contamination: agent: {TOLD}dropped"]
    assert not (run / "contamination.json").exists()  # no question was asked
    write_report(run, Silent())
    (part,) = read(run / "report.json")["contamination"]
    assert (part["part"], part["equal"], part["near"]) == ("filter/agent", 1, 1)
    assert '<span class="name">contaminated</span>' in (run / "report.html").read_text(encoding="utf-8")


def test_another_test_filters_them_anew_and_none_as_it_always_did(inputs: Path, tmp_path: Path) -> None:
    recipe = imported(inputs)
    run = run_recipe(recipe, tmp_path / "run", until="filter")
    (tmp_path / "other.jsonl").write_text(row(3))
    other = Run(imported(inputs, test=str(tmp_path / "other.jsonl")), run)
    assert folder_of(Run(recipe, run), "agent").is_done
    assert not folder_of(other, "agent").is_done
    assert folder_of(Run(imported(inputs, test=None), run), "agent").settings == {"keep": list(recipe.filter.keep)}
    run_recipe(imported(inputs, test=None), run, until="filter")
    assert len(ids(run / "filter" / "agent")) == 6


def test_fresh_problems_of_rounds_are_screened_too(inputs: Path, tmp_path: Path) -> None:
    recipe = recipe_with(inputs, problems={"limit_train": 1})
    on_policy = OnPolicySettings(problems=str(inputs.parent / "train.jsonl"))
    said = Said()
    found = fresh_problems(Run(replace(recipe, on_policy=on_policy), tmp_path), said)
    assert sorted(p.id for p in found) == ["q3", "q4", "q5", "q6", "q7"]
    assert said.lines == [f"contamination: {on_policy.problems}: {TOLD}dropped"]


def test_a_test_that_is_the_training_set_is_one_clear_line(inputs: Path, tmp_path: Path) -> None:
    recipe = recipe_with(inputs, problems={"test": str(inputs.parent / "train.jsonl")})
    with pytest.raises(DataError) as caught:
        run_recipe(recipe, tmp_path / "run")
    assert str(caught.value) == (
        'small: all 8 training questions are test questions too; name others, or keep them: contamination = "report"'
    )
    assert not (tmp_path / "run").exists()


def test_a_mode_that_does_not_exist_is_one_line(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = inputs.read_text(encoding="utf-8").replace("[problems]", '[problems]\ncontamination = "drp"')
    (tmp_path / "mine.toml").write_text(text)
    assert main(["collect", str(tmp_path / "mine.toml"), "--runs", str(tmp_path / "runs")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith('mine.toml:6: unknown contamination "drp"; did you mean "drop"?')
