"""The trainer: TRL's, over sequences that are ids already, with what slows small models taken out; from settings to one
that is ready to start, its checkpoints, and from a trained one to a folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from datasets import Dataset
from peft import LoraConfig
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from agentdistill.errors import ModelError, RecipeError
from agentdistill.models.chat import ChatFormat
from agentdistill.models.weights import (
    check_vocabulary,
    lasting,
    load_base,
    load_tokenizer,
    load_weights,
    resolve,
    stored_dtype,
)
from agentdistill.store import write_json
from agentdistill.training._fast import head_loss, speed_up
from agentdistill.training.lessons import read_classes
from agentdistill.training.settings import (
    Divergence,
    ProgressCallback,
    TrainSettings,
    is_first,
    is_launched,
    n_processes,
    wait,
)

if TYPE_CHECKING:
    from agentdistill.training.trainer import TrainingData

_TOKENS = 512  # of a forward pass; larger ones are no faster on CPU, and hold more activations
_MOST_LOGITS = 1 << 26  # above this many a head that learns is computed in tiles, as TRL does
HEADS_OF_THEIR_OWN = (
    "final_logit_softcapping",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
)
COMPLETE = "complete"  # a checkpoint without this file was being written when the process died


def build(
    data: TrainingData,
    order: Sequence[int],
    tokenizer: Any,
    base: str,
    checkpoints: Path,
    settings: TrainSettings,
    on_progress: ProgressCallback | None,
    divergence: Divergence | None = None,
) -> tuple[Any, Keeper]:
    """The trainer, which reads ``data`` in the given order, and the callback that keeps its checkpoints."""
    if not is_launched():  # a run before this one, in this process, may have had another device or precision
        AcceleratorState._reset_state(reset_partial_state=True)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    gpu = settings.device != "cpu" and torch.cuda.is_available()
    if settings.device == "cuda" and not gpu:
        raise ModelError('train.device = "cuda": this machine has no CUDA GPU that torch can use; use "cpu"')
    n_tokens = _cumulative([len(data.examples[i].input_ids) for i in order], settings.batch_size)
    keeper = Keeper(checkpoints, settings.save_every_s, n_tokens, on_progress)
    pad_id = 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    kind, extra = _kind(divergence, data, tokenizer, settings, gpu)
    trainer = kind(
        order=order,
        args=_arguments(settings, checkpoints, gpu, len(n_tokens)),
        model=_load(base, tokenizer, settings, gpu),
        train_dataset=_rows(data),
        processing_class=tokenizer,
        data_collator=lambda rows: collate(rows, pad_id),
        peft_config=_lora(settings) if settings.method == "lora" else None,
        callbacks=[keeper],
        **extra,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, keeper


def _kind(
    divergence: Divergence | None, data: TrainingData, tokenizer: Any, settings: TrainSettings, gpu: bool
) -> tuple[Any, dict[str, Any]]:
    """The trainer's class, and what it takes besides the usual."""
    if divergence is None:
        return SequenceTrainer, {}
    from agentdistill.training._divergence import DivergenceTrainer

    if divergence.lessons is not None:
        return DivergenceTrainer, {"beta": divergence.beta, "lessons": (data.lessons, read_classes(divergence.lessons))}
    dtype = "bfloat16" if settings.half(gpu) else "float32"
    teacher = _teacher_of(divergence.teacher or "", tokenizer, "cuda" if gpu else "cpu", dtype)
    return DivergenceTrainer, {"beta": divergence.beta, "teacher": teacher}


def _cumulative(lengths: Sequence[int], batch_size: int) -> list[int]:
    out, total = [], 0
    for start in range(0, len(lengths), batch_size):
        total += sum(lengths[start : start + batch_size])
        out.append(total)
    return out


