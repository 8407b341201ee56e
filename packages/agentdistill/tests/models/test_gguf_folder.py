"""A GGUF file becomes a checkpoint: its own numbers, tied where they were, the same bytes again, all or nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import dequantize
from safetensors.torch import load_file
from small_run import files
from tiny_gguf import Kind, write_tiny
from tiny_models import build_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from agentdistill.exchange import write_gguf
from agentdistill.models import load_model
from agentdistill.models.dequantize import cache_folder
from agentdistill.models.gguf_file import llama3_factors, n_parameters
from agentdistill.models.weights import check_base, hub_name, locate
from agentdistill.prompts import load_prompt
from agentdistill.recipe import StudentSettings, student_name

PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def name_in_transformers(name: str) -> str:
    owner = name.removesuffix(".weight")
    if owner in WHOLE:
        return f"{WHOLE[owner]}.weight"
    _, layer, part = owner.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.weight"


def halves(array: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows of queries and keys as transformers rotates them: the first of all pairs, then the second ones."""
    rows = array.shape[0] // n_heads
    order = [h * rows + i for h in range(n_heads) for i in (*range(0, rows, 2), *range(1, rows, 2))]
    return array[order]


@pytest.mark.parametrize(
    ("kind", "hidden", "dtype"),
    [
        (Kind.Q4_0, 64, torch.bfloat16),
        (Kind.Q4_1, 64, torch.bfloat16),
        (Kind.Q5_0, 64, torch.bfloat16),
        (Kind.Q8_0, 64, torch.bfloat16),
        (Kind.Q4_K, 256, torch.bfloat16),
        (Kind.BF16, 64, torch.bfloat16),
        (Kind.F16, 64, torch.float16),
        (Kind.F32, 64, torch.float32),
    ],
    ids=lambda v: getattr(v, "name", None),
)
def test_every_number_is_what_the_file_stands_for(tmp_path, kind, hidden, dtype):
    stored = write_tiny(tmp_path / "tiny.gguf", kind, hidden=hidden)
    folder = Path(locate(str(tmp_path / "tiny.gguf")))
    found = load_file(folder / "model.safetensors")
    assert found.keys() == {name_in_transformers(name) for name in stored}, "tied embeddings are stored once"
    for name, data in stored.items():
        wanted = dequantize(data, kind if data.ndim > 1 else Kind.F32)
        if "attn_q" in name or "attn_k" in name:
            wanted = halves(wanted, 4 if "attn_q" in name else 2)
        got = found[name_in_transformers(name)]
        assert got.dtype == dtype
        assert torch.equal(got, torch.from_numpy(wanted.copy()).to(dtype)), name
    assert n_parameters(tmp_path / "tiny.gguf") == sum(t.numel() for t in found.values())


def test_the_folder_is_a_checkpoint_with_all_that_the_file_says(tmp_path):
    write_tiny(tmp_path / "tiny.gguf", values={"tokenizer.ggml.eot_token_id": 0})
    said: list[str] = []
    folder = Path(locate(str(tmp_path / "tiny.gguf"), said.append))
    assert folder.parent == cache_folder()
    assert [line for line in said if "tiny.gguf: dequantised once" in line] == said
    assert len(said) == 1
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    assert model.lm_head.weight is model.model.embed_tokens.weight
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"], config["num_key_value_heads"]) == ("llama", 64, 2)
    assert (config["eos_token_id"], config["pad_token_id"], config["bos_token_id"]) == ([2, 0], 2, 1)
    assert not {"quantization_config", "_model_name_or_path"} & config.keys()
    assert GenerationConfig.from_pretrained(folder).eos_token_id == [2, 0]
    record = json.loads((folder / "gguf.json").read_text())
    assert record["file"] == "tiny.gguf"
    assert record["bytes"] == (tmp_path / "tiny.gguf").stat().st_size
    assert record["about"]["general.license"] == "apache-2.0"
    assert record["tensors"] == {"F32": 5, "Q8_0": 15}
    assert {"transformers", "gguf"} <= record["versions"].keys()


def test_it_is_made_once_and_the_same_bytes_every_time(tmp_path, monkeypatch):
    write_tiny(tmp_path / "tiny.gguf")
    first = Path(locate(str(tmp_path / "tiny.gguf")))
    said: list[str] = []
    assert locate(str(tmp_path / "tiny.gguf"), said.append) == str(first)
    assert said == []
    monkeypatch.setenv("AGENTDISTILL_CACHE", str(tmp_path / "other"))
    again = Path(locate(str(tmp_path / "tiny.gguf")))
    assert again != first
    assert files(again) == files(first)
    write_tiny(tmp_path / "tiny.gguf", Kind.Q4_0)
    assert Path(locate(str(tmp_path / "tiny.gguf"))) not in (first, again), "other bytes, another folder"


