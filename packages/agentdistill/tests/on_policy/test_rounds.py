"""Rounds on disk: who is trained on what, at which cost, beside plain collection at the same cost."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import files, question, recipe_with, states, write_inputs
from tiny_models import save_checkpoint

from agentdistill.cli import main
from agentdistill.errors import RecipeError
from agentdistill.pipeline.on_policy import n_given, run_on_policy
from agentdistill.pipeline.on_policy.rounds import print_table, slice_of
from agentdistill.recipe import OnPolicySettings, Recipe, load_recipe
from agentdistill.store import read_traces, write_jsonl
from tinyworld import prompts as tiny

pytestmark = pytest.mark.timeout(900)


def recipe_of(path: Path, **settings: Any) -> Recipe:
    """Collected on q0 to q3; the rounds have q4 to q7. The teacher answers at once, wherever it is asked to go on."""
    replies = {question(i): tiny.action("I know.", f"final_answer({i + 400})") + "\n\nMore." for i in range(8)}
    recipe = recipe_with(
        path,
        teacher={"settings": {"replies": replies, "batch_size": 3}},
        problems={"limit_train": 4},
        collect={"compare_prefix": False},
    )
    student = replace(recipe.students[0], methods=("agent-distill",))
    source = str(path.parent / "train.jsonl")
    return replace(recipe, students=(student,), on_policy=OnPolicySettings(problems=source, **settings))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("rounds")
    path = write_inputs(folder)
    table = run_on_policy(recipe_of(path, tries=2), folder / "run")
    return path, folder / "run", json.loads(table.read_text())


def test_rounds_learn_from_what_failed_in_them(done: tuple[Path, Path, dict[str, Any]]) -> None:
    _, run, table = done
    first, second, third = table["rounds"]
    assert [r["round"] for r in table["rounds"]] == [0, 1, 2]
    assert first["on_policy"]["n_examples"] == 4
    seen: list[str] = []
    for n, r in ((1, second), (2, third)):
        acted = read_traces(run / "on-policy" / f"round-{n}" / "acted" / "traces.jsonl")
        corrected = read_traces(run / "on-policy" / f"round-{n}" / "corrected" / "traces.jsonl")
        assert [t.id for t in corrected] == [t.id for t in acted if t.correct is False]
        assert r["n_acted"] == 2
        assert r["n_failed"] == r["n_corrected"] == len(corrected) == 2  # random weights answer nothing
        assert all(t.correct and n_given(t) == 1 for t in corrected)
        seen += [t.id for t in acted]
        trained = json.loads((run / "on-policy" / f"round-{n}" / "student" / "training.json").read_text())
        assert trained["result"]["n_traces"] == r["on_policy"]["n_examples"] == 4 + 2 * n
        spent = sum(t.usage.n_prompt_tokens + t.usage.n_new_tokens for t in corrected)
        assert r["on_policy"]["n_tokens"] - table["rounds"][n - 1]["on_policy"]["n_tokens"] == spent
    assert sorted(seen) == ["q4", "q5", "q6", "q7"]  # fresh ones only, each once


def test_plain_collection_spends_no_less_while_problems_last(done: tuple[Path, Path, dict[str, Any]]) -> None:
    _, run, table = done
    plain = [t for p in sorted((run / "on-policy/plain").glob("part-*")) for t in read_traces(p / "traces.jsonl")]
    costs = [t.usage.n_prompt_tokens + t.usage.n_new_tokens for t in plain]
    for r in table["rounds"][1:]:
        spent = r["plain"]["n_tokens"]
        n = r["plain"]["n_examples"] - 4
        assert spent == sum(costs[:n])
        assert spent >= r["on_policy"]["n_tokens"] or n == 4
        assert sum(costs[: n - 1]) < r["on_policy"]["n_tokens"]
        assert {"estimate", "low", "high", "n_better", "n_worse"} <= r["difference"].keys()


def test_a_second_time_nothing_is_done(
    done: tuple[Path, Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run, table = done
    before = {name: at for name, at in states(run).items() if "rounds.json" not in name}

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("agentdistill.pipeline.run.load_model", never)
    monkeypatch.setattr("agentdistill.pipeline.run.load_model", never)
    again = json.loads(run_on_policy(recipe_of(path, tries=2), run).read_text())
    assert again == table
    assert {name: at for name, at in states(run).items() if "rounds.json" not in name} == before


def test_what_is_lost_is_made_again_the_same(done: tuple[Path, Path, dict[str, Any]]) -> None:
    """A correction cut off in its middle: what was there stays, the rest comes again, nothing else is touched."""
    path, run, _ = done
    before = files(run, ("timing.json",))
    folder = run / "on-policy" / "round-2" / "corrected"
    lines = (folder / "traces.jsonl").read_bytes().splitlines(keepends=True)
    for name in ("traces.jsonl", "manifest.json"):
        (folder / name).unlink()
    (folder / "traces.partial.jsonl").write_bytes(lines[0] + lines[1][:30])
    run_on_policy(recipe_of(path, tries=2), run)
    assert files(run, ("timing.json",)) == before


def test_the_table_is_printed(done: tuple[Path, Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    print_table(done[2], Console(width=80))
    out = capsys.readouterr().out
    assert out.count("2 of 2") == 2
    assert "difference (95 %)" in out
    assert "…" not in out


def test_what_the_student_got_right_is_learned_if_asked(
    done: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, run, _ = done
    plain = [t for p in (run / "on-policy/plain").glob("part-*") for t in read_traces(p / "traces.jsonl")]
    for successes, n_learned in ((False, 1), (True, 2)):
        mine = shutil.copytree(run, tmp_path / str(successes))
        folder = mine / "on-policy" / "round-1" / "acted"
        first, second = read_traces(folder / "traces.jsonl")
        right = next(t for t in plain if t.id == first.id)
        for name in ("traces.jsonl", "manifest.json"):
            (folder / name).unlink()
        write_jsonl(folder / "traces.partial.jsonl", [right, second])
        recipe = recipe_of(path, tries=2, rounds=1, per_round=2, successes=successes, compare=False)
        _, row = json.loads(run_on_policy(recipe, mine).read_text())["rounds"]
        assert (row["n_failed"], row["n_corrected"]) == (1, 1)
        assert row["on_policy"]["n_examples"] == 4 + n_learned


def test_seeds_are_taken_together(done: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    recipe = recipe_of(done[0], tries=2, rounds=1, per_round=2)
    facts = json.loads(run_on_policy(recipe, tmp_path / "run", n_seeds=2).read_text())
    alone = [s["rounds"][1] for s in facts["seeds"]]
    assert [s["seed"] for s in facts["seeds"]] == [recipe.seed, recipe.seed + 1]
    assert (tmp_path / f"run.seed-{recipe.seed + 1}" / "on-policy" / "round-1" / "test").is_dir()
    both = facts["rounds"][1]
    assert both["n_acted"] == sum(r["n_acted"] for r in alone) == 4
    for arm in ("on_policy", "plain"):
        assert both[arm]["n_tokens"] == sum(r[arm]["n_tokens"] for r in alone)
        assert both[arm]["n"] == alone[0][arm]["n"]  # a problem counts once
    assert both["difference"]["estimate"] == pytest.approx(sum(r["difference"]["estimate"] for r in alone) / 2)
    with pytest.raises(SystemExit):
        main(["on-policy", str(done[0]), "--seeds", "x"])
    assert main(["on-policy", str(done[0]), "--seeds", "0"]) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rounds = 0", "rounds has to be at least 1"),
        ('student = "bace"', 'unknown student "bace"; did you mean "base"'),
        ('method = "cot-distill"', "no method of a student trained as an agent"),
        ('learn = "none"', 'unknown learn "none"'),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, line: str, why: str) -> None:
    text = write_inputs(tmp_path, n_train=1, n_test=1).read_text()
    at = text.index("[problems]")
    path = tmp_path / "bad.toml"
    path.write_text(f"{text[:at]}[on_policy]\n{line}\n\n{text[at:]}")
    with pytest.raises(RecipeError, match=why):
        load_recipe(path)


def test_what_the_recipe_lacks_is_said_before_anything_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_inputs(tmp_path, n_train=1, n_test=1)
    path.write_text(path.read_text().replace('"agent-distill", ', ""))
    assert main(["on-policy", str(path), "--runs", str(tmp_path / "runs")]) == 2
    assert 'no student has the method "agent-distill"' in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_rounds_share_the_problems() -> None:
    from agentdistill.types import Problem

    problems = [Problem(str(i), f"q{i}", "a") for i in range(10)]
    rounds = [[p.id for p in slice_of(problems, n, 3, None)] for n in (1, 2, 3)]
    assert rounds == [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"]]
    assert [p.id for p in slice_of(problems, 3, 3, 4)] == ["8", "9", "0", "1"]
    assert len(slice_of(problems, 1, 3, 99)) == 10


def test_distilling_reads_the_students_own_words(done: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    """A round by the teacher's distributions: from the round before, on all that the student wrote, at its cost."""
    path, run, _ = done
    teacher = save_checkpoint(tmp_path / "teacher", hidden=32, context=512, seed=3)
    recipe = recipe_of(path, rounds=1, how="distill", compare=False)
    recipe = replace(
        recipe,
        teacher=replace(recipe.teacher, model="local", settings={"path": str(teacher), "device": "cpu"}),
        collect=replace(recipe.collect, trajectories={"agent": str(run / "collect" / "agent" / "traces.jsonl")}),
    )
    table = json.loads(run_on_policy(recipe, tmp_path / "run").read_text())
    student = tmp_path / "run" / "on-policy" / "round-1" / "student"
    trained = json.loads((student / "training.json").read_text())
    assert trained["divergence"]["beta"] == 1.0
    assert trained["base"] == str(tmp_path / "run" / "train" / "base--agent-distill")
    assert trained["result"]["n_traces"] == 4
    _, first = table["rounds"]
    assert "plain" not in first
    assert first["on_policy"]["n_tokens"] == trained["result"]["n_tokens"]
    assert first["n_failed"] == 4
    again = json.loads(run_on_policy(recipe, tmp_path / "run").read_text())
    assert again == table


def test_distilling_needs_a_teacher_whose_distributions_are_there(tmp_path: Path) -> None:
    text = write_inputs(tmp_path, n_train=1, n_test=1).read_text()
    at = text.index("[problems]")
    path = tmp_path / "bad.toml"
    scripted = f"{text[:at]}[on_policy]\nhow = 'distill'\n\n{text[at:]}"
    path.write_text(scripted)
    with pytest.raises(RecipeError, match=r"bad.toml:\d+: .* needs a teacher with model = \"local\""):
        load_recipe(path)
    local = scripted[: scripted.index("[teacher]")] + "[teacher]\nmodel = 'local'\npath = 'x'\n"
    path.write_text(local.replace('method = "full"', 'method = "lora"'))
    with pytest.raises(RecipeError, match='method = "full"'):
        load_recipe(path)
