"""GGUF files: the tensors that went in come out, the vocabulary is the tokenizer's, the Modelfile spells the same."""

from __future__ import annotations

import re
import shutil

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_traces import made_traces
from safetensors.numpy import load_file
from small_run import write_inputs
from tiny_models import CONVENTIONS, build_tokenizer, save_checkpoint

from agentdistill.cli import main
from agentdistill.errors import ModelError, UserError
from agentdistill.exchange import write_gguf
from agentdistill.exchange._gguf import behind, nearest_cut
from agentdistill.exchange.llamacpp import modelfile, turns_of
from agentdistill.models.chat import ChatFormat
from agentdistill.models.gguf_file import WAYS, llama3_factors
from agentdistill.models.weights import load_tokenizer, locate
from agentdistill.pipeline.run import Run, trained
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe
from agentdistill.store import write_jsonl
from agentdistill.types import Message, Sampling, Source

TEMPLATE = load_prompt("tiny")
TINY = locate("tinyworld:0.3M")
# What the names of transformers are in llama.cpp, for the layers that all these models have.
PARTS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def expected_name(key: str) -> str:
    owner, kind = key.rsplit(".", 1)
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", owner)
    return f"blk.{layer[1]}.{PARTS[layer[2]]}.{kind}" if layer else f"{WHOLE[owner]}.{kind}"


def read(path):
    """Every tensor of a file as float32, its kind, and the header's values by name."""
    reader = gguf.GGUFReader(path)
    tensors = {t.name: (dequantize(t.data, t.tensor_type), t.tensor_type.name.lower()) for t in reader.tensors}
    return tensors, {name: field.contents() for name, field in reader.fields.items()}


def save_student(folder, kind: str, **more):
    """A tiny random checkpoint of a family, with biases where the family has them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = build_tokenizer("smollm2")
    torch.manual_seed(0)
    settings = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256,
        "initializer_range": 0.3, "tie_word_embeddings": False, "pad_token_id": 0,
    }  # fmt: skip
    settings = {k: v for k, v in {**settings, **more}.items() if v is not None}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings))
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pairs_apart(array, n_heads: int):
    """Undo how llama.cpp keeps a Llama's queries and keys: pairs side by side."""
    rows = array.shape[0] // n_heads
    order = [h * rows + i for h in range(n_heads) for i in (*range(0, rows, 2), *range(1, rows, 2))]
    return array[order]


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "llama"])
def test_every_tensor_comes_back_bit_by_bit_in_f32(tmp_path, kind):
    student = save_student(tmp_path / "student", kind)
    made = write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE, quantization="f32")
    found, header = read(made.path)
    wanted = load_file(student / "model.safetensors")
    assert {expected_name(k) for k in wanted} == set(found)
    for key, array in wanted.items():
        got, stored = found[expected_name(key)]
        if kind == "llama" and ("q_proj" in key or "k_proj" in key):
            got = pairs_apart(got, 4 if "q_proj" in key else 2)
        assert stored == "f32"
        assert np.array_equal(got, array.astype(np.float32)), key
    assert header["general.architecture"] == kind
    facts = {k.removeprefix(f"{kind}."): v for k, v in header.items() if k.startswith(f"{kind}.")}
    assert (facts["block_count"], facts["embedding_length"], facts["feed_forward_length"]) == (2, 64, 80)
    assert (facts["attention.head_count"], facts["attention.head_count_kv"]) == (4, 2)
    assert (facts["attention.key_length"], facts["context_length"]) == (16, 256)