def test_the_cache_is_where_the_desktops_rules_say(monkeypatch, tmp_path):
    monkeypatch.delenv("AGENTDISTILL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "agentdistill" / "gguf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "agentdistill" / "gguf"


def test_a_link_is_as_good_as_the_file(tmp_path):
    """As hub caches keep files: the link has the name, what it leads to is called by a hash."""
    write_tiny(tmp_path / "blob.gguf")
    blob = (tmp_path / "blob.gguf").rename(tmp_path / "0123abcd")
    (tmp_path / "tiny.gguf").symlink_to(blob)
    folder = Path(locate(str(tmp_path / "tiny.gguf")))
    assert folder.name.startswith("tiny-")
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize("name", ["TINY.GGUF", "sha256-0123", "~/tiny.gguf", "model.bin"])
def test_a_file_by_another_name_is_one_too(tmp_path, monkeypatch, name):
    """Ollama's blobs have no ending, and some downloads one in capitals."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_tiny(tmp_path / name.removeprefix("~/"))
    path = name if name[0] == "~" else str(tmp_path / name)
    assert (Path(locate(path)) / "model.safetensors").is_file()
    check_base(path, has_own_template=False)
    assert hub_name(path) is None
    assert load_model("local", path=path).chat.end_ids
    assert student_name(StudentSettings(base=path)) in ("TINY", "sha256-0123", "tiny", "model.bin")


def test_two_processes_at_once_make_one_folder_and_a_killed_ones_rest_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTDISTILL_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "tiny.gguf"
    write_tiny(file)
    code = "import sys; from agentdistill.models.weights import locate; print(locate(sys.argv[1]))"
    two = [subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True) for _ in "12"]
    first, second = (p.communicate()[0].strip() for p in two)
    assert [p.returncode for p in two] == [0, 0]
    assert first == second == locate(str(file))
    kept = files(Path(first))
    half = Path(first).rename(Path(first).with_name(f".{Path(first).name}.tmp"))
    (half / "config.json").unlink()
    assert files(Path(locate(str(file)))) == kept
    assert [p.name for p in cache_folder().iterdir() if p.is_dir()] == [Path(first).name]


@pytest.mark.parametrize(
    ("values", "more", "rope"),
    [
        ({"llama.rope.scaling.type": "none"}, {}, {"rope_type": "default"}),
        (
            {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0},
            {},
            {"rope_type": "linear", "factor": 4.0},
        ),
        (
            {
                "llama.rope.scaling.type": "yarn",
                "llama.rope.scaling.factor": 2.0,
                "llama.rope.scaling.original_context_length": 256,
            },
            {},
            {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 256},
        ),
        (
            {"llama.rope.freq_base": 500000.0},
            "llama3",
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
        ),
    ],
)  # fmt: skip
def test_long_contexts_are_rotated_as_in_the_file(tmp_path, values, more, rope):
    """transformers reads none of this: a model would rotate as a short one."""
    if more == "llama3":
        settings = {**rope, "rope_theta": 500000.0, "original_max_position_embeddings": 8192}
        more = {"rope_freqs.weight": llama3_factors(settings, 16)}
    write_tiny(tmp_path / "tiny.gguf", values=values, more=more)
    folder = locate(str(tmp_path / "tiny.gguf"))
    parameters = AutoConfig.from_pretrained(folder).rope_parameters
    assert rope.items() <= parameters.items()
    AutoModelForCausalLM.from_pretrained(folder)(torch.arange(8)[None])


@pytest.mark.parametrize(("family", "more"), [("qwen3", {"head_dim": 32}), ("qwen2", {}), ("llama", {})])
def test_a_student_that_was_exported_comes_back_as_it_was(tmp_path, family, more):
    """Qwen3's heads are 128 wide unless told otherwise, and transformers does not tell; Qwen2 has biases."""
    tokenizer = build_tokenizer("smollm2")
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, vocab_size=len(tokenizer), hidden_size=64, intermediate_size=80, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3, **more,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(tmp_path / "student")
    tokenizer.save_pretrained(tmp_path / "student")
    made = write_gguf(
        tmp_path / "student", tmp_path / "out", name="s", template=load_prompt("tiny"), quantization="f32"
    )
    again = AutoModelForCausalLM.from_pretrained(locate(str(made.path)))
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        assert torch.equal(again(ids).logits, model(ids).logits)


def test_what_is_quantised_can_be_read_by_the_writer_of_such_files(tmp_path):
    """The file of these tests is one that other readers take as well: transformers' own gets the same logits."""
    write_tiny(tmp_path / "tiny.gguf", Kind.F32)
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="tiny.gguf", dtype=torch.float32)(ids).logits
        ours = AutoModelForCausalLM.from_pretrained(locate(str(tmp_path / "tiny.gguf")))(ids).logits
    assert torch.equal(theirs, ours)
    assert gguf.GGUFReader(tmp_path / "tiny.gguf").tensors
