"""A GGUF file's model as a checkpoint folder: weights, config, generation settings, tokenizer, a record."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.store import write_json

from typing import Any

import numpy as np

from agentdistill.errors import ModelError
from agentdistill.gguf_bases.llamacpp import llama3_factors

from typing import Any

from agentdistill.errors import ModelError
from agentdistill.gguf_bases.llamacpp import begins, ignores_merges, pre_tokenizer, way_of

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize

from agentdistill.errors import ModelError


RECORD = "gguf.json"
_PACKAGES = ("agentdistill", "gguf", "safetensors", "tokenizers", "torch", "transformers")


def convert(file: GgufFile, folder: Path, record: dict[str, Any]) -> None:
    """Write the checkpoint into a folder, ``gguf.json`` with ``record`` last. Raises ModelError for a file that
    transformers has no model for, or none that takes all of it."""
    file.check_kinds()
    with _silence():
        config = config_of(file)
        tokenizer = build_tokenizer(file)
        model = _model(file, config)
        _generation(file, model)
        try:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        except Exception as e:  # a full disk is no OSError to those who write weights
            raise InfrastructureError(f"{folder}: cannot be written: {_line(e)}") from e
    about = {k: v for k, v in file.values.items() if k.startswith("general.") and not isinstance(v, bytes)}
    write_json(
        folder / RECORD,
        {
            **record,
            "about": about,
            "tensors": file.kinds,
            "versions": {name: version(name) for name in _PACKAGES},
        },
    )


def _model(file: GgufFile, config: Any) -> Any:
    """The dense model, dequantised a tensor at a time: quantised weights in bfloat16, others as they are stored."""
    import torch
    import transformers

    auto: Any = transformers.AutoModelForCausalLM
    try:
        with by_itself(file) as place:
            model, info = auto.from_pretrained(
                **place,
                config=config,
                dtype=getattr(torch, file.number_format),
                quantization_config=transformers.GgufConfig(dequantize=True),  # what is loaded without cannot be saved
                output_loading_info=True,
            )
    except Exception as e:
        raise ModelError(
            f'{file.path}: transformers cannot load it as a causal "{file.architecture}" model ({_line(e)})'
        ) from e
    _check_complete(file, model, info)
    return model


def _check_complete(file: GgufFile, model: Any, info: Any) -> None:
    """Raise ModelError where the model lacks a tensor, or the file has numbers that the model has no place for."""
    lacking = sorted(str(key) for key in info.get("missing_keys") or ())
    if lacking:
        raise ModelError(f"{file.path}: {len(lacking)} tensors of the model are not in the file, first {lacking[0]}")
    rotary = file.tensors.get(ROTARY_TENSOR)
    n_stored = file.n_numbers - (int(rotary.n_elements) if rotary is not None else 0)
    n_placed = sum(p.numel() for p in model.parameters())
    if n_stored != n_placed:
        raise ModelError(
            f"{file.path}: holds {n_stored:,} weights, but transformers' {model.config.model_type} model has places "
            f"for {n_placed:,}: biases or experts would be lost; give its checkpoint folder instead"
        )


def _generation(file: GgufFile, model: Any) -> None:
    """Special ids for whoever generates, an end of turn beside the end of text among the ends."""
    ends = [file.of_tokens("eos_token_id"), file.of_tokens("eot_token_id")]
    known = list(dict.fromkeys(int(i) for i in ends if i is not None))
    ids = {
        "bos_token_id": file.of_tokens("bos_token_id"),
        "eos_token_id": known[0] if len(known) == 1 else known or None,
        "pad_token_id": file.of_tokens("padding_token_id"),
    }
    for name, i in ids.items():
        setattr(model.config, name, i)
        setattr(model.generation_config, name, i)


@contextmanager
def _silence() -> Iterator[None]:
    """Without transformers' own progress bars and warnings: what matters of them is raised."""
    from transformers.utils import logging

    log: Any = logging
    level = log.get_verbosity()
    log.set_verbosity_error()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        log.set_verbosity(level)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


# --- config -----------------------------------------------------------------------------------------------------------