def _rows(data: TrainingData) -> Dataset:
    ids = [np.asarray(e.input_ids, dtype=np.int32) for e in data.examples]
    learned = [np.asarray(bytearray(e.trained), dtype=bool) for e in data.examples]
    labels = [np.where(t, i, np.int32(-100)) for i, t in zip(ids, learned, strict=True)]
    places = {"index": range(len(ids))} if data.lessons else {}
    return Dataset.from_dict({"input_ids": ids, "labels": labels, **places})


def _load(base: str, tokenizer: Any, settings: TrainSettings, gpu: bool) -> Any:
    """The base model, adapters merged. A frozen base may be of half precision, weights that learn may not."""
    path, adapter = resolve(base)
    half = settings.method == "lora" and settings.half(gpu)
    dtype = "bfloat16" if half else "float32"
    if adapter is None:
        model = load_base(path, None, dtype)
        check_vocabulary(path, model, tokenizer)
        return model
    if settings.method == "lora":
        raise ModelError(f"{base} is an adapter: a second one needs whole weights as its base; merge it, or train full")
    return load_weights(path, adapter, None, dtype)[0].requires_grad_(True)


def _lora(settings: TrainSettings) -> LoraConfig:
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _arguments(settings: TrainSettings, checkpoints: Path, gpu: bool, n_steps: int) -> SFTConfig:
    world = n_processes()
    if settings.batch_size % world:
        raise RecipeError(f"train.batch_size {settings.batch_size} cannot be shared evenly by {world} processes")
    each = settings.batch_size // world
    micro = min(settings.micro_batch_size or each, each)
    if each % micro:
        raise RecipeError(f"train.micro_batch_size {micro} does not divide the {each} sequences of one process")
    checkpointing = gpu if settings.gradient_checkpointing is None else settings.gradient_checkpointing
    args = SFTConfig(
        output_dir=str(checkpoints),
        max_length=None,  # its default cuts at 1,024; ours are dropped and counted before
        dataset_kwargs={"skip_prepare_dataset": True},
        packing=False,
        remove_unused_columns=False,
        num_train_epochs=1,  # the order holds all epochs
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=each // micro,
        learning_rate=settings.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(settings.schedule, settings.schedule),
        warmup_steps=round(settings.warmup * n_steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=settings.half(gpu),
        use_cpu=not gpu,
        ddp_find_unused_parameters=False,
        activation_checkpointing=checkpointing,
        logging_steps=settings.log_every,
        logging_first_step=n_steps < settings.log_every,
        logging_nan_inf_filter=False,
        save_strategy="no",  # the keeper decides
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=gpu,
        seed=settings.seed,
        data_seed=settings.seed,
    )
    args._n_gpu = min(args.n_gpu, 1)  # one process drives one device; several need `distributed`
    return args


def save(trainer: Any, tokenizer: Any, out: Path, base: str) -> None:
    """Write model and tokenizer beside ``out`` and move the files in, so that each is whole. All processes call it."""
    partial = out / "checkpoints" / "result"
    if is_first():
        shutil.rmtree(partial, ignore_errors=True)
    wait()
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "peft_config"):
        place = resolve(base)[0]  # where PEFT looks for the base's config; the adapter's own record has a lasting name
        model.peft_config["default"].base_model_name_or_path = place
        if n_processes() == 1:
            _in_stored_dtype(model, place)
    else:
        _stop_at(model, ChatFormat(tokenizer).end_ids)
        if n_processes() == 1:
            _in_stored_dtype(model, resolve(base)[0])
    trainer.save_model(str(partial))
    if is_first():
        tokenizer.save_pretrained(partial)
        _tidy_config(partial / "adapter_config.json", base)
        for extra in ("README.md", "training_args.bin"):
            (partial / extra).unlink(missing_ok=True)
        for path in sorted(partial.iterdir()):
            path.replace(out / path.name)
    wait()


def _stop_at(model: Any, end_ids: Sequence[int]) -> None:
    """Let whoever serves the weights stop at the marker that was learned, beside what stopped the base."""
    known = model.generation_config.eos_token_id
    before = [] if known is None else [known] if isinstance(known, int) else list(known)
    model.generation_config.eos_token_id = list(dict.fromkeys([*end_ids, *before]))


