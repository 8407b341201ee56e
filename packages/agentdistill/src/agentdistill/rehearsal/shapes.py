"""The shapes of models: from a folder's ``config.json``, out of a table of well-known ones, or from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agentdistill.checkpoints import locate
from agentdistill.errors import ModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# width, feed-forward width, layers, heads, key-value heads, width of a head, vocabulary, tied embeddings; from the
# config.json that each was released with.
_QWEN2 = {
    "Qwen2.5-0.5B": (896, 4864, 24, 14, 2, 64, 151936, True),
    "Qwen2.5-1.5B": (1536, 8960, 28, 12, 2, 128, 151936, True),
    "Qwen2.5-3B": (2048, 11008, 36, 16, 2, 128, 151936, True),
    "Qwen2.5-7B": (3584, 18944, 28, 28, 4, 128, 152064, False),
    "Qwen2.5-14B": (5120, 13824, 48, 40, 8, 128, 152064, False),
    "Qwen2.5-32B": (5120, 27648, 64, 40, 8, 128, 152064, False),
}
_QWEN3 = {
    "Qwen3-0.6B": (1024, 3072, 28, 16, 8, 128, 151936, True),
    "Qwen3-1.7B": (2048, 6144, 28, 16, 8, 128, 151936, True),
    "Qwen3-4B": (2560, 9728, 36, 32, 8, 128, 151936, True),
    "Qwen3-8B": (4096, 12288, 36, 32, 8, 128, 151936, False),
}
_LLAMA = {
    "Llama-3.2-1B": (2048, 8192, 16, 32, 8, 64, 128256, True),
    "Llama-3.2-3B": (3072, 8192, 28, 24, 8, 128, 128256, True),
    "SmolLM2-135M": (576, 1536, 30, 9, 3, 64, 49152, True),
    "SmolLM2-360M": (960, 2560, 32, 15, 5, 64, 49152, True),
    "SmolLM2-1.7B": (2048, 8192, 24, 32, 32, 64, 49152, True),
}
_FAMILIES = {"qwen2": _QWEN2, "qwen3": _QWEN3, "llama": _LLAMA}


def known() -> tuple[str, ...]:
    """The names in the table."""
    return tuple(name for table in _FAMILIES.values() for name in table)


def config_of(base: str) -> PretrainedConfig:
    """The configuration of a folder, a well-known name (``…-Instruct`` is the same shape) or a hub name.

    Raises ModelError where it is none of them, or the hub cannot be asked.
    """
    from transformers import AutoConfig

    place = locate(base)
    if (Path(place) / "config.json").is_file():
        return cast("PretrainedConfig", AutoConfig.from_pretrained(place))
    name = base.rsplit("/", 1)[-1].removesuffix("-Instruct").removesuffix("-Base")
    for family, table in _FAMILIES.items():
        if name in table:
            return _build(family, table[name])
    try:
        return cast("PretrainedConfig", AutoConfig.from_pretrained(place))
    except Exception as e:
        why = str(e).strip().splitlines()[0]
        raise ModelError(f"{base}: no shape is known for it and the hub could not be asked ({why})") from e


def _build(family: str, shape: tuple[Any, ...]) -> PretrainedConfig:
    from transformers import AutoConfig

    width, inner, layers, heads, kv_heads, head, vocabulary, tied = shape
    return AutoConfig.for_model(
        family,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head,
        vocab_size=vocabulary,
        tie_word_embeddings=tied,
        max_position_embeddings=32768,
    )


def n_parameters(config: PretrainedConfig) -> int:
    """How many parameters a model of this shape has; nothing is allocated."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return sum(p.numel() for p in model.parameters())
