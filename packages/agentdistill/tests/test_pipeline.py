"""The whole pipeline with a scripted teacher and a student of random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_run import files, question, recipe_with, replies, states, write_inputs
from unwell import Unwell, serve

from agentdistill import pipeline, store
from agentdistill.errors import DataError, InfrastructureError, ModelError, UserError
from agentdistill.pipeline import run_recipe
from agentdistill.progress import Silent
from agentdistill.recipe import Recipe, load_recipe
from agentdistill.types import End


class Log(Silent):
    """Remembers what was begun and said."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.said: list[str] = []

    def task(self, stage: str, what: str, total: int) -> Any:
        self.begun.append(f"{stage}: {what}")
        return self

    def say(self, text: str) -> None:
        self.said.append(text)

    @property
    def stages(self) -> list[str]:
        return [line.partition(":")[0] for line in self.begun]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and the folder of its finished run. Tests copy the folder before they go on with it."""
    folder = tmp_path_factory.mktemp("small")
    recipe = write_inputs(folder)
    return recipe, run_recipe(load_recipe(recipe), folder / "run")


@pytest.fixture
def again(done: tuple[Path, Path], tmp_path: Path) -> Callable[..., Log]:
    """Goes on with a copy of the finished run, under changed settings."""
    shutil.copytree(done[1], tmp_path / "run")

    def go(until: str = "report", **tables: dict[str, object]) -> Log:
        log = Log()
        run_recipe(recipe_with(done[0], **tables), tmp_path / "run", log, until)
        return log

    return go


@pytest.fixture
def unwell() -> Iterator[Unwell]:
    with serve() as server:
        yield server


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_every_stage_leaves_what_the_next_one_needs(done: tuple[Path, Path]) -> None:
    run = done[1]
    for name in ("agent", "agent-prefix", "cot"):
        collected = store.read_traces(run / "collect" / name / "traces.jsonl")
        assert [t.id for t in collected] == [f"q{i}" for i in range(8)]
        manifest = read(run / "collect" / name / "manifest.json")
        assert (manifest["n"], manifest["n_correct"], manifest["n_faults"]) == (8, 6, 0)
        assert {"problems", "style", "corpus"} <= set(manifest["inputs"])
        assert {"agentdistill", "torch", "trl"} <= set(manifest["versions"])
        kept = store.read_traces(run / "filter" / name / "traces.jsonl")
        assert [t.id for t in kept] == [t.id for t in collected if t.correct]
        counts = read(run / "filter" / name / "manifest.json")["counts"]
        assert counts["kept"] == 6
        assert counts["right_answer"] == 2
    for part in ("base--agent-distill", "base--cot-distill"):
        assert read(run / "train" / part / "training.json")["result"]["n_traces"] == 6
        assert (run / "train" / part / "model.safetensors").exists()
    report = read(run / "report.json")
    assert [(e["student"], e["method"]) for e in report["evaluations"]] == [
        ("base", m) for m in ("agent", "agent-distill", "cot-distill")
    ]
    assert all(e["average"]["n"] == 4 for e in report["evaluations"])
    assert (run / "report.html").read_text().startswith("<!doctype html>")


def test_the_teachers_steps_are_kept(done: tuple[Path, Path]) -> None:
    traces = {t.id: t for t in store.read_traces(done[1] / "collect" / "agent" / "traces.jsonl")}
    (call,) = traces["q1"].steps[0].tool_calls
    assert call.name == "search"
    assert "[1] Aren 1: The Aren 1 is 401 km long." in call.result
    assert "ZeroDivisionError" in (traces["q2"].steps[0].observation or traces["q2"].prompt[0]).content
    assert (traces["q3"].end, traces["q3"].answer) == (End.ANSWERED, "403")
    prefixed = store.read_traces(done[1] / "collect" / "agent-prefix" / "traces.jsonl")
    assert all(t.steps[0].reply.prefix for t in prefixed)
    assert not any(t.steps[0].reply.prefix for t in traces.values())


def test_a_second_run_does_nothing(again: Callable[..., Log], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("agentdistill.pipeline.run.load_model", never)
    monkeypatch.setattr("agentdistill.pipeline.evaluating.load_model", never)
    monkeypatch.setattr(pipeline, "_side_by_side", never)
    before = states(tmp_path)
    assert again().begun == []
    assert states(tmp_path) == before


def old(run: Path) -> set[str]:
    return {str(p.relative_to(run)) for p in run.glob("*/*.old-*")}


def test_changed_settings_run_what_hangs_on_them(again: Callable[..., Log], tmp_path: Path) -> None:
    """The old results are moved aside, those that do not change are not touched."""
    run = tmp_path / "run"
    before = states(run)
    assert again(evaluate={"max_steps": 1}).stages == ["evaluate"] * 3 + ["report"]
    parts = [f"base--{m}" for m in ("agent", "agent-distill", "cot-distill")]
    assert old(run) == {f"evaluate/{p}.old-1" for p in parts}
    assert again(evaluate={"max_steps": 1}).stages == []
    after = states(run)
    untouched = [f for f in before if any(s in f for s in ("/collect/", "/filter/", "/train/"))]
    assert len(untouched) > 20
    assert all(after[f] == before[f] for f in untouched)


def test_a_filter_that_keeps_the_same_trains_nobody_anew(again: Callable[..., Log], tmp_path: Path) -> None:
    log = again(filter={"keep": ("right_answer",)})
    assert log.stages == ["filter"] * 3 + ["report"]
    assert old(tmp_path / "run") == {f"filter/{n}.old-1" for n in ("agent", "agent-prefix", "cot")}
    log = again(filter={"keep": ()})
    assert log.stages == ["filter"] * 3 + ["train"] * 2 + ["evaluate"] * 2 + ["report"]
    assert "train/base--cot-distill.old-1" in old(tmp_path / "run")
    assert "evaluate/base--agent.old-1" not in old(tmp_path / "run")  # prompting alone learns from nothing


def test_other_problems_are_collected_anew(again: Callable[..., Log], tmp_path: Path) -> None:
    log = again(problems={"limit_train": 7}, until="collect")
    assert log.stages == ["collect"] * 3
    again(problems={"limit_train": 6}, until="collect")
    assert len(store.read_traces(tmp_path / "run" / "collect" / "agent.old-2" / "traces.jsonl")) == 7
    again(problems={"limit_train": 7}, until="collect")
    assert len(store.read_traces(tmp_path / "run" / "collect" / "agent" / "traces.jsonl")) == 7
    assert len(store.read_traces(tmp_path / "run" / "collect" / "agent.old-1" / "traces.jsonl")) == 8


def test_a_changed_corpus_is_seen(done: tuple[Path, Path], again: Callable[..., Log], tmp_path: Path) -> None:
    corpus = tmp_path / "other.jsonl"
    corpus.write_text('{"title": "Aren 1", "text": "The Aren 1 is 401 km long."}\n')
    assert again(tools={"search": str(corpus)}, until="collect").stages == ["collect"] * 3


def test_until_stops_there(done: tuple[Path, Path], tmp_path: Path) -> None:
    log = Log()
    run_recipe(load_recipe(done[0]), tmp_path / "run", log, until="filter")
    assert log.stages == ["collect"] * 3 + ["filter"] * 3
    assert not (tmp_path / "run" / "train").exists()
    assert files(tmp_path / "run" / "filter") == files(done[1] / "filter")  # and a run again gives the same bytes


def test_nothing_right_is_told_with_the_way_to_look(done: tuple[Path, Path], tmp_path: Path) -> None:
    wrong = {question(i): replies(0) for i in range(8)}
    recipe = recipe_with(done[0], teacher={"settings": {"replies": wrong}})
    with pytest.raises(DataError, match=r"nothing to train on: no trajectory of .* passed the filter; look at them"):
        run_recipe(recipe, tmp_path / "run")


def test_bad_input_is_found_before_anything_is_spent(done: tuple[Path, Path], tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], type[UserError], str]] = [
        ({"problems": {"test": str(tmp_path / "nowhere.jsonl")}}, DataError, "nowhere.jsonl"),
        ({"tools": {"search": str(tmp_path / "nowhere")}}, DataError, "no such corpus"),
        ({"tools": {"functions": str(tmp_path / "nowhere.py")}}, UserError, "no such Python file"),
        ({"tools": {"search": "tinyworld2"}}, DataError, "no such corpus"),
    ]
    for tables, kind, why in cases:
        log = Log()
        with pytest.raises(kind, match=why):
            run_recipe(recipe_with(done[0], **tables), tmp_path / "run", log)
        assert log.begun == []
    (tmp_path / "bad.jsonl").write_text((done[0].parent / "train.jsonl").read_text() + '{"question": "no answer?"}\n')
    log = Log()
    run_recipe(recipe_with(done[0], problems={"train": str(tmp_path / "bad.jsonl")}), tmp_path / "run", log, "filter")
    assert any("bad.jsonl:9" in line and "skipped" in line for line in log.said)


def test_students_that_are_not_there_are_found_early(done: tuple[Path, Path], tmp_path: Path) -> None:
    for base in ("tinyworld:99M", str(tmp_path / "nowhere")):
        recipe = load_recipe(done[0])
        student = type(recipe.students[0])(base=base)
        with pytest.raises(ModelError, match=base):
            run_recipe(Recipe(**{**as_dict(recipe), "students": (student,)}), tmp_path / "run")


def as_dict(recipe: Recipe) -> dict[str, Any]:
    return {name: getattr(recipe, name) for name in Recipe.__dataclass_fields__}


def test_one_run_at_a_time(done: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_WAIT_S", 0.1)
    run = tmp_path / "run"
    with store.locked(run / ".lock", run), pytest.raises(UserError, match="another process is working there"):
        run_recipe(load_recipe(done[0]), run)
    assert not (run / "recipe.json").exists()


def test_faults_are_tried_again_and_nothing_is_doubled(done: tuple[Path, Path], tmp_path: Path, unwell: Unwell) -> None:
    """Two questions meet a broken server. They are unscored, and only they are asked again once it is mended."""
    settings = {"url": unwell.url, "name": "t", "tries": 1, "concurrency": 2, "check_prefix": False}
    recipe = recipe_with(
        done[0], teacher={"model": "endpoint", "settings": settings}, collect={"compare_prefix": False}
    )
    students = (type(recipe.students[0])(base=recipe.students[0].base, methods=("agent-distill",)),)
    recipe = Recipe(**{**as_dict(recipe), "students": students})
    unwell.refuse = {question(3), question(5)}
    run = run_recipe(recipe, tmp_path / "run", until="filter")
    path = run / "collect" / "agent" / "traces.jsonl"
    first = {t.id: t for t in store.read_traces(path)}
    assert {i for i, t in first.items() if t.end is End.FAULT} == {"q3", "q5"}
    assert all("endpoint" in (first[i].fault or "") and first[i].score is None for i in ("q3", "q5"))
    assert read(run / "collect" / "agent" / "manifest.json")["n_faults"] == 2
    assert {t.id for t in store.read_traces(run / "filter" / "agent" / "traces.jsonl")} == {"q1", "q2", "q6", "q7"}

    unwell.refuse = set()
    unwell.asked.clear()
    run_recipe(recipe, tmp_path / "run", until="filter")
    assert set(unwell.asked) == {question(3), question(5)}
    second = {t.id: t for t in store.read_traces(path)}
    assert [t.id for t in store.read_traces(path)] == [f"q{i}" for i in range(8)]
    assert all(second[i] == first[i] for i in first if i not in ("q3", "q5"))
    assert second["q3"].correct
    assert len(store.read_traces(run / "filter" / "agent" / "traces.jsonl")) == 6
    unwell.asked.clear()
    run_recipe(recipe, tmp_path / "run", until="filter")
    assert not unwell.asked


def test_a_server_that_is_down_ends_the_run_with_what_is_saved(
    done: tuple[Path, Path], tmp_path: Path, unwell: Unwell
) -> None:
    settings = {"url": unwell.url, "name": "t", "tries": 1, "concurrency": 1, "check_prefix": False}
    recipe = recipe_with(
        done[0], teacher={"model": "endpoint", "settings": settings}, collect={"compare_prefix": False}
    )
    unwell.refuse = {question(i) for i in range(8)}
    with pytest.raises(InfrastructureError, match="0 of 8 trajectories are saved, run the same command to go on"):
        run_recipe(recipe, tmp_path / "run", until="collect")
    unwell.refuse = {question(i) for i in range(3, 8)}
    run_recipe(recipe, tmp_path / "run", until="collect")  # five faults of eight: told, and tried again next time
    assert len(store.read_traces(tmp_path / "run" / "collect" / "agent" / "traces.jsonl")) == 8


def test_full_training_needs_more_memory_than_an_adapter():
    """A model of 1.54 billion parameters, the shape of Qwen2.5-1.5B."""
    from transformers import AutoConfig

    from agentdistill.pipeline.training import training_gb
    from agentdistill.training import TrainSettings

    config = AutoConfig.for_model(
        "qwen2", hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
        num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True,
    )  # fmt: skip
    full = training_gb(config, TrainSettings(method="full", device="cpu"), 1000)
    lora = training_gb(config, TrainSettings(method="lora", device="cpu"), 1000)
    assert full > 1.5 * lora
    assert 1.54 * 16 / 1.074 < full < training_gb(config, TrainSettings(method="full", device="cpu"), 2000)