def test_a_student_of_tinyworld_comes_back_too():
    """Shipped in f16, with embeddings that serve as the output as well."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        made = write_gguf(Path(TINY), Path(folder) / "out", name="TinyWorld 0.3M", template=TEMPLATE)
        found, header = read(made.path)
        wanted = load_file(f"{TINY}/model.safetensors")
        assert set(found) == {expected_name(k) for k in wanted if k != "lm_head.weight"}
        assert all(np.array_equal(found[expected_name(k)][0], a.astype(np.float32)) for k, a in wanted.items())
        assert header["qwen3.rope.freq_base"] == 10000.0
        assert made.path.name == "TinyWorld-0.3M.F16.gguf"
        assert sum(made.counts.values()) == len(found)


@pytest.mark.parametrize(("quantization", "error"), [("q8_0", 0.005), ("q5_0", 0.07), ("q4_0", 0.13), ("bf16", 0.005)])
def test_quantised_tensors_are_near_and_what_cannot_be_quantised_is_said(tmp_path, quantization, error):
    """``error`` is a step of the kind, as a share of the greatest weight: 1/8 with 4 bits, 1/16 with 5."""
    student = save_student(tmp_path / "student", "qwen3", intermediate_size=80)
    made = write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE, quantization=quantization)
    found, _ = read(made.path)
    for key, array in load_file(student / "model.safetensors").items():
        got, stored = found[expected_name(key)]
        assert np.abs(got - array).max() <= error * np.abs(array).max(), (key, stored)
        assert (array.ndim > 1) or stored == "f32"
    downs = {stored for name, (_, stored) in found.items() if "ffn_down" in name}
    if quantization == "bf16":
        assert downs == {"bf16"}
        return
    assert downs == {"f16"}, "rows of 80 fill no blocks of 32"
    assert any(r.startswith("2 tensors stay f16") and "blk.0.ffn_down.weight" in r for r in made.remarks)
    assert found["blk.0.attn_q.weight"][1] == quantization
    assert found["token_embd.weight"][1] == "q8_0"


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "llama"])
def test_another_reader_of_such_files_gets_the_same_model(tmp_path, kind):
    """transformers reads GGUF by code of its own: what the header says of heads and rotations has to make sense."""
    import torch
    from transformers import AutoModelForCausalLM

    head = 128 if kind == "qwen3" else None  # that reader knows the families' usual widths only
    student = save_student(tmp_path / "student", kind, head_dim=head)
    made = write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE, quantization="f32")
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        wanted = AutoModelForCausalLM.from_pretrained(student)(ids).logits
        found = AutoModelForCausalLM.from_pretrained(made.path.parent, gguf_file=made.path.name)(ids).logits
    assert torch.allclose(wanted, found, atol=1e-3)


def test_an_adapter_is_put_into_its_base_first(tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = save_checkpoint(tmp_path / "base", hidden=32)
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, init_lora_weights=False, target_modules=["v_proj"])
    )
    tuned.save_pretrained(tmp_path / "student")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "student")
    made = write_gguf(tmp_path / "student", tmp_path / "out", name="s", template=TEMPLATE, quantization="f32")
    found, _ = read(made.path)
    layer = tuned.merge_and_unload().model.layers[1].self_attn.v_proj.weight
    before = AutoModelForCausalLM.from_pretrained(base).model.layers[1].self_attn.v_proj.weight
    assert not torch.equal(layer, before)
    assert np.allclose(found["blk.1.attn_v.weight"][0], layer.detach().numpy(), atol=1e-6)


def test_the_vocabulary_is_the_tokenizers(tmp_path):
    student = save_checkpoint(tmp_path / "student", "qwen3", hidden=32)
    made = write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE)
    tokenizer = build_tokenizer("qwen3")
    _, header = read(made.path)
    tokens = header["tokenizer.ggml.tokens"]
    assert {t: i for i, t in enumerate(tokens)} == tokenizer.get_vocab()
    kinds = header["tokenizer.ggml.token_type"]
    assert kinds[tokenizer.convert_tokens_to_ids("<|im_end|>")] == gguf.TokenType.CONTROL
    assert kinds[tokenizer.convert_tokens_to_ids("<think>")] == gguf.TokenType.USER_DEFINED
    assert header["tokenizer.ggml.eos_token_id"] == tokenizer.eos_token_id
    assert header["tokenizer.chat_template"] == tokenizer.chat_template
    assert header["tokenizer.ggml.model"] == "gpt2"
    from transformers import AutoTokenizer

    beside = AutoTokenizer.from_pretrained(made.path.parent)
    assert beside.get_vocab() == tokenizer.get_vocab()
    assert ChatFormat(beside).end_ids == ChatFormat(tokenizer).end_ids


def test_a_tokenizer_that_cuts_as_gpt_2_does_is_known_exactly_and_another_is_told():
    cut = nearest_cut(build_tokenizer("smollm2"), ["Some text, 12 words: don't count them.\n\n    indented"])
    assert (cut.name, cut.is_exact) == ("gpt-2", True)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TINY)
    code = "town = search('Ilva Marten')\nfinal_answer(town[:{i}])"
    steps = [TEMPLATE.action("I look it up.", code.replace("{i}", str(i))) for i in range(9)]
    near = nearest_cut(tokenizer, steps)
    assert near == nearest_cut(tokenizer, steps)
    assert near.is_exact, "its words may hold underscores: only a way that hardly cuts at all leaves them whole"
    assert behind(tokenizer, near.name).encode(steps[0]).ids == tokenizer.encode(steps[0])
    assert behind(tokenizer, "qwen2").encode(steps[0]).ids != tokenizer.encode(steps[0])
    indented = nearest_cut(tokenizer, ["if x:\n    return y\n"])
    assert indented.name in WAYS
    assert not indented.is_exact, "and that way, blanks go with the word behind them"


ROLES = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=3)


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_the_modelfile_spells_conversations_as_the_template_does_or_not_at_all(name):
    chat = ChatFormat(build_tokenizer(name))
    begin = chat.tokenizer.bos_token or ""
    try:
        turns = turns_of(chat.render, begin)
    except ModelError:
        turns = None  # no system message, no neighbours: nothing that one template of Go's could say
    text = modelfile("x.gguf", turns, "s", Sampling(0.5), (), 512)
    assert ("TEMPLATE" in text.replace("No TEMPLATE", "")) == (turns is not None)
    if name in ("qwen2_5", "smollm2"):
        assert turns is not None
    if turns is None:
        return

    @settings(max_examples=30, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.text(max_size=30), ROLES, st.text(max_size=30))
    def same(system, said, question):
        words = [("system", system)] + [(r, t) for u, a in said for r, t in (("user", u), ("assistant", a))]
        conversation = [(r, t.strip() or "x") for r, t in (*words, ("user", question))]
        assert turns.render(conversation) == chat.render(conversation)
        assert go(turns.go, conversation) == turns.render(conversation).removeprefix(turns.opening)

    same()


@pytest.mark.parametrize("adds", [False, True], ids=["", "adds"])
@pytest.mark.parametrize("opening", ["", "{{ bos_token }}"])
@pytest.mark.parametrize("bos", ["<|endoftext|>", "<|im_start|>", "<|begin_of_text|>"])
@pytest.mark.parametrize("name", ["smollm2", "qwen2_5", "llama3", "phi4"])
def test_what_ollama_feeds_a_model_is_what_it_was_trained_on(tmp_path, name, bos, opening, adds):
    """llama.cpp puts the first token before a text where the file says so, and the Modelfile's template the rest."""
    from tokenizers.processors import TemplateProcessing

    student = save_checkpoint(tmp_path / "student", name, hidden=32)
    tokenizer = load_tokenizer(str(student))
    if bos not in tokenizer.get_vocab():
        pytest.skip("no token of this convention")
    tokenizer.bos_token = bos
    tokenizer.chat_template = opening + tokenizer.chat_template
    if adds:
        pair = (bos, tokenizer.bos_token_id)
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[pair])
    tokenizer.save_pretrained(student)
    write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE, quantization="q8_0")
    reader = gguf.GGUFReader(next((tmp_path / "out").glob("*.gguf")))
    before = [tokenizer.bos_token_id] if reader.fields["tokenizer.ggml.add_bos_token"].contents() else []
    template = re.search(r'TEMPLATE """(.*?)"""', (tmp_path / "out" / "Modelfile").read_text(), re.S)
    conversation = (("system", "S"), ("user", "one"), ("assistant", "two"), ("user", "three"))
    assert template is not None
    trained_on = ChatFormat(tokenizer).prompt_ids([Message(role, text, Source.PROMPT) for role, text in conversation])
    assert before + tokenizer.encode(go(template[1], conversation), add_special_tokens=False) == trained_on


