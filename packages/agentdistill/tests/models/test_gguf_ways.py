"""Text is cut as llama.cpp cuts it: id for id, in every way, with merges that would cross any cut that is missing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_gguf import write_tiny

from agentdistill.errors import ModelError
from agentdistill.models.gguf_file import WAYS, tokenizer_of, way_of
from agentdistill.models.weights import SMOLLM2, load_tokenizer

GOLDEN = json.loads((Path(__file__).parent / "llama_ids.json").read_text(encoding="utf-8"))


def file_of(folder: Path, pre: str, **values: object) -> Path:
    n = len(GOLDEN["tokens"])
    vocabulary = {
        "model": "gpt2", "pre": pre, "tokens": GOLDEN["tokens"], "merges": GOLDEN["merges"],
        "token_type": [3] * 3 + [1] * (n - 3), "bos_token_id": 1, "eos_token_id": 2, **values,
    }  # fmt: skip
    write_tiny(folder / "v.gguf", vocabulary=vocabulary)
    return folder / "v.gguf"


@pytest.mark.parametrize("way", sorted(WAYS))
def test_ids_are_those_of_llama_cpp(tmp_path, way):
    tokenizer = tokenizer_of(file_of(tmp_path, way))
    for text, ids in zip(GOLDEN["texts"], GOLDEN["ids"][way], strict=True):
        assert tokenizer.encode(text, add_special_tokens=False) == ids, text


def sentencepiece(*, prefix: bool) -> dict[str, object]:
    """A SentencePiece vocabulary: three special tokens, the bytes, then merged pieces by rank, then letters."""
    merged, letters = GOLDEN["sentencepiece"]["merged"], GOLDEN["sentencepiece"]["letters"]
    return {
        "model": "llama", "pre": "default", "add_space_prefix": prefix, "add_bos_token": True,
        "tokens": ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *merged, *letters],
        "token_type": [2, 3, 3] + [6] * 256 + [1] * len(merged + letters),
        "scores": [0.0] * 259 + [-float(i) for i in range(len(merged))] + [-1e4 - i for i in range(len(letters))],
        "bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0,
    }  # fmt: skip


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_ids_are_those_of_llama_cpp(tmp_path, prefix):
    write_tiny(tmp_path / "v.gguf", vocabulary=sentencepiece(prefix=prefix))
    tokenizer_of(tmp_path / "v.gguf").save_pretrained(tmp_path / "saved")
    tokenizer = load_tokenizer(str(tmp_path / "saved"))
    rows = GOLDEN["sentencepiece"]["with_prefix" if prefix else "without_prefix"]
    for text, ids in zip(GOLDEN["texts"], rows, strict=True):
        assert tokenizer.encode(text, add_special_tokens=False) == ids, text
        assert tokenizer.decode(ids) == text
    assert tokenizer("12").input_ids[0] == 1


def test_the_golden_ids_tell_all_ways_apart():
    assert sorted(GOLDEN["ids"]) == sorted(WAYS)
    assert len({json.dumps(ids) for ids in GOLDEN["ids"].values()}) == len(WAYS)


def test_the_golden_ids_are_what_llama_cpp_says_today(tmp_path):
    pytest.importorskip("llama_cpp", reason="the extra agentdistill[llama-cpp] is not installed: it has to be compiled")
    from agentdistill.models._llama import Llama

    for way, rows in GOLDEN["ids"].items():
        llama = Llama(str(file_of(tmp_path, way)))
        assert [llama.tokenize(text) for text in GOLDEN["texts"]] == rows
    for prefix, name in ((True, "with_prefix"), (False, "without_prefix")):
        write_tiny(tmp_path / "s.gguf", vocabulary=sentencepiece(prefix=prefix))
        llama = Llama(str(tmp_path / "s.gguf"))
        assert [llama.tokenize(text) for text in GOLDEN["texts"]] == GOLDEN["sentencepiece"][name]


@pytest.mark.parametrize(("name", "way"), [("llama3", "llama-bpe"), ("starcoder", "smollm"), ("kormo", "qwen2")])
def test_other_names_stand_for_the_same_ways(tmp_path, name, way):
    assert way_of(name) == way
    texts = GOLDEN["texts"]
    found = [tokenizer_of(file_of(tmp_path, name)).encode(t, add_special_tokens=False) for t in texts[:3]]
    assert found == GOLDEN["ids"][way][:3]


def test_an_unknown_way_is_refused_unless_the_models_own_tokenizer_lies_beside(tmp_path):
    file = file_of(tmp_path, "a-new-way")
    with pytest.raises(ModelError, match=r'"a-new-way".*put the tokenizer.json') as caught:
        tokenizer_of(file)
    assert "\n" not in str(caught.value)
    own = tmp_path / "own"
    own.mkdir()
    tokenizer_of(file_of(own, "smollm")).save_pretrained(tmp_path)
    beside = tokenizer_of(file)
    assert beside.encode(GOLDEN["texts"][0], add_special_tokens=False) == GOLDEN["ids"]["smollm"][0]


def test_a_text_begins_as_the_file_says_or_as_llama_cpp_takes_it_to(tmp_path):
    for pre, said, begins in (
        ("smollm", {}, False),
        ("smollm", {"add_bos_token": True}, True),
        ("llama-bpe", {}, True),
    ):
        ids = tokenizer_of(file_of(tmp_path, pre, **said))("12").input_ids
        assert (ids[0] == 1) == begins
        assert ids[begins:] == tokenizer_of(file_of(tmp_path, pre)).encode("12", add_special_tokens=False)


@pytest.mark.skipif(find_spec(SMOLLM2.package) is None, reason=f"not installed: {SMOLLM2.install}")
def test_the_packaged_models_ids_are_those_of_llama_cpp():
    spec = find_spec(SMOLLM2.package)
    assert spec is not None
    tokenizer = tokenizer_of(Path(next(iter(spec.submodule_search_locations or ()))) / SMOLLM2.file)
    for text, ids in zip(GOLDEN["texts"], GOLDEN["smollm2:135M"], strict=True):
        assert tokenizer.encode(text, add_special_tokens=False) == ids, text
        assert tokenizer.decode(ids) == text
