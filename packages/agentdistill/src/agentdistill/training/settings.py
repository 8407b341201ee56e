"""How to train (one frozen value, checked when it is made; the defaults are the paper's), what came of it, and which of
several processes this one is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agentdistill.errors import RecipeError
from agentdistill.models.weights import bfloat16_is_faster

ProgressCallback = Callable[[int, int, float, float], None]
"""Is told update, updates in all, mean loss, and tokens a second."""
_CHOICES = {
    "method": ("lora", "full"),
    "schedule": ("constant", "linear", "cosine"),
    "precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Learn to write as a teacher would at the student's own tokens (arXiv 2306.13649, eq. 1).

    The teacher is either weights with the same tokens, ``teacher`` being their folder or hub name, or one that was read
    before: ``lessons`` is the folder of what it told (:mod:`agentdistill.training.lessons`). ``beta`` lies between 0,
    the forward KL divergence KL(teacher, student), and 1, the reverse KL(student, teacher). Raises RecipeError
    elsewhere.
    """

    teacher: str | None = None
    lessons: Path | None = None
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise RecipeError(f"beta must lie in [0, 1], got {self.beta}")
        if (self.teacher is None) == (self.lessons is None):
            raise RecipeError("a divergence is that from a teacher's weights or from lessons: give one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Settings of one training run.

    ``batch_size`` is in sequences per update, over all devices; ``micro_batch_size`` in sequences per forward pass on
    one device (None: the whole batch). ``max_length`` is in tokens: longer examples are dropped and counted, never
    cut. ``warmup`` is a fraction of the updates. ``precision`` ``auto`` is bfloat16 on a GPU, and for LoRA
    on a CPU where it is the faster format; else float32. LoRA's own weights are float32 always.
    ``gradient_checkpointing`` None means on a GPU only. ``distributed`` names a launch: ``ddp``, ``fsdp``, ``zero3``
    or a path to an ``accelerate`` config. ``save_every_s`` is at least how long lies between checkpoints.
    ``reasoning`` says whether a turn is learned with the reasoning before it, in ``<think>`` tags.
    Raises RecipeError for a value that makes no sense.
    """

    method: Literal["lora", "full"] = "lora"
    lora_rank: int = 64
    lora_alpha: int = 128
    lora_dropout: float = 0.05
    learning_rate: float = 2e-4
    epochs: int = 2
    batch_size: int = 8
    micro_batch_size: int | None = None
    max_length: int = 10_240
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gradient_checkpointing: bool | None = None
    chat_template: str | None = None
    distributed: str | None = None
    threads: int | None = None
    seed: int = 0
    log_every: int = 10
    save_every_s: float = 60.0
    reasoning: bool = False

    def __post_init__(self) -> None:
        for name, choices in (*_CHOICES.items(), ("device", ("auto", "cpu", "cuda"))):
            if getattr(self, name) not in choices:
                raise RecipeError(f"train.{name}: {getattr(self, name)!r} is not one of {', '.join(choices)}")
        for name in ("lora_rank", "lora_alpha", "epochs", "batch_size", "micro_batch_size", "threads", "log_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RecipeError(f"train.{name} must be at least 1, got {value}")
        for name, low, high in (("lora_dropout", 0, 1), ("warmup", 0, 1), ("weight_decay", 0, 1)):
            if not low <= getattr(self, name) < high:
                raise RecipeError(f"train.{name} must lie in [{low}, {high}), got {getattr(self, name)}")
        if self.max_length < 2:
            raise RecipeError(f"train.max_length must be at least 2 tokens, got {self.max_length}")
        if not self.learning_rate > 0 or not self.max_grad_norm >= 0:
            raise RecipeError("train.learning_rate must be above 0 and train.max_grad_norm at least 0")
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise RecipeError(
                f"train.batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}"
            )

    def half(self, gpu: bool) -> bool:
        """Whether it computes in bfloat16, on a GPU or not."""
        if self.precision == "auto":
            return gpu or (self.method == "lora" and bfloat16_is_faster())
        return self.precision == "bfloat16"


# --- the result -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of a run.

    ``loss_curve`` holds ``(update, mean loss since the last point)``. ``seconds``, ``tokens_per_s`` (read, not only
    learned) and ``resumed_from`` (an update) tell of the process that finished it.
    """

    out: Path
    n_traces: int
    n_examples: int
    n_tokens: int
    n_trained_tokens: int
    n_too_long: int
    n_steps: int
    final_loss: float
    loss_curve: tuple[tuple[int, float], ...]
    seconds: float = 0.0
    tokens_per_s: float = 0.0
    resumed_from: int | None = None


def read_result(out: Path) -> TrainResult | None:
    """The result of a finished run, from its ``training.json``; None where there is none."""
    try:
        record = json.loads((out / "training.json").read_text(encoding="utf-8"))
        result: dict[str, Any] = record["result"]
    except (OSError, ValueError, KeyError):
        return None
    try:
        timing = json.loads((out / "timing.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        timing = {}
    curve = tuple((int(step), float(loss)) for step, loss in result.pop("loss_curve"))
    return TrainResult(out=out, loss_curve=curve, **result, **timing)


# --- several processes ------------------------------------------------------------------------------------------------


def is_launched() -> bool:
    """Whether this process is one of several that a launcher started."""
    return "LOCAL_RANK" in os.environ and "WORLD_SIZE" in os.environ


def n_processes() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if is_launched() else 1


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return not is_launched() or os.environ.get("RANK", "0") == "0"


def wait() -> None:
    """Until every process has come here."""
    if is_launched():
        from accelerate.state import PartialState

        PartialState().wait_for_everyone()