def go(template: str, conversation) -> str:
    """What Go's engine makes of such a template: a range over messages, a choice by role."""
    body, reply = re.fullmatch(r"\{\{ range \.Messages \}\}(.*)\{\{ end \}\}\{\{ end \}\}(.*)", template, re.S).groups()
    cases = re.split(r"\{\{ (?:else )?if eq \.Role \"(\w+)\" \}\}", body)
    by_role = dict(zip(cases[1::2], cases[2::2], strict=True))
    return "".join(by_role[r].replace("{{ .Content }}", t) for r, t in conversation) + reply


def test_long_contexts_of_llama_divide_slow_waves_only():
    rope = {"rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    factors = llama3_factors({**rope, "original_max_position_embeddings": 8192}, 128)
    assert (factors.shape, factors[0], factors[-1]) == ((64,), 1.0, 8.0)
    assert (np.diff(factors) >= 0).all()
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = LlamaConfig(
        hidden_size=512, num_attention_heads=4, max_position_embeddings=131072,
        rope_parameters={**rope, "rope_type": "llama3", "original_max_position_embeddings": 8192},
    )  # fmt: skip
    frequencies, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 500000.0 ** (-np.arange(0, 128, 2) / 128)
    assert np.allclose(plain / factors, frequencies.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, 'type "gpt2"'),
        ({"use_sliding_window": True}, "sliding window"),
        ({"hidden_act": "gelu"}, '"gelu"'),
    ],
)
def test_what_cannot_be_written_is_told_in_one_line(tmp_path, change, said):
    import json

    student = save_student(tmp_path / "student", "qwen3")
    config = json.loads((student / "config.json").read_text())
    (student / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match=said) as caught:
        write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE)
    assert "\n" not in str(caught.value)


