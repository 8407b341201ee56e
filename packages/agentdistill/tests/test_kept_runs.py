"""Runs of earlier versions go on: their recipe is read, and no stage of theirs has another key, so none runs again.

``kept_run.jsonl`` was written by the version before ``style`` was called ``prompt``: the files a recipe reads, its
``recipe.json``, and the settings and inputs of every stage folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentdistill.pipeline import collect, evaluating, filtering, training
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.run import Run, open_run, trainings
from agentdistill.store import to_dict
from agentdistill.verify.verifiers import VerifierSettings

FILES, RECIPE, *FOLDERS = map(json.loads, (Path(__file__).parent / "fixtures" / "kept_run.jsonl").open())


def folders_of(run: Run) -> Iterator[StageFolder]:
    for name in run.collections:
        yield from (collect.folder_of(run, name), filtering.folder_of(run, name))
    for student, method in trainings(run.recipe):
        yield from (training.folder_of(run, student, method, 1), collect.sample_folder(run, student, method, 2))
    for job in evaluating.jobs(run):
        yield evaluating.folder_of(run, job)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES["files"].items():
        Path(name).write_text(text)
    for folder in FOLDERS:
        if folder["stage"] in ("collect", "filter"):
            Path(folder["folder"]).mkdir(parents=True)
            Path(folder["folder"], "traces.jsonl").touch()
    Path("run", "recipe.json").write_text(json.dumps(RECIPE["recipe"]))
    return open_run(Path("run"))


def test_the_recipe_of_an_earlier_run_is_read_and_kept_as_it_is(kept: Run) -> None:
    assert (kept.recipe.prompt, kept.recipe.name) == ("compact", "old")
    before = json.loads(Path("run", "recipe.json").read_text())
    kept.save_recipe()
    since: dict[str, Any] = {"verify": None}  # tables and keys that the earlier version did not have
    since |= {table: {**before[table], "constrain": "none"} for table in ("collect", "evaluate")}
    new = {"learning_rate": None, "decay": 0.6, "temperature": 1.0, "top_k": 20}
    since["on_policy"] = {**before["on_policy"], **new}
    assert json.loads(Path("run", "recipe.json").read_text()) == {**before, **since}


def test_the_stages_of_an_earlier_run_have_the_same_keys(kept: Run) -> None:
    now = {
        str(f.path): to_dict({"stage": f.stage, "settings": f.settings, "inputs": f.inputs}) for f in folders_of(kept)
    }
    before = {f["folder"]: {k: f[k] for k in ("stage", "settings", "inputs")} for f in FOLDERS}
    assert now == before
    ignored = {str(f.path): sorted(f.ignored) for f in folders_of(kept)}
    assert ignored == {f["folder"]: sorted(f["ignored"]) for f in FOLDERS}


def test_a_stage_made_with_another_prompt_says_so(kept: Run) -> None:
    said: list[str] = []
    folder = collect.folder_of(kept, "agent")
    with folder.claimed(said.append):
        pass
    folder.inputs["style"] = "standard"
    with folder.claimed(said.append):
        pass
    assert said == ["run/collect/agent: made with other prompt; what was there is kept as agent.old-1"]


def test_a_verifiers_journal_keeps_its_settings() -> None:
    settings = VerifierSettings(name="j", role="cot", model={"model": "scripted"}, prompt="tiny")
    data: dict[str, Any] = settings.kept()
    assert data["style"] == "tiny"
    assert VerifierSettings.of_kept(data) == settings
