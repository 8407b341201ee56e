"""What a whole recipe takes, projected from the few problems of a dry run."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from agentdistill.checkpoints import locate
from agentdistill.methods import method
from agentdistill.pipeline.layout import collected, trained, trainings
from agentdistill.recipe import Recipe
from agentdistill.store import read_traces
from agentdistill.training import TrainSettings

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_CHARS = 4  # of a token, in English and code
_FIXED_BYTES = 1 << 30  # of the libraries and the device's own


def estimate(folder: Path, recipe: Recipe, n_problems: int) -> list[str]:
    """A line for each collection and each training of the whole recipe, with ``n_problems`` training problems.

    ``folder`` is a run of ``recipe`` in which a part of the problems was collected. Trainings are those of the first
    round, with every trajectory kept; their memory is missing where the base's shape cannot be read.
    """
    names = sorted(p.parent.name for p in folder.glob("collect/*/manifest.json") if ".old-" not in p.parent.name)
    n = n_problems * recipe.collect.samples
    lines = [_collection(collected(folder, name).parent, n) for name in names]
    for student, method_name in trainings(recipe):
        learns = method(method_name).learns or ""
        if learns not in names:
            continue
        cot = recipe.train_cot if not method(method_name).agent else None
        settings = cot or recipe.train
        lengths = _lengths(collected(folder, learns), settings.max_length)
        if not lengths:
            continue
        n_tokens = mean(lengths) * n * settings.epochs
        line = f"train/{trained(folder, student, method_name).name}: about {n_tokens:,.0f} tokens if all are kept"
        config = _config(student.base)
        n_rows = settings.micro_batch_size or settings.batch_size
        memory = "" if config is None else f", {training_gb(config, settings, n_rows * max(lengths)):.1f} GB of memory"
        lines.append(line + memory)
    return lines


def _collection(folder: Path, whole: int) -> str:
    facts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    timing = json.loads((folder / "timing.json").read_text(encoding="utf-8"))
    factor = whole / max(facts["n"], 1)
    n_read, n_written = (facts["usage"][name] * factor for name in ("n_prompt_tokens", "n_new_tokens"))
    return (
        f"collect/{folder.name}: all {whole} would read about {n_read:,.0f} and write {n_written:,.0f} "
        f"tokens, in about {timing['seconds'] * factor / 60:.0f} min at this pace (more at once go faster)"
    )


def _lengths(traces: Path, max_length: int) -> list[int]:
    """About how many tokens the conversations have; none longer than ``max_length`` is trained on."""
    chars = (sum(len(m.content) for m in t.messages) for t in read_traces(traces))
    return [n for c in chars if (n := c // _CHARS + 1) <= max_length]


def _config(base: str) -> PretrainedConfig | None:
    from transformers import AutoConfig

    try:
        found: PretrainedConfig = AutoConfig.from_pretrained(locate(base))
    except (OSError, ValueError):
        return None
    return found


def training_gb(config: PretrainedConfig, settings: TrainSettings, n_tokens: int) -> float:
    """About how much memory training takes here, in GB (2^30 bytes), with ``n_tokens`` in a forward pass.

    Weights, gradients and AdamW's moments in float32 (a LoRA's base as it is held), and the pass's activations.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    n_parameters = sum(p.numel() for p in model.parameters())
    on_gpu = torch.cuda.is_available() and settings.device != "cpu"
    size, text = 2 if on_gpu else 4, config.get_text_config()
    weights = 16 * n_parameters
    if settings.method == "lora":  # two factors for each of seven matrices a layer: about eleven widths
        widths = 8 * text.hidden_size + 3 * text.intermediate_size
        weights = size * n_parameters + 16 * settings.lora_rank * text.num_hidden_layers * widths
    stored = 2 if on_gpu and settings.gradient_checkpointing is not False else 34  # values a width and layer
    activations = n_tokens * text.hidden_size * text.num_hidden_layers * stored * size
    logits = n_tokens * text.vocab_size * 6
    return float(weights + activations + logits + _FIXED_BYTES) / 2**30