ROTARY_TENSOR = "rope_freqs.weight"
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def config_of(file: GgufFile) -> Any:
    """The config. Raises ModelError for an architecture that transformers does not read from GGUF files, and for
    rotary embeddings that it has no settings for."""
    import transformers
    from transformers import AutoConfig

    if not file.tensors or "general.architecture" not in file.values:
        raise ModelError(f"{file.path}: a GGUF file without a model (a vocabulary, or an adapter)")
    try:
        with by_itself(file) as place:
            config: Any = AutoConfig.from_pretrained(**place)
    except Exception as e:
        raise ModelError(
            f'{file.path}: a model of the architecture "{file.architecture}", which transformers '
            f"{transformers.__version__} does not read from GGUF files; give its checkpoint folder instead"
        ) from e
    for name in ("_model_name_or_path", "quantization_config"):
        if hasattr(config, name):
            delattr(config, name)
    config.name_or_path = ""
    _widths(file, config)
    _rotary(file, config)
    return config


def _widths(file: GgufFile, config: Any) -> None:
    head = file.of_model("attention.key_length")
    if head is not None and getattr(config, "head_dim", None) and not hasattr(config, "global_head_dim"):
        config.head_dim = int(head)
    window = file.of_model("attention.sliding_window")
    if window and getattr(config, "sliding_window", 0) is None:
        config.sliding_window = int(window)
    embeddings = file.tensors.get("token_embd.weight")
    if embeddings is not None:
        config.vocab_size = int(embeddings.shape[-1])  # llama.cpp gives the fastest dimension first


def _rotary(file: GgufFile, config: Any) -> None:
    kind, factor = file.of_model("rope.scaling.type", "none"), file.of_model("rope.scaling.factor")
    turned, head = file.of_model("rope.dimension_count"), getattr(config, "head_dim", None)
    parameters = getattr(config, "rope_parameters", None) or {}
    flat = "rope_theta" in parameters  # some families keep one set for each kind of layer
    partly = bool(turned and head and turned != head)
    scaled = kind != "none" or ROTARY_TENSOR in file.tensors
    longrope = any(name.startswith("rope_factors_") for name in file.tensors)
    if longrope or (scaled and not flat) or kind not in ("none", "linear", "yarn") or (kind != "none" and not factor):
        raise ModelError(f'{file.path}: rotary embeddings scaled in the way "{kind}" are not read from GGUF files here')
    if partly and flat:
        if "partial_rotary_factor" not in parameters and not hasattr(config, "partial_rotary_factor"):
            raise ModelError(f"{file.path}: heads of {head} of which {turned} are rotated are not read here")
        parameters["partial_rotary_factor"] = turned / head
    if kind != "none":
        parameters.update(rope_type=kind, factor=float(factor))
    if kind == "yarn":
        trained = file.of_model("rope.scaling.original_context_length")
        parameters["original_max_position_embeddings"] = int(trained or config.max_position_embeddings)
    if ROTARY_TENSOR in file.tensors:
        parameters.update(_llama3(file, parameters["rope_theta"]))


def _llama3(file: GgufFile, theta: float) -> dict[str, Any]:
    """The settings behind the factors that Llama 3.1 and later store, if they are the ones it was released with."""
    stored = np.asarray(file.tensors[ROTARY_TENSOR].data, np.float32)
    settings = {"rope_type": "llama3", "rope_theta": theta, "factor": float(stored.max()), **_LLAMA3}
    if not np.allclose(llama3_factors(settings, 2 * stored.size), stored, rtol=1e-4):
        raise ModelError(f"{file.path}: its rotary embeddings are scaled otherwise than Llama 3.1's ({ROTARY_TENSOR})")
    return settings


# --- tokenizer --------------------------------------------------------------------------------------------------------


_BYTE_LEVEL, _SENTENCEPIECE = "gpt2", "llama"  # as llama.cpp names kinds of vocabularies
_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # how SentencePiece spells one
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4  # llama.cpp's kinds of tokens
_AGREEING = 0.95  # of plain tokens; another model's tokenizer agrees on far fewer


