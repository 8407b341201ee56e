"""Training for real: tiny weights, real TRL, real kills."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from made_traces import made_traces, source_environment
from safetensors.torch import load_file
from tiny_models import build_tokenizer, save_checkpoint

from agentdistill.errors import InfrastructureError, ModelError, RecipeError
from agentdistill.models import load_model
from agentdistill.models.chat import ChatFormat
from agentdistill.store import write_json, write_jsonl
from agentdistill.training import TrainSettings, read_result, train
from agentdistill.types import Request, Sampling

torch.set_num_threads(1)
FULL = TrainSettings(method="full", learning_rate=1e-3, device="cpu", log_every=2, epochs=2)
LORA = replace(FULL, method="lora", lora_rank=8, lora_alpha=16)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_checkpoint(tmp_path_factory.mktemp("base")))


def files(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.iterdir() if p.name != "timing.json"}


def expected_loss(base: str, n: int, order: list[int]) -> float:
    """Mean negative log-likelihood of what the models wrote and of the markers, by plain arithmetic."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    chat = ChatFormat(build_tokenizer("smollm2"))
    examples = [chat.examples(t.messages)[0] for t in made_traces(n)]
    total, count = 0.0, 0
    for i in order:
        e = examples[i]
        with torch.no_grad():
            logprobs = model(torch.tensor([e.input_ids])).logits[0].log_softmax(-1)
        for t, learned in enumerate(e.trained):
            if learned:
                total -= float(logprobs[t - 1, e.input_ids[t]])
                count += 1
    return total / count


