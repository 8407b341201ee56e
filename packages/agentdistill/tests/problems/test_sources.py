"""Several sources of problems in one recipe: order, limits, ids, and what is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path

import pytest

from agentdistill.cli import main
from agentdistill.errors import DataError, RecipeError, UserError
from agentdistill.pipeline.run import Run
from agentdistill.problems import joined, load_problems
from agentdistill.recipe import load_recipe, recipe_from_json
from agentdistill.store import digest
from agentdistill.types import Problem


def write(path: Path, *rows: tuple[str, str]) -> Path:
    """A file of questions with their answers; the ids are the rows' numbers."""
    lines = (json.dumps({"id": i, "question": q, "answer": a}) + "\n" for i, (q, a) in enumerate(rows))
    path.write_text("".join(lines))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "rivers.jsonl", ("How long is the Aren in km?", "401"), ("How long is the Tull in km?", "90"))
    write(tmp_path / "towers.jsonl", ("How high is Mill Tower?", "33"), ("How high is Gate Tower?", "21"))
    write(tmp_path / "train.jsonl", ("Who built the mill?", "Ida Brandt"))
    return tmp_path


def run_of(folder: Path, problems: str) -> Run:
    path = folder / "mine.toml"
    rest = '[teacher]\nurl = "http://x/v1"\nname = "t"\n[student]\nbase = "b"\n'
    path.write_text(f"[problems]\n{problems}\n{rest}".replace("@", f"{folder}/"))
    return Run(load_recipe(path), folder / "run")


TRAIN = 'train = "@train.jsonl"\n'
BOTH = TRAIN + 'test = ["@rivers.jsonl", "@towers.jsonl"]'


def test_sources_follow_each_other_and_their_ids_differ(folder: Path) -> None:
    found = run_of(folder, BOTH).problems("test")
    assert [(p.id, p.family, p.answer) for p in found] == [
        ("0", "rivers", "401"),
        ("1", "rivers", "90"),
        ("towers-0", "towers", "33"),
        ("towers-1", "towers", "21"),
    ]


def test_a_limit_is_each_sources_own(folder: Path) -> None:
    found = run_of(folder, BOTH + "\nlimit_test = 1").problems("test")
    assert [p.id for p in found] == ["0", "towers-0"]


def test_one_source_is_hashed_as_it_always_was(folder: Path) -> None:
    alone = run_of(folder, TRAIN).rollout_inputs("train")
    assert alone == run_of(folder, 'train = ["@train.jsonl"]').rollout_inputs("train")
    assert alone["problems"] == digest(load_problems(folder / "train.jsonl").problems)


def test_every_sources_bad_rows_are_told(folder: Path) -> None:
    for name in ("rivers", "towers"):
        with (folder / f"{name}.jsonl").open("a") as f:
            f.write('{"question": "?"}\n')
    assert [line.split("/")[-1][:15] for line in run_of(folder, BOTH).skipped] == ["rivers.jsonl:3:", "towers.jsonl:3:"]


def test_a_list_survives_the_runs_own_recipe_and_what_is_shown(folder: Path) -> None:
    recipe = run_of(folder, BOTH).recipe
    assert recipe.problems.test == (f"{folder}/rivers.jsonl", f"{folder}/towers.jsonl")
    kept = json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert recipe_from_json(kept, folder / "recipe.json") == recipe
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["recipe", "show", str(folder / "mine.toml")]) == 0
    (folder / "mine.toml").write_text(out.getvalue())
    assert load_recipe(folder / "mine.toml") == recipe


@pytest.mark.parametrize(
    ("problems", "why"),
    [
        (TRAIN + "test = []", "mine.toml:3: test has to be a source or a list of sources"),
        (TRAIN + 'test = ["@rivers.jsonl", ""]', "mine.toml:3: test has to be a source or a list of sources"),
        (TRAIN + 'test = ["@rivers.jsonl", 3]', "mine.toml:3: test has to be text, got 3"),
        (TRAIN + "test = 3", "mine.toml:3: test has to be text, got 3"),
        ("train = [['a']]", "mine.toml:2: train has to be text, got ['a']"),
        ('train = ["a", "a"]', 'mine.toml:2: "a" is there twice'),
    ],
)
def test_bad_values_are_one_line(folder: Path, problems: str, why: str) -> None:
    with pytest.raises(RecipeError) as caught:
        run_of(folder, problems)
    assert str(caught.value).endswith(why)
    assert "\n" not in str(caught.value)


def test_a_problem_of_two_sources_is_refused(folder: Path) -> None:
    write(folder / "again.jsonl", ("How long is the Aren in km?", "401"))
    with pytest.raises(DataError, match=r"again\.jsonl: problem '0' is one of .*rivers\.jsonl already"):
        run_of(folder, TRAIN + 'test = ["@rivers.jsonl", "@again.jsonl"]').problems("test")


def test_an_id_that_is_not_free_even_with_the_family_is_refused() -> None:
    a, b = Problem("b-1", "A?", "1"), Problem("1", "B?", "2")
    with pytest.raises(DataError, match="y: x has a problem with id 'b-1' too; rename one"):
        joined({"x": (a, b), "y": (Problem("1", "C?", "3", family="b"),)})


def test_tasks_and_files_side_by_side(folder: Path) -> None:
    found = run_of(folder, TRAIN + 'test = ["tinyworld:test:2", "@rivers.jsonl"]').problems("test")
    assert len(found) == 8 * 2 + 2
    assert len({p.id for p in found}) == len(found)
    with pytest.raises(UserError, match="nowhere"):
        run_of(folder, TRAIN + 'test = ["tinyworld:test:2", "nowhere.jsonl"]').problems("test")