def build_tokenizer(file: GgufFile) -> Any:
    """The tokenizer beside the file if there is one, else that of the file itself.

    A transformers tokenizer with the file's chat template, if it has one. Raises ModelError for a vocabulary that
    cannot be read, a way to cut text that is not known, and a tokenizer beside the file that is another model's.
    """
    if (file.path.parent / TOKENIZER).is_file():
        return _beside(file)
    kind = file.of_tokens("model", "none")
    try:
        if kind == _BYTE_LEVEL:
            return _with_roles(file, _byte_level(file))
        return _other(file, kind)
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(
            f'{file.path}: its tokenizer, of the kind "{kind}", cannot be built ({type(e).__name__}); put the '
            "tokenizer.json of the model beside the file"
        ) from e


def _beside(file: GgufFile) -> Any:
    from transformers import AutoTokenizer

    place = file.path.parent / TOKENIZER
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(file.path.parent))
    except Exception as e:
        raise ModelError(f"{place}: no tokenizer could be loaded ({type(e).__name__})") from e
    kinds, texts = file.of_tokens("token_type", ()), file.of_tokens("tokens", ())
    plain = [i for i, kind in enumerate(kinds) if kind == _NORMAL]
    found = tokenizer.convert_ids_to_tokens([i for i in plain if i < len(tokenizer)])
    same = sum(texts[i] == text for i, text in zip(plain, found, strict=False))
    if same < _AGREEING * len(plain):
        raise ModelError(f"{place}: the tokenizer of another model than {file.path.name}; move one of the two away")
    if not tokenizer.chat_template:
        tokenizer.chat_template = file.values.get("tokenizer.chat_template")
    return tokenizer


def _byte_level(file: GgufFile) -> Any:
    """A byte-level BPE of the library ``tokenizers``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    name = file.of_tokens("pre", "default")
    way = way_of(name)
    if way is None:
        raise ModelError(
            f'{file.path}: cuts text in the way "{name}", which is not known here; put the tokenizer.json of the model '
            "beside the file"
        )
    texts, kinds = file.of_tokens("tokens"), file.of_tokens("token_type", ())
    ids = {text: i for i, text in enumerate(texts)}
    merges = [
        (left, right)
        for left, right in map(_pair, file.of_tokens("merges"))
        if left in ids and right in ids and left + right in ids
    ]
    tokenizer: Any = Tokenizer(models.BPE(vocab=ids, merges=merges, ignore_merges=ignores_merges(name)))
    tokenizer.pre_tokenizer = pre_tokenizer(way)
    tokenizer.decoder = decoders.ByteLevel()
    for chosen, special in (((_CONTROL, _UNKNOWN), True), ((_USER_DEFINED,), False)):
        whole = [text for text, kind in zip(texts, kinds, strict=False) if kind in chosen]
        add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
        add([AddedToken(text, normalized=False, special=special) for text in whole])
    begin = file.of_tokens("bos_token_id")
    if begin is not None and file.of_tokens("add_bos_token", begins(name)):
        tokenizer.post_processor = _beginning(texts[begin], begin)
    return tokenizer


def _other(file: GgufFile, kind: str) -> Any:
    """What transformers makes of it; SentencePiece's blank in front of every text put where llama.cpp puts it."""
    from tokenizers import decoders, normalizers
    from transformers import AutoTokenizer

    with by_itself(file) as place:
        tokenizer: Any = AutoTokenizer.from_pretrained(**place)
    if kind == _SENTENCEPIECE:
        prefix, blank = file.of_tokens("add_space_prefix", True), normalizers.Replace(" ", _BLANK)
        backend = tokenizer.backend_tokenizer
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(_BLANK), blank] if prefix else [blank])
        backend.pre_tokenizer = None
        bare = [decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
        backend.decoder = decoders.Sequence([*bare, decoders.Strip(" ", 1, 0)] if prefix else bare)
    return tokenizer


def _pair(merge: str) -> tuple[str, str]:
    """Both parts of a merge: a blank divides them, of which the first character is never the one."""
    at = merge.index(" ", 1)
    return merge[:at], merge[at + 1 :]


def _beginning(token: str, i: int) -> Any:
    from tokenizers import processors

    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B:1", special_tokens=[(token, i)]
    )


