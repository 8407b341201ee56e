"""How fast a shape learns and writes on this device: built with random weights, timed, taken down again.

A model that does not fit, or whose steps would take too long, is built with one layer and with two: the time of a step
is linear in the depth, so the rest is extrapolated, and the result says so.
"""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentdistill.rehearsal.shapes import n_parameters
from agentdistill.training.settings import TrainSettings

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

_FIXED_BYTES = 1 << 30  # of the libraries and the device's own
_FREE = 0.85  # of the memory, the share that may be counted on


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second, and the layers they were measured with: all, or too few and extrapolated.

    ``memory_gb`` is the peak on a GPU; on CPU, and where extrapolated, the estimate.
    """

    tokens_per_s: float
    memory_gb: float
    n_layers: int
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class Device:
    """Where it is measured: ``name`` for people, ``memory_gb`` in all, ``half`` if it computes in bfloat16."""

    kind: str
    name: str
    memory_gb: float
    half: bool

    @classmethod
    def find(cls, wanted: str = "auto") -> Device:
        """The GPU if there is one and it is not refused, else the CPU."""
        import torch

        if wanted != "cpu" and torch.cuda.is_available():
            facts = torch.cuda.get_device_properties(0)
            return cls("cuda", facts.name, facts.total_memory / 2**30, half=True)
        import os

        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return cls("cpu", f"CPU, {torch.get_num_threads()} threads", total, half=False)

    @property
    def dtype(self) -> torch.dtype:
        """What weights are held in where they do not learn."""
        import torch

        return torch.bfloat16 if self.half else torch.float32


def training_gb(config: PretrainedConfig, settings: TrainSettings, device: Device, n_tokens: int) -> float:
    """An estimate of training's memory: weights, gradients, AdamW's moments, and a batch's activations."""
    n = n_parameters(config)
    if settings.method == "full":
        weights = n * (4 + 4 + 8)
    else:
        weights = n * (2 if device.half else 4) + _lora_parameters(config, settings) * 16
    text = config.get_text_config()
    kept = 2 if device.kind == "cuda" and settings.gradient_checkpointing is not False else 34
    activations = n_tokens * text.hidden_size * text.num_hidden_layers * kept * (2 if device.half else 4)
    logits = n_tokens * text.vocab_size * 6
    return float(weights + activations + logits + _FIXED_BYTES) / 2**30


def writing_gb(config: PretrainedConfig, device: Device, n_rows: int, n_context: int) -> float:
    """An estimate of generation's memory: weights, and the keys and values of every row."""
    text = config.get_text_config()
    size = 2 if device.half else 4
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cache = 2 * n_rows * n_context * text.num_hidden_layers * text.num_key_value_heads * head * size
    return float(n_parameters(config) * size + cache + _FIXED_BYTES) / 2**30


def _lora_parameters(config: PretrainedConfig, settings: TrainSettings) -> int:
    text = config.get_text_config()
    # Seven matrices a layer, each with two factors as wide as its two sides: about ten widths a layer.
    return int(settings.lora_rank * text.num_hidden_layers * (8 * text.hidden_size + 3 * text.intermediate_size))


def training_speed(
    config: PretrainedConfig, settings: TrainSettings, device: Device, n_tokens: int, seconds: float
) -> Speed:
    """Tokens a second of training on sequences of ``n_tokens``, one micro-batch a step."""
    n_rows = settings.micro_batch_size or settings.batch_size
    needed = training_gb(config, settings, device, n_tokens * n_rows)

    def make(n_layers: int) -> Callable[[], None]:
        return _training_step(_shallow(config, n_layers), settings, device, n_rows, n_tokens)

    return _speed(config, make, n_rows * n_tokens, needed, device, seconds)


def writing_speed(
    config: PretrainedConfig, device: Device, n_rows: int, n_prompt: int, n_new: int, seconds: float
) -> Speed:
    """New tokens a second, prompts' time included, of ``n_rows`` written together by the decoder the stages use."""
    needed = writing_gb(config, device, n_rows, n_prompt + n_new)

    def make(n_layers: int) -> Callable[[], None]:
        return _writing_step(_shallow(config, n_layers), device, n_rows, n_prompt, n_new)

    return _speed(config, make, n_rows * n_new, needed, device, seconds)


def _shallow(config: PretrainedConfig, n_layers: int) -> PretrainedConfig:
    out = copy.deepcopy(config)
    text = out.get_text_config()
    if n_layers != text.num_hidden_layers:
        text.num_hidden_layers = n_layers
        if getattr(text, "layer_types", None):
            text.layer_types = text.layer_types[:n_layers]
    return out


def _speed(
    config: PretrainedConfig,
    make: Callable[[int], Callable[[], None]],
    n_tokens: int,
    needed_gb: float,
    device: Device,
    seconds: float,
) -> Speed:
    depth = config.get_text_config().num_hidden_layers
    one, two = (_seconds_of(make, n, device, seconds / 4)[0] for n in (1, 2))
    whole = one + max(two - one, 0.0) * (depth - 1)
    if needed_gb > device.memory_gb * _FREE or whole > seconds:
        return Speed(n_tokens / whole, needed_gb, 2, extrapolated=depth > 2)
    took, peak = _seconds_of(make, depth, device, seconds)
    return Speed(n_tokens / took, peak or needed_gb, depth, extrapolated=False)


def _seconds_of(
    make: Callable[[int], Callable[[], None]], n_layers: int, device: Device, seconds: float
) -> tuple[float, float]:
    """Seconds of a step after one to warm up, and the GPU's peak in GiB (0 on CPU)."""
    import torch

    gpu = device.kind == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    step = make(n_layers)
    step()
    n, started = 0, time.perf_counter()
    while n == 0 or time.perf_counter() - started < seconds:
        step()
        n += 1
    took = (time.perf_counter() - started) / n
    peak = torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0
    del step
    gc.collect()
    if gpu:
        torch.cuda.empty_cache()
    return took, peak


def _model(config: PretrainedConfig, device: Device, dtype: torch.dtype) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device(device.kind):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]


def _training_step(
    config: PretrainedConfig, settings: TrainSettings, device: Device, n_rows: int, n_tokens: int
) -> Callable[[], None]:
    import torch

    full = settings.method == "full"
    model = _model(config, device, torch.float32 if full else device.dtype)
    if not full:
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules="all-linear")
        model = get_peft_model(model, lora)
    if device.kind == "cuda" and settings.gradient_checkpointing is not False:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model.train()
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-5, fused=True)
    ids = torch.randint(0, config.get_text_config().vocab_size, (n_rows, n_tokens), device=device.kind)

    def step() -> None:
        with torch.autocast(device.kind, torch.bfloat16, enabled=device.half):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device

    return step


def _writing_step(
    config: PretrainedConfig, device: Device, n_rows: int, n_prompt: int, n_new: int
) -> Callable[[], None]:
    import torch

    from agentdistill.models.local import token_writer

    model = _model(config, device, device.dtype).eval()
    write = token_writer(model, n_rows)
    vocabulary = config.get_text_config().vocab_size
    prompts = torch.randint(0, vocabulary, (n_rows, n_prompt), generator=torch.Generator().manual_seed(0)).tolist()

    return lambda: write(prompts, n_new)