def test_other_tokenizers_and_kinds_are_refused(tmp_path):
    student = save_checkpoint(tmp_path / "student", "gemma", hidden=32)
    with pytest.raises(ModelError, match="not byte-level BPE"):
        write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE)
    with pytest.raises(UserError, match="there are: f32"):
        write_gguf(student, tmp_path / "out", name="s", template=TEMPLATE, quantization="q9")


def test_the_command_writes_a_folder_for_ollama(tmp_path, capsys):
    run = Run(load_recipe(write_inputs(tmp_path, n_train=2, n_test=1)), tmp_path / "run")
    run.save_recipe()
    student = trained(run.folder, run.recipe.students[0], "agent-distill")
    save_checkpoint(student, hidden=32)
    (student / "training.json").write_text("{}")
    write_jsonl(run.folder / "filter/agent/traces.jsonl", made_traces(3))
    arguments = ["export", str(run.folder), str(tmp_path / "out"), "--gguf", "--quantization", "q8_0"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    [file] = (tmp_path / "out").glob("*.gguf")
    assert str(file) in said
    assert "in q8_0" in said
    model = (tmp_path / "out" / "Modelfile").read_text()
    assert model.startswith(f"FROM ./{file.name}\n")
    assert 'PARAMETER stop "<|im_end|>"' in model
    assert "library_name: gguf" in (tmp_path / "out" / "README.md").read_text()
    assert main(arguments) == 2
    assert "not empty" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "out")
    assert main(["export", str(run.folder), str(tmp_path / "out"), "--quantization", "f32"]) == 2
    assert "--quantization needs --gguf" in capsys.readouterr().err
