"""GGUF files as bases: dequantised once into a checkpoint folder that everything else can read.

The folder lies in the cache, ``$AGENTDISTILL_CACHE``, by default ``agentdistill`` in ``$XDG_CACHE_HOME`` or
``~/.cache``. Its name holds a hash of the file, and of the tokenizer's files that lie beside it if there are any; its
bytes are the same whenever the same versions make it anew, and ``gguf.json`` in it says what it was made from.

transformers reads most of the header. What it passes over, and what would change every logit, is put right or refused
here: widths of heads, scaled or partial rotary embeddings, sliding windows, the size of the vocabulary.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.models.gguf_file import (
    GgufFile,
    build_tokenizer,
    by_itself,
    check_magic,
    digest_of,
    llama3_factors,
    record_of,
)
from agentdistill.store import write_json

Say = Callable[[str], None]

ROTARY_TENSOR = "rope_freqs.weight"
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
RECORD = "gguf.json"
_PACKAGES = ("agentdistill", "gguf", "safetensors", "tokenizers", "torch", "transformers")


def cache_folder() -> Path:
    """Where dequantised files are kept. It need not exist."""
    own = os.environ.get("AGENTDISTILL_CACHE")
    if own:
        return Path(own) / "gguf"
    general = os.environ.get("XDG_CACHE_HOME")
    return (Path(general) if general else Path.home() / ".cache") / "agentdistill" / "gguf"


def folder_for(path: Path, say: Say | None = None) -> Path:
    """The checkpoint folder of a GGUF file, made now if it is not there; ``say`` is told of that, in one line.

    Raises ModelError for a file that cannot be dequantised, of which then nothing is left, and InfrastructureError
    where the cache cannot be written.
    """
    check_magic(path)
    path = path.absolute()  # not where a link leads to: files in caches are named by hashes
    folder = cache_folder() / f"{path.stem}-{digest_of(path)[:16]}"
    if folder.is_dir():
        return folder
    file = GgufFile(path)
    if say is not None:
        say(f"{path.name}: dequantised once, into {folder}")
    try:
        with _alone(folder.parent):
            if not folder.is_dir():
                _make(folder, lambda place: convert(file, place, record_of(path)))
    except OSError as e:
        why = f"cannot be written: {e.strerror or e}"
        raise InfrastructureError(f"{folder}: {why}; AGENTDISTILL_CACHE names another place for it") from e
    return folder


def _make(folder: Path, write: Callable[[Path], None]) -> None:
    """A whole folder or none: what is half written has another name, and goes when it fails or the next one comes."""
    half = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    try:
        write(half)
        half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Until this is done, other processes wait: a file is dequantised once, however many ask for it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- weights and records ----------------------------------------------------------------------------------------------


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


# --- the config -------------------------------------------------------------------------------------------------------


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
