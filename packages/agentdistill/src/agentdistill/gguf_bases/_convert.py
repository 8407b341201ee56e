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
from agentdistill.gguf_bases._config import ROTARY_TENSOR, config_of
from agentdistill.gguf_bases._file import GgufFile, by_itself
from agentdistill.gguf_bases._tokenizer import build_tokenizer
from agentdistill.store import write_json

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
