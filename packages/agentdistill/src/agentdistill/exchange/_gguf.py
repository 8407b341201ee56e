"""A checkpoint as one GGUF file: what the model is, its tokens, and its tensors under the names llama.cpp has for them.

Tensors are read, quantised and written one at a time. Vectors (norms, biases) stay in f32, as llama.cpp wants them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import quant_shape_to_byte_shape, quantize
from numpy.typing import NDArray

from agentdistill.errors import ModelError
from agentdistill.models.chat import ChatFormat
from agentdistill.models.gguf_file import WAYS, ignores_merges, llama3_factors, pre_tokenizer
from agentdistill.types import Message, Role, Source

Array = NDArray[Any]
Kind = gguf.GGMLQuantizationType
_FILE_TYPES = {
    "f32": (Kind.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (Kind.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (Kind.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q5_0": (Kind.Q5_0, gguf.LlamaFileType.MOSTLY_Q5_0),
    "q4_0": (Kind.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}
_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
_SENSITIVE = ("token_embd.weight", "output.weight")  # worst hit by few bits, and read once a token


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that is not in memory yet."""

    shape: tuple[int, ...]
    read: Callable[[], Array]


@dataclass(frozen=True, slots=True)
class Container:
    """A file that was written: how many tensors there are of each kind, and which stayed f16 since their rows do not
    fill blocks."""

    path: Path
    counts: Mapping[str, int]
    unfit: tuple[str, ...]


def write_container(
    path: Path,
    name: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    vocabulary: GgufVocabulary,
    quantization: str,
) -> Container:
    """Write the file. ``config`` and the names of ``tensors`` are transformers'.

    Raises ModelError for an architecture that is not known here, or that is used as llama.cpp has no word for.
    """
    arch = _architecture(config)
    wanted, file_type = _FILE_TYPES[quantization]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _describe(writer, config)
    vocabulary.add_to(writer)
    named = _named(arch, config, tensors)
    kinds = {n: kind_of(n, t.shape, wanted) for n, t in named.items()}
    for n, t in named.items():
        plain = kinds[n] in (Kind.F32, Kind.F16)
        shape = t.shape if plain else quant_shape_to_byte_shape(t.shape, kinds[n])
        dtype = np.dtype(np.float32 if kinds[n] is Kind.F32 else np.float16 if plain else np.uint8)
        writer.add_tensor_info(n, shape, dtype, prod(shape) * dtype.itemsize, kinds[n])
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for n, t in named.items():
            writer.write_tensor_data(quantize(np.ascontiguousarray(t.read(), np.float32), kinds[n]))
    finally:
        writer.close()
    counts = {k.name.lower(): list(kinds.values()).count(k) for k in sorted(set(kinds.values()))}
    unfit = tuple(n for n, t in named.items() if len(t.shape) > 1 and kinds[n] is Kind.F16 and wanted is not Kind.F16)
    return Container(path, counts, unfit)


def kind_of(name: str, shape: tuple[int, ...], wanted: gguf.GGMLQuantizationType) -> gguf.GGMLQuantizationType:
    """How a tensor is stored: as wanted, but vectors in f32, rows that do not fill blocks in f16, and embeddings in
    8 bits where the rest has fewer."""
    if len(shape) == 1:
        return Kind.F32
    if wanted in (Kind.Q4_0, Kind.Q5_0) and name in _SENSITIVE:
        wanted = Kind.Q8_0
    block = gguf.GGML_QUANT_SIZES[wanted][0]
    return Kind.F16 if shape[-1] % block else wanted


# --- what the model is ------------------------------------------------------------------------------------------------


def _architecture(config: Mapping[str, Any]) -> gguf.MODEL_ARCH:
    kind = config.get("model_type")
    if kind not in _ARCHITECTURES:
        raise ModelError(f'a model of type "{kind}" cannot be written as GGUF here (only {", ".join(_ARCHITECTURES)})')
    if config.get("hidden_act", "silu") != "silu":
        raise ModelError(f'llama.cpp knows {kind} with the activation silu only, not "{config["hidden_act"]}"')
    sliding = config.get("use_sliding_window") or "sliding_attention" in (config.get("layer_types") or ())
    if sliding or (kind == "mistral" and config.get("sliding_window")):
        raise ModelError(f"{kind} with a sliding window cannot be written as GGUF here")
    return _ARCHITECTURES[kind]


