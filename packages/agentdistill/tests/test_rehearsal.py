"""Rehearsal: true shapes without weights, speeds that are measured, projections that follow from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_models import save_checkpoint

from agentdistill.cli import main
from agentdistill.errors import ModelError
from agentdistill.methods import METHODS
from agentdistill.recipe import load_recipe
from agentdistill.rehearsal import Assumptions, rehearse
from agentdistill.rehearsal.probes import Device, _speed, training_gb
from agentdistill.rehearsal.shapes import config_of, known, n_parameters
from agentdistill.training import TrainSettings


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 494.0),
        ("Qwen/Qwen2.5-1.5B", 1543.7),
        ("Qwen2.5-7B-Instruct", 7615.6),
        ("Qwen/Qwen3-0.6B", 596.0),
        ("meta-llama/Llama-3.2-1B-Instruct", 1235.8),
        ("HuggingFaceTB/SmolLM2-135M", 134.5),
    ],
)
def test_known_shapes_have_the_parameters_they_are_published_with(name: str, millions: float) -> None:
    assert n_parameters(config_of(name)) / 1e6 == pytest.approx(millions, rel=1e-3)


def test_every_known_shape_can_be_built() -> None:
    assert all(config_of(name).get_text_config().num_hidden_layers > 0 for name in known())


def test_a_folder_is_read(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, "llama3", seed=0)
    assert n_parameters(config_of(str(path))) > 1000


def test_an_unknown_name_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="no shape is known") as e:
        config_of("nobody/Nothing-9B")
    assert "\n" not in str(e.value)


CPU = Device("cpu", "CPU", 24.0, half=False)


def test_a_model_too_large_to_build_is_extrapolated_from_its_depth() -> None:
    config = config_of("Qwen2.5-7B")
    built: list[int] = []

    def make(n_layers: int):  # type: ignore[no-untyped-def]
        import time

        built.append(n_layers)
        return lambda: time.sleep(0.01 + 0.01 * n_layers)

    speed = _speed(config, make, 100, needed_gb=40.0, device=CPU, seconds=0.1)
    assert speed.extrapolated
    assert set(built) == {1, 2}
    assert speed.tokens_per_s == pytest.approx(100 / (0.01 + 0.01 * 28), rel=0.2)


def test_a_model_that_fits_is_built_whole(tmp_path: Path) -> None:
    config = config_of(str(save_checkpoint(tmp_path, "llama3", seed=0)))
    speed = _speed(config, lambda n: lambda: None, 100, needed_gb=0.1, device=CPU, seconds=0.01)
    assert not speed.extrapolated
    assert speed.n_layers == config.num_hidden_layers


def test_full_training_needs_more_memory_than_an_adapter() -> None:
    config = config_of("Qwen2.5-1.5B")
    full = training_gb(config, TrainSettings(method="full"), CPU, 1000)
    lora = training_gb(config, TrainSettings(method="lora"), CPU, 1000)
    assert full > 1.5 * lora
    assert full > 1.54 * 16 / 1.074


def test_what_episodes_are_taken_to_be_like() -> None:
    a = Assumptions(steps=3, new_tokens=100, observation_tokens=50, prompt_tokens=200)
    assert a.trajectory_tokens(METHODS["agent"]) == 200 + 3 * 150
    assert a.read(METHODS["agent"]) == 200 + 350 + 500  # each step sends what came before it
    assert a.written(METHODS["agent-sag"], 8) == 8 * a.written(METHODS["agent"])


RECIPE = """
[problems]
train = "missing.jsonl"
[teacher]
model = "endpoint"
url = "http://127.0.0.1:9/v1"
name = "t"
[student]
base = "{base}"
methods = ["agent-distill", "cot-distill", "agent-distill-sag"]
[train]
method = "full"
batch_size = 2
[evaluate]
max_new_tokens = 8
batch_size = 2
"""

SMALL = Assumptions(
    steps=2, new_tokens=4, observation_tokens=8, prompt_tokens=16, cot_tokens=8, n_train=10, n_test=5, price_in=1.0
)


def test_a_recipe_is_measured_and_projected(tmp_path: Path) -> None:
    base = save_checkpoint(tmp_path / "base", "llama3", seed=0)
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(base=base))
    plan = rehearse(load_recipe(path), SMALL, "cpu", seconds=0.2)
    assert [p.stage for p in plan.parts] == ["collect"] * 3 + ["train"] * 2 + ["evaluate"] * 3
    for p in plan.parts:
        if p.stage == "collect":
            assert p.speed is None
            assert p.cost > 0
        else:
            assert p.speed is not None
            assert p.hours == pytest.approx(p.tokens / p.speed.tokens_per_s / 3600)
    agent, vote = plan.parts[5], plan.parts[7]
    assert vote.tokens == 8 * agent.tokens
    assert plan.hours > 0


def test_rounds_sample_and_train_again(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(base=save_checkpoint(tmp_path / "base", "llama3", seed=0)) + "[rounds]\nn = 2\n")
    plan = rehearse(load_recipe(path), SMALL, "cpu", seconds=0.2)
    assert [p.stage for p in plan.parts] == ["collect"] * 5 + ["train"] * 4 + ["evaluate"] * 3
    assert plan.parts[3].what == "base · agent-distill · round 2"
    assert plan.parts[3].tokens == 10 * SMALL.written(METHODS["agent"])


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = save_checkpoint(tmp_path / "base", "llama3", seed=0)
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(base=base))
    few = ["steps=1", "new_tokens=4", "observation_tokens=4", "prompt_tokens=8", "cot_tokens=4"]
    assert main(["rehearse", str(path), "--device", "cpu", "--seconds", "0.1", "--json", "--assume", *few]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["assumed"]["steps"] == 1
    assert len(told["parts"]) == 8


@pytest.mark.parametrize("given", ["stesp=3", "steps=many", "kept=2", "steps=-1"])
def test_a_wrong_assumption_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(base="x"))
    assert main(["rehearse", str(path), "--assume", given]) == 2
    assert capsys.readouterr().err.count("\n") == 1
