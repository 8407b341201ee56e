"""What a GGUF file's header says of the model, as a config of transformers.

transformers reads most of it. What it passes over, and what would change every logit, is put right or refused here:
widths of heads, scaled or partial rotary embeddings, sliding windows, the size of the vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agentdistill.errors import ModelError
from agentdistill.gguf_bases._file import GgufFile, by_itself
from agentdistill.gguf_bases.rotary import llama3_factors

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