@pytest.mark.parametrize("tiled", [False, True])
def test_the_loss_is_the_mean_over_learned_tokens(
    base: str, tmp_path: Path, tiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours for small models, and TRL's where the logits would be too many: both are equation 3."""
    from agentdistill.training import _sft

    if tiled:
        monkeypatch.setattr(_sft, "_MOST_LOGITS", 0)
    settings = replace(FULL, epochs=1, batch_size=8, micro_batch_size=2, log_every=1)
    result = train(made_traces(8), base, tmp_path, settings)
    assert result.loss_curve == ((1, pytest.approx(expected_loss(base, 8, list(range(8))), abs=2e-4)),)


def test_an_adapter_learns_the_same_from_a_batch_in_parts(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentdistill.training import _sft

    settings = replace(LORA, epochs=1, batch_size=8, log_every=1, lora_dropout=0.0, precision="float32")
    curves, weights = [], []
    for n_tokens in (1 << 20, 200):
        monkeypatch.setattr(_sft, "_TOKENS", n_tokens)
        out = tmp_path / str(n_tokens)
        curves.append(train(made_traces(8), base, out, settings).loss_curve)
        weights.append(load_file(out / "adapter_model.safetensors"))
    truth = pytest.approx(expected_loss(base, 8, list(range(8))), abs=2e-4)
    assert curves == [((1, truth),), ((1, truth),)]
    whole, parts = weights
    assert any(bool(t.any()) for name, t in whole.items() if "lora_B" in name)
    assert all(torch.allclose(t, parts[name], atol=1e-5) for name, t in whole.items())


def test_full_weights(base: str, tmp_path: Path) -> None:
    seen: list[tuple] = []
    settings = replace(FULL, learning_rate=1e-2, epochs=12)
    result = train(made_traces(16), base, tmp_path, settings, on_progress=lambda *p: seen.append(p))
    assert result.final_loss < 0.5 * result.loss_curve[0][1]
    assert [(p[0], p[2]) for p in seen] == list(result.loss_curve)
    assert all(p[1] == 24 and p[3] > 0 for p in seen)
    assert (result.n_traces, result.n_examples, result.n_steps, result.n_too_long) == (16, 16, 24, 0)
    assert {"config.json", "model.safetensors", "tokenizer.json", "training.json"} <= set(files(tmp_path))
    assert not (tmp_path / "checkpoints").exists()
    trace = made_traces(16)[0]
    model = load_model("local", path=str(tmp_path))
    ((sample,),) = asyncio.run(model.generate([Request(trace.prompt, Sampling(max_new_tokens=80))]))
    assert sample.text.startswith("Thought: ")
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["settings"]["learning_rate"] == 1e-2
    assert record["seed"] == 0
    assert record["versions"]["trl"]
    assert record["result"]["n_trained_tokens"] == result.n_trained_tokens
    assert "seconds" not in json.dumps(record)


def test_half_precision_stays_and_the_end_of_turn_is_known(base: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, GenerationConfig

    half = tmp_path / "half"
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16)
    model.generation_config.eos_token_id = 0  # as a base model has it that was never taught turns
    model.save_pretrained(half)
    build_tokenizer("smollm2").save_pretrained(half)
    train(made_traces(8), str(half), tmp_path / "out", FULL)
    before, after = (load_file(folder / "model.safetensors") for folder in (half, tmp_path / "out"))
    assert {t.dtype for t in after.values()} == {torch.float16}
    assert any(not torch.equal(before[k], after[k]) for k in before)
    assert GenerationConfig.from_pretrained(tmp_path / "out").eos_token_id == [2, 0]


def test_an_adapter(base: str, tmp_path: Path) -> None:
    result = train(made_traces(16), base, tmp_path, replace(LORA, learning_rate=1e-2, epochs=6, precision="bfloat16"))
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (8, 16, base)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    assert len(weights) == 2 * 7 * 2  # A and B of the seven linear maps of both layers
    assert result.loss_curve[-1][1] < result.loss_curve[0][1]
    assert "model.safetensors" not in files(tmp_path)
    request = Request(made_traces(1)[0].prompt, Sampling(max_new_tokens=8))
    tuned, plain = (asyncio.run(load_model("local", path=p).generate([request])) for p in (str(tmp_path), base))
    assert tuned[0][0].logprob != plain[0][0].logprob
    with pytest.raises(ModelError, match="is an adapter"):
        train(made_traces(4), str(tmp_path), tmp_path / "again", LORA)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_adapter_is_kept_in_the_number_format_of_its_base(precision: str, base: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(half)
    build_tokenizer("smollm2").save_pretrained(half)
    train(made_traces(8), str(half), tmp_path / "out", replace(LORA, precision=precision))
    weights = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {t.dtype for t in weights.values()} == {torch.bfloat16}


def test_a_finished_run_is_not_run_again_but_other_data_is(base: str, tmp_path: Path) -> None:
    first = train(made_traces(8), base, tmp_path, FULL)
    before = (tmp_path / "model.safetensors").stat().st_mtime_ns
    assert train(made_traces(8), base, tmp_path, replace(FULL, save_every_s=1.0)) == first
    assert read_result(tmp_path) == first
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == before
    second = train(made_traces(9), base, tmp_path, FULL)
    assert second.n_examples == 9
    assert second.loss_curve != first.loss_curve


def test_the_template_that_was_trained_with_goes_along(base: str, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text(
        build_tokenizer("smollm2").chat_template.replace("im_start|>' ~ m.role", "im_start|>as ' ~ m.role")
    )
    train(made_traces(4), base, tmp_path / "out", replace(FULL, chat_template=str(template), epochs=1))
    model: Any = load_model("local", path=str(tmp_path / "out"))
    prompt = model.chat.tokenizer.decode(model.chat.prompt_ids(made_traces(1)[0].prompt))
    assert prompt.startswith("<|im_start|>as system\n")


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[4])
import torch
from made_traces import made_traces, source_environment
from agentdistill.training import TrainSettings, train
torch.set_num_threads(1)
settings = TrainSettings(**json.loads(sys.argv[3]))
train(made_traces(40), sys.argv[1], sys.argv[2], settings, on_progress=lambda *p: print(p, flush=True))
"""


@pytest.mark.parametrize("settings", [FULL, LORA], ids=["full", "lora"])
def test_an_interrupted_run_goes_on_to_the_same_bytes(base: str, tmp_path: Path, settings: TrainSettings) -> None:
    def interrupt(step: int, *_: float) -> None:
        if step == 6:
            raise KeyboardInterrupt

    settings = replace(settings, save_every_s=0.0, micro_batch_size=4)
    train(made_traces(40), base, tmp_path / "calm", settings)
    with pytest.raises(KeyboardInterrupt):
        train(made_traces(40), base, tmp_path / "disturbed", settings, on_progress=interrupt)
    assert train(made_traces(40), base, tmp_path / "disturbed", settings).resumed_from in (2, 4)
    assert files(tmp_path / "disturbed") == files(tmp_path / "calm")


def test_kills_change_nothing(base: str, tmp_path: Path) -> None:
    """SIGKILL while it saves, then the same call: the same bytes as undisturbed."""
    settings = replace(LORA, epochs=6, save_every_s=0.0)
    train(made_traces(40), base, tmp_path / "calm", settings)
    disturbed = tmp_path / "disturbed"
    arguments = [base, str(disturbed), json.dumps(asdict(settings)), str(Path(__file__).parents[1] / "fixtures")]
    environment = source_environment()
    command = [sys.executable, "-c", PROGRAM, *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for _ in range(4):
        assert process.stdout.readline().startswith("(")
    process.kill()  # about when the fourth checkpoint is being written
    process.wait()
    process.stdout.close()
    checkpoints = disturbed / "checkpoints"
    assert list(checkpoints.glob("checkpoint-*/complete"))
    torn = checkpoints / "checkpoint-999"  # what a kill in the midst of saving leaves
    torn.mkdir()
    (torn / "trainer_state.json").write_text("{")
    result = train(made_traces(40), base, disturbed, settings)
    assert result.resumed_from is not None
    assert result.resumed_from >= 2
    assert files(disturbed) == files(tmp_path / "calm")


def test_two_processes_learn_what_one_does(base: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "traces.jsonl", made_traces(16))
    arguments = {"traces": str(tmp_path / "traces.jsonl"), "base": base, "out": str(tmp_path / "two")}
    write_json(tmp_path / "arguments.json", {**arguments, "settings": asdict(FULL)})
    environment = source_environment()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    done = subprocess.run(
        [*command, "agentdistill.training", str(tmp_path / "arguments.json")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one = train(made_traces(16), base, tmp_path / "one", FULL)
    two = read_result(tmp_path / "two")
    assert two is not None
    assert [loss for _, loss in two.loss_curve] == pytest.approx([loss for _, loss in one.loss_curve], abs=1e-5)
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(a[k], b[k], atol=1e-5) for k in a)


def test_nothing_is_told_to_the_hub(base: str, tmp_path: Path) -> None:
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *_: object) -> None: ...

    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    environment = {k: v for k, v in source_environment().items() if k != "CI" and not k.startswith("HF_")}
    environment["HF_ENDPOINT"] = f"http://127.0.0.1:{hub.server_port}"
    settings = replace(FULL, epochs=1)
    arguments = [base, str(tmp_path / "out"), json.dumps(asdict(settings)), str(Path(__file__).parents[1] / "fixtures")]
    flush = "\nfrom huggingface_hub.utils import _telemetry; _telemetry._TELEMETRY_QUEUE.join()"
    subprocess.run(
        [sys.executable, "-c", PROGRAM + flush, *arguments], env=environment, check=True, capture_output=True
    )
    hub.shutdown()
    assert read_result(tmp_path / "out") is not None
    assert asked == []


def test_accelerate_starts_it(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", source_environment()["PYTHONPATH"])
    config = tmp_path / "cpu.yaml"
    config.write_text("compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nnum_processes: 1\nuse_cpu: true\n")
    seen: list[tuple] = []
    settings = replace(FULL, distributed=str(config))
    result = train(made_traces(8), base, tmp_path / "out", settings, on_progress=lambda *p: seen.append(p))
    assert [p[0] for p in seen] == [step for step, _ in result.loss_curve]
    assert result.n_examples == 8


def test_misfits(base: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        train(made_traces(2), str(tmp_path / "nowhere"), tmp_path / "out", FULL)
    with pytest.raises(RecipeError, match="'dpd' is neither a file nor one of ddp, fsdp, zero3"):
        train(made_traces(2), base, tmp_path / "out", replace(FULL, distributed="dpd"))
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA GPU"):
            train(made_traces(2), base, tmp_path / "out", replace(FULL, device="cuda"))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InfrastructureError, match="file"):
        train(made_traces(2), base, tmp_path / "file", FULL)
