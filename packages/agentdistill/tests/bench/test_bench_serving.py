"""The load test serves, asks, compares, and says what it found."""

from __future__ import annotations

import json

import pytest
from small_run import write_inputs
from tiny_models import save_checkpoint

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.bench.serving import main
from agentdistill.cli.bench import benches
from agentdistill.errors import UserError
from agentdistill.pipeline.layout import trained
from agentdistill.pipeline.run import Run
from agentdistill.recipe import load_recipe


def test_a_few_chats_for_a_moment(tmp_path, capsys, monkeypatch):
    run = Run(load_recipe(write_inputs(tmp_path, n_train=2, n_test=2)), tmp_path / "run")
    run.save_recipe()
    student = trained(run.folder, run.recipe.students[0], "agent-distill")
    save_checkpoint(student, hidden=16, context=512)
    (student / "training.json").write_text("{}")
    assert main(["--json", "--run", str(run.folder), "--chats", "3", "--seconds", "3", "--questions", "2"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["chats"], result["wrong"], result["lost"], result["errors"]) == (3, 0, 0, {})
    assert result["answered"] >= 3
    assert benches()["serving"] == "agentdistill.bench.serving"


def test_without_a_run_it_says_so(tmp_path):
    with pytest.raises(UserError, match="make demo"):
        main(["--run", str(tmp_path)])
