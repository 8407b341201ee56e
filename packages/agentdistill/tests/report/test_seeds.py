"""Several seeds as one report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import write_inputs

from agentdistill.cli import main
from agentdistill.errors import UserError
from agentdistill.report import markdown, summarize, summarize_seeds, table
from agentdistill.store import write_json, write_jsonl
from agentdistill.types import End, Problem, Score, Trace

N = 40
SIZES = {"1M": 1_000_000, "3M": 3_000_000}


def write_run(root: Path, seed: int, right: dict[str, int], **recipe: Any) -> Path:
    """Evaluations by name with their number of right answers, the first so many of two families' problems."""
    write_json(root / "recipe.json", {"name": root.name, "seed": seed, "train": {"seed": seed, "epochs": 2}, **recipe})
    for name, n_right in right.items():
        student, _, method = name.partition("--")
        traces = [
            Trace(f"{f}{i}", Problem(f"{f}{i}", "q", "a", family=f), method, student, (), (), End.ANSWERED, "a",
                  Score(i < n_right, "a", "short"))
            for f in ("facts", "math")
            for i in range(N)
        ]  # fmt: skip
        write_jsonl(root / "evaluate" / name / "traces.jsonl", traces)
        manifest = {"student": student, "method": method, "n_parameters": SIZES[student], "role": "student"}
        write_json(root / "evaluate" / name / "manifest.json", manifest)
    return root


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    rights = ((16, 10), (20, 10), (30, 13))
    return [
        write_run(tmp_path / f"run-{i}", i, {"1M--agent-distill": a, "3M--cot-distill": c})
        for i, (a, c) in enumerate(rights)
    ]


def test_estimates_are_means_over_seeds_and_intervals_hold_their_scatter(runs: list[Path]) -> None:
    report = summarize_seeds(runs)
    alone = [summarize(r) for r in runs]
    accuracy = report["evaluations"][0]["average"]["accuracy"]
    own = [r["evaluations"][0]["average"]["accuracy"] for r in alone]
    assert accuracy["seeds"] == [a["estimate"] for a in own] == [0.4, 0.5, 0.75]
    assert accuracy["estimate"] == pytest.approx(0.55, abs=1e-6)
    assert accuracy["n"] == 2 * N, "problems, not traces"
    assert accuracy["high"] - accuracy["low"] > 2 * max(a["high"] - a["low"] for a in own)
    assert 0 <= accuracy["low"] <= accuracy["high"] <= 1
    (compared,) = report["comparisons"]
    assert compared["relation"] == "next_size_up"
    assert compared["ratio"] == pytest.approx((16 + 20 + 30) / (10 + 10 + 13), abs=1e-5)
    assert compared["ratio_interval"]["seeds"] == pytest.approx([1.6, 2.0, 30 / 13], abs=1e-5)
    assert compared["difference"]["seeds"] == pytest.approx([0.15, 0.25, 0.425], abs=1e-6)
    assert report["seeds"] == [0, 1, 2]
    assert report["families"] == ["facts", "math"]


def test_the_same_result_from_every_seed_leaves_the_interval_over_problems(tmp_path: Path) -> None:
    same = [write_run(tmp_path / str(i), i, {"1M--agent-distill": 12}) for i in range(3)]
    together, alone = summarize_seeds(same), summarize(same[0])
    ours, theirs = (r["evaluations"][0]["average"]["accuracy"] for r in (together, alone))
    assert (ours["low"], ours["high"]) == pytest.approx((theirs["low"], theirs["high"]))


def test_one_run_is_its_own_report(runs: list[Path]) -> None:
    one, alone = summarize_seeds(runs[:1]), summarize(runs[0])
    limits = ("estimate", "low", "high", "n")
    for mine, own in zip(one["evaluations"], alone["evaluations"], strict=True):
        assert [mine["average"]["accuracy"][k] for k in limits] == [own["average"]["accuracy"][k] for k in limits]


def test_what_one_seed_lacks_is_left_out(runs: list[Path], tmp_path: Path) -> None:
    more = write_run(tmp_path / "more", 9, {"1M--agent-distill": 1, "1M--agent": 1})
    report = summarize_seeds([*runs, more])
    assert [e["name"] for e in report["evaluations"]] == ["1M--agent-distill"]


def test_the_table_of_several_seeds_says_so(runs: list[Path], tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "table.md"
    assert main(["report", *map(str, runs), "--table", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "55.0%" in printed
    assert "seed 0, 1, 2" in out.read_text(encoding="utf-8")
    assert "Student's t" in out.read_text(encoding="utf-8")
    assert out.read_text(encoding="utf-8") == markdown(table(summarize_seeds(runs)))
    assert not (runs[0] / "report.json").exists(), "runs are only read"
    assert main(["report", *map(str, runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("seed", "recipe", "words"),
    [
        (0, {}, "its seed, 0, is there already"),
        (5, {"train": {"seed": 5, "epochs": 3}}, "differ in more than their seed: train.epochs"),
        (5, {"tools": {"k": 5}}, "differ in more than their seed: tools"),
    ],
)
def test_runs_that_are_no_seeds_of_one_recipe_are_refused(
    runs: list[Path], tmp_path: Path, seed: int, recipe: dict[str, Any], words: str
) -> None:
    other = write_run(tmp_path / "other", seed, {"1M--agent-distill": 3}, **recipe)
    with pytest.raises(UserError, match=words):
        summarize_seeds([*runs, other])


def test_runs_with_nothing_in_common_are_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no part in common"):
        summarize_seeds([runs[0], write_run(tmp_path / "other", 4, {"1M--agent": 3})])


def test_run_takes_several_seeds_to_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_inputs(tmp_path)
    command = ["run", str(recipe), "--runs", str(tmp_path / "runs"), "--seeds", "2", "--json"]
    assert main(command) == 0
    folder = tmp_path / "runs" / "small"
    report = json.loads(capsys.readouterr().out)
    assert report["seeds"] == [0, 1]
    assert report == json.loads((folder / "report.json").read_text())
    runs = [json.loads((folder / f"seed-{k}" / "recipe.json").read_text())["seed"] for k in (0, 1)]
    assert runs == [0, 1]