def _in_stored_dtype(model: Any, base: str) -> None:
    """What was trained is kept in the number format of the base's file, in whatever format it was computed.

    An adapter in bfloat16 is half the size, and the base that it is added to rounds to bfloat16 anyway.
    """
    dtype = stored_dtype(base)
    if dtype is None:
        return
    if not hasattr(model, "peft_config"):
        model.to(dtype)
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.to(dtype)


def _tidy_config(path: Path, base: str) -> None:
    """Name the base by what stays valid, and sort lists: PEFT writes sets in an order that differs from run to run."""
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        tidy = {k: sorted(v) if isinstance(v, list) else v for k, v in sorted(config.items())}
        write_json(path, {**tidy, "base_model_name_or_path": lasting(base)})


# --- the trainer ------------------------------------------------------------------------------------------------------


class FixedOrder(Sampler[int]):
    """The same indices at every pass."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[int]:
        return iter(self._order)


def collate(rows: Sequence[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-padded ``input_ids``, ``labels`` (-100 where nothing is learned) and ``attention_mask``; and ``index``, the
    lessons that they are, where they are such."""
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    labels = torch.full((len(rows), width), -100, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[i, :n] = torch.tensor(row["input_ids"])
        labels[i, :n] = torch.tensor(row["labels"])
        mask[i, :n] = 1
    places = {"index": torch.tensor([row["index"] for row in rows])} if "index" in rows[0] else {}
    return {"input_ids": ids, "labels": labels, "attention_mask": mask, **places}


def parts(batch: dict[str, torch.Tensor], n_tokens: int) -> Iterator[dict[str, torch.Tensor]]:
    """The batch in parts of about equally many rows and at most ``n_tokens`` (one row at least), padding cut off."""
    lengths = batch["attention_mask"].sum(1)
    rows, width = batch["input_ids"].shape
    n = min(rows, -(-rows * width // n_tokens))
    for index in torch.arange(rows).tensor_split(n):
        keep = int(lengths[index].max())
        yield {name: value[index, :keep] for name, value in batch.items()}


class SequenceTrainer(SFTTrainer):  # type: ignore[misc]
    """On one CPU process, the loss needs logits of the learned positions only.

    Overrides of TRL's trainer: a given reading order, no count of operations (which would visit all parameters at every
    step), no model card at every checkpoint, nothing told to the hub.
    """

    def __init__(self, order: Sequence[int], **kwargs: Any) -> None:
        self._order = FixedOrder(order)
        super().__init__(**kwargs)
        config = self._causal_model().config.get_text_config()
        self._direct = (
            self.accelerator.num_processes == 1
            and self.accelerator.device.type == "cpu"
            and not self.aux_loss_enabled
            and not any(getattr(config, name, None) for name in HEADS_OF_THEIR_OWN)
        )
        self._vocabulary = config.vocab_size
        self._by_parts = False
        if self._direct and hasattr(self.accelerator.unwrap_model(self.model), "peft_config"):
            speed_up(self._causal_model())
            self._by_parts = True

    def _get_train_sampler(self, train_dataset: Any = None) -> FixedOrder:
        return self._order

    def floating_point_ops(self, inputs: Any) -> int:
        """None are counted."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        Trainer._save_checkpoint(self, model, trial)

    def _send_telemetry(self) -> None:
        """TRL sends the kind of model and GPU to the hub when a trainer is made."""

    def _causal_model(self) -> Any:
        model = self.accelerator.unwrap_model(self.model)
        return model.get_base_model() if hasattr(model, "peft_config") else model

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """Add up the gradients of one batch, part by part where LoRA trains on CPU; returns the batch's loss."""
        if not self._by_parts:
            return super().training_step(model, inputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        if num_items_in_batch is None:
            num_items_in_batch = (inputs["labels"][:, 1:] != -100).sum()
        step: Any = super().training_step
        return sum(step(model, part, num_items_in_batch) for part in parts(inputs, _TOKENS))

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean negative log-likelihood of the learned tokens of the whole batch (paper, eq. 3)."""
        labels = inputs["labels"][:, 1:]
        learned = labels != -100
        n = int(learned.sum())
        causal = self._causal_model()
        head = causal.get_output_embeddings()
        fits = not head.weight.requires_grad or n * self._vocabulary <= _MOST_LOGITS
        if not self._direct or return_outputs or not fits:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        with self.accelerator.autocast():
            # No mask: padding stands on the right, where no token of a causal model looks.
            hidden = causal.base_model(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state[:, :-1]
            loss = head_loss(head, hidden[learned], labels[learned])
        return loss / max(1, n if num_items_in_batch is None else int(num_items_in_batch))


def _teacher_of(weights: str, tokenizer: Any, device: str | None, dtype: str) -> Any:
    """The teacher's weights. Raises ModelError where its tokens are not the student's."""
    path, adapter = resolve(weights)
    if adapter is not None:
        raise ModelError(f"{weights}: an adapter cannot be the teacher here; merge it into its base")
    if load_tokenizer(path).get_vocab() != tokenizer.get_vocab():
        raise ModelError(
            f"{weights}: its tokenizer is not the student's, so their distributions cannot be compared; "
            'use how = "correct" or how = "replay"'
        )
    return load_base(path, device, dtype).eval().requires_grad_(False)


# --- checkpoints ------------------------------------------------------------------------------------------------------


class Keeper(TrainerCallback):  # type: ignore[misc]
    """Reports progress and keeps one whole checkpoint, whenever the process may die.

    Saving takes a twentieth of the time at most. A checkpoint counts once its ``complete`` file is there; only then
    is the one before it removed.
    """

    def __init__(
        self, folder: Path, every_s: float, n_tokens: Sequence[int], progress: ProgressCallback | None
    ) -> None:
        self.folder, self.every_s, self.progress = folder, every_s, progress
        self.n_tokens = n_tokens  # read after each update, cumulative
        self.first_step = 0
        self.started = self.saved = time.monotonic()
        self.saving_s = self.saving_total_s = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.first_step = state.global_step
        self.started = self.saved = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # Only where a loss is logged, so that the logged averages do not hang on when it was saved.
        if state.global_step % args.logging_steps or state.global_step >= state.max_steps:
            return
        due = time.monotonic() - self.saved >= max(self.every_s, 20 * self.saving_s)
        if _agree(due):
            control.should_save = True
            self.saved = time.monotonic()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            self.saving_s = time.monotonic() - self.saved
            self.saving_total_s += self.saving_s
            newest = self.folder / f"checkpoint-{state.global_step}"
            (newest / COMPLETE).touch()
            for other in self.folder.glob("checkpoint-*"):
                if other != newest:
                    (other / COMPLETE).unlink(missing_ok=True)
                    shutil.rmtree(other)
        self.saved = time.monotonic()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if self.progress and state.is_world_process_zero and logs and "loss" in logs:
            self.progress(state.global_step, state.max_steps, logs["loss"], self.tokens_per_s(state.global_step))

    def tokens_per_s(self, step: int) -> float:
        """Tokens read per second since this process began training."""
        before = self.n_tokens[self.first_step - 1] if self.first_step else 0
        return (self.n_tokens[step - 1] - before) / max(1e-9, time.monotonic() - self.started)


def _agree(due: bool) -> bool:
    """The first process decides: clocks differ, and all must save together."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return due
    from accelerate.utils import broadcast_object_list

    return bool(broadcast_object_list([due])[0])


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; torn ones are removed."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        if (path / COMPLETE).is_file():
            whole.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return max(whole, key=lambda p: int(p.name.rpartition("-")[2]), default=None)