def _head(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _describe(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    n_heads = config["num_attention_heads"]
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(n_heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or n_heads)
    writer.add_key_length(_head(config))
    writer.add_value_length(_head(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(_head(config))
    rope = _rope(config)
    writer.add_rope_freq_base(rope.get("rope_theta", 10000.0))
    kind = rope.get("rope_type", "default")
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR if kind == "linear" else gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        trained = rope.get("original_max_position_embeddings") or config["max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(trained)


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    rope: Mapping[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", "default")
    if kind not in ("default", "linear", "yarn", "llama3"):
        raise ModelError(f'rotary embeddings of the kind "{kind}" cannot be written as GGUF here')
    theta = config.get("rope_theta")
    return {"rope_theta": theta, **rope} if theta is not None else rope


# --- tensors ----------------------------------------------------------------------------------------------------------


def _named(arch: gguf.MODEL_ARCH, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under llama.cpp's names, what it does not store left out."""
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    out: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if key.endswith("rotary_emb.inv_freq") or (key == "lm_head.weight" and config.get("tie_word_embeddings")):
            continue
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ModelError(f"llama.cpp has no place for the tensor {key} in this architecture")
        out[name] = _interleaved(tensor, key, config) if arch is gguf.MODEL_ARCH.LLAMA else tensor
    if _rope(config).get("rope_type") == "llama3":
        factors = llama3_factors(_rope(config), _head(config))
        out["rope_freqs.weight"] = Tensor(factors.shape, lambda: factors)
    return out


def _interleaved(tensor: Tensor, key: str, config: Mapping[str, Any]) -> Tensor:
    """Queries and keys as llama.cpp rotates them in Llamas: the two numbers of a pair side by side, where transformers
    keeps the first ones of all pairs in front of the second ones."""
    owner = key.rsplit(".", 1)[0]
    n_heads = config["num_attention_heads"]
    if owner.endswith("k_proj"):
        n_heads = config.get("num_key_value_heads") or n_heads
    elif not owner.endswith("q_proj"):
        return tensor

    def read() -> Array:
        array = tensor.read()
        halves = array.reshape(n_heads, 2, array.shape[0] // n_heads // 2, -1)
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(array.shape)

    return Tensor(tensor.shape, read)


# --- its tokens -------------------------------------------------------------------------------------------------------


SAMPLES = (
    "Thought: I need both numbers first.\nCode:\n```py\ntotal = 3 * 35 + 19.5\nprint(total)\n```",
    "def area(width, height):\n    if width < 0:\n        raise ValueError('negative')\n    return width * height\n",
    "Observation: [1] Ilva Marten: Ilva Marten was born in Aren in 1912.\n[2] Aren lies in Orvia.\n\n",
    'results = [search(f"who founded {town}") for town in (\'Aren\', "St. Ives")]\nprint(results[0][:200])',
    "It's 1,234.50 euros -- isn't it? (She'd say: \"no\".) x_1 == y**2 != z  and\tso on...",
    "Zürich, naïve café, Ångström; 東京の人口は? Привет, мир! 🦙",
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to cut text by llama.cpp's name, and how many of how many texts it spells as the tokenizer does."""

    name: str
    n_same: int
    n: int

    @property
    def is_exact(self) -> bool:
        """Whether every text came out the same."""
        return self.n_same == self.n


@dataclass(frozen=True, slots=True)
class GgufVocabulary:
    """Everything that a GGUF file says of a tokenizer."""

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    cut: Cut
    special: tuple[tuple[str, int], ...]
    begins: bool
    template: str

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Put it into a file."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.cut.name)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.kinds)
        writer.add_token_merges(self.merges)
        for name, i in self.special:
            getattr(writer, f"add_{name}_token_id")(i)
        writer.add_add_bos_token(self.begins)
        writer.add_add_eos_token(False)
        writer.add_add_space_prefix(False)
        writer.add_chat_template(self.template)


def vocabulary_of(chat: ChatFormat, template: str, n_tokens: int, samples: Sequence[str] = ()) -> GgufVocabulary:
    """The vocabulary of a chat's tokenizer for a model of ``n_tokens`` embeddings. ``samples`` are texts like those
    that the model reads. Raises ModelError for a tokenizer that is not byte-level BPE."""
    tokenizer = chat.tokenizer
    data = _bpe(tokenizer)
    by_id = {i: text for text, i in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, kinds = [], []
    for i in range(n_tokens):
        known = i in by_id
        tokens.append(by_id[i] if known else f"[PAD{i}]")
        kind = gguf.TokenType.NORMAL if known else gguf.TokenType.UNUSED
        if i in added:
            kind = gguf.TokenType.CONTROL if added[i].special else gguf.TokenType.USER_DEFINED
        kinds.append(int(kind))
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    cut = nearest_cut(tokenizer, (*SAMPLES, *samples))
    return GgufVocabulary(tuple(tokens), tuple(kinds), tuple(merges), cut, _special(chat), _begins(chat), template)


def _begins(chat: ChatFormat) -> bool:
    """Whether conversations begin with the BOS token, and only they: then llama.cpp is to put it there, whatever the
    tokenizer does with other texts. Where every turn has it, it is the turn's own mark."""
    bos = chat.tokenizer.bos_token_id
    chats: tuple[tuple[Role, ...], ...] = (("user",), ("system", "user", "assistant", "user"))
    seen = [chat.prompt_ids([Message(role, "a", Source.PROMPT) for role in roles]) for roles in chats]
    return bos is not None and all(ids[0] == bos and ids.count(bos) == 1 for ids in seen)


def _special(chat: ChatFormat) -> tuple[tuple[str, int], ...]:
    """Ids with a part to play: ``eos`` is the tokenizer's own end, ``eot`` the template's where that is another."""
    t = chat.tokenizer
    found = {"bos": t.bos_token_id, "eos": chat.end_ids[-1], "pad": t.pad_token_id, "unk": t.unk_token_id}
    if len(chat.end_ids) > 1:
        found["eot"] = chat.end_ids[0]
    return tuple((name, i) for name, i in found.items() if i is not None)


def _bpe(tokenizer: Any) -> dict[str, Any]:
    """The tokenizer's own description. Raises ModelError where it is not byte-level BPE."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    data: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
    model = data.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback") or "ByteLevel" not in json.dumps(data["decoder"]):
        raise ModelError(
            "the tokenizer is not byte-level BPE, the only kind that is written as GGUF here; "
            "llama.cpp's convert_hf_to_gguf.py knows more kinds"
        )
    return data


def nearest_cut(tokenizer: Any, samples: Sequence[str]) -> Cut:
    """The pre-tokenizer of llama.cpp's with which most of the ``samples`` become the tokenizer's own tokens; of equals
    the first listed. A file can only name one of a fixed list, so the same merges are tried behind each.

    Lines are counted rather than texts, so that one odd line does not spoil a long text.
    """
    lines = [line for text in samples for line in text.splitlines(keepends=True)] + list(samples)
    unique = list(dict.fromkeys(lines))
    wanted = [e.ids for e in tokenizer.backend_tokenizer.encode_batch(unique, add_special_tokens=False)]
    best = Cut("", -1, len(unique))
    for name in WAYS:
        found = [e.ids for e in behind(tokenizer, name).encode_batch(unique, add_special_tokens=False)]
        n_same = sum(a == b for a, b in zip(found, wanted, strict=True))
        if n_same > best.n_same:
            best = Cut(name, n_same, len(unique))
    return best


def behind(tokenizer: Any, way: str) -> Any:
    """The tokenizer's merges behind one of llama.cpp's ways to cut text."""
    from tokenizers import Tokenizer

    data = _bpe(tokenizer)
    data["normalizer"] = None
    data["model"]["ignore_merges"] = ignores_merges(way)
    copy = Tokenizer.from_str(json.dumps(data))
    copy.pre_tokenizer = pre_tokenizer(way)
    return copy