def _with_roles(file: GgufFile, tokenizer: Any) -> Any:
    """The same as transformers has it, with what its special tokens are for, and the chat template."""
    from transformers import PreTrainedTokenizerFast

    texts = file.of_tokens("tokens")
    roles = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    ids = {role: file.of_tokens(f"{key}_token_id") for role, key in roles.items()}
    made: Any = PreTrainedTokenizerFast
    return made(
        tokenizer_object=tokenizer,
        chat_template=file.values.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        model_max_length=int(file.of_model("context_length")),
        **{f"{role}_token": texts[i] for role, i in ids.items() if i is not None},
    )


# --- the file ---------------------------------------------------------------------------------------------------------


class GgufFile:
    """The header of a file, and its tensors by name, none of which is read yet. Raises ModelError, in one line, for a
    file that is missing, not GGUF, damaged, or one part of several."""

    def __init__(self, path: Path) -> None:
        self.path = path
        check_magic(path)
        try:
            reader = gguf.GGUFReader(path)
            self.values: dict[str, Any] = {name: field.contents() for name, field in reader.fields.items()}
        except ValueError as e:
            if gguf.GGMLQuantizationType.__name__ not in str(e):
                raise _damaged(path, e) from e
            raise ModelError(
                f"{path}: holds tensors of a type that gguf {version('gguf')} does not know; upgrade that package, or "
                "take the file in another quantization, such as Q8_0 or Q4_K_M"
            ) from e
        except Exception as e:  # the reader trusts the file: whatever its numbers lead to comes up here
            raise _damaged(path, e) from e
        if reader.endianess is gguf.GGUFEndian.BIG:
            raise ModelError(f"{path}: a big-endian GGUF file, which cannot be read here")
        self.tensors = {t.name: t for t in reader.tensors}
        n_parts = int(self.values.get("split.count") or 1)
        if n_parts > 1:
            raise ModelError(
                f"{path}: one of {n_parts} parts of a split GGUF file; join them first: "
                "llama-gguf-split --merge FIRST_PART WHOLE.gguf"
            )

    @property
    def architecture(self) -> str:
        """The family by llama.cpp's name, such as ``llama``."""
        return str(self.values.get("general.architecture"))

    def of_model(self, key: str, default: Any = None) -> Any:
        """A value that the header holds under the architecture's name, such as ``block_count``."""
        return self.values.get(f"{self.architecture}.{key}", default)

    def of_tokens(self, key: str, default: Any = None) -> Any:
        """A value that the header holds of the tokenizer, such as ``pre`` or ``eos_token_id``."""
        return self.values.get(f"tokenizer.ggml.{key}", default)

    @property
    def n_numbers(self) -> int:
        """Numbers that all tensors hold together."""
        return sum(int(t.n_elements) for t in self.tensors.values())

    @property
    def kinds(self) -> dict[str, int]:
        """How many tensors there are of each type, such as ``{"F32": 61, "Q4_1": 210}``."""
        names = [t.tensor_type.name for t in self.tensors.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    @property
    def number_format(self) -> str:
        """``float32`` or ``float16`` where all matrices are stored so, else ``bfloat16``."""
        kinds = {t.tensor_type.name for t in self.tensors.values() if len(t.shape) > 1}
        plain = {"F32": "float32", "F16": "float16"}
        return plain.get(kinds.pop(), "bfloat16") if len(kinds) == 1 else "bfloat16"

    def check_kinds(self) -> None:
        """Raise ModelError for a type of tensor that the library ``gguf`` cannot dequantise."""
        for kind in {t.tensor_type for t in self.tensors.values()}:
            n_bytes = gguf.GGML_QUANT_SIZES[kind][1]
            try:
                dequantize(np.zeros(n_bytes, np.uint8), kind)
            except NotImplementedError as e:
                raise ModelError(
                    f"{self.path}: tensors of the type {kind.name} cannot be dequantised; take the file in another "
                    "quantization, such as Q8_0 or Q4_K_M"
                ) from e


@contextmanager
def by_itself(file: GgufFile) -> Iterator[dict[str, str]]:
    """Where transformers finds the file with nothing beside it: configs and adapters there it would read as well."""
    with TemporaryDirectory() as folder:
        (Path(folder) / file.path.name).symlink_to(file.path.absolute())
        yield {"pretrained_model_name_or_path": folder, "gguf_file": file.path.name}


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: a truncated or damaged GGUF file ({_line(error)}); fetch it anew")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
