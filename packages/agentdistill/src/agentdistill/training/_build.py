"""From settings to a trainer that is ready to start, and from a trained one to a folder."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from datasets import Dataset
from peft import LoraConfig
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig

from agentdistill.errors import ModelError, RecipeError
from agentdistill.models.chat import ChatFormat
from agentdistill.models.weights import check_vocabulary, lasting, load_base, load_weights, resolve, stored_dtype
from agentdistill.store import write_json
from agentdistill.training._keeper import Keeper, Progress
from agentdistill.training._launch import is_first, is_launched, n_processes, wait
from agentdistill.training._sft import SequenceTrainer, collate
from agentdistill.training.dataset import TrainingData, reading_order
from agentdistill.training.settings import Divergence, TrainSettings


def build(
    data: TrainingData,
    tokenizer: Any,
    base: str,
    checkpoints: Path,
    settings: TrainSettings,
    on_progress: Progress | None,
    divergence: Divergence | None = None,
) -> tuple[Any, Keeper]:
    """The trainer, and the callback that keeps its checkpoints."""
    if not is_launched():  # a run before this one, in this process, may have had another device or precision
        AcceleratorState._reset_state(reset_partial_state=True)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    gpu = settings.device != "cpu" and torch.cuda.is_available()
    if settings.device == "cuda" and not gpu:
        raise ModelError('train.device = "cuda": this machine has no CUDA GPU that torch can use; use "cpu"')
    lengths = [len(e.input_ids) for e in data.examples]
    order = reading_order(lengths, settings.epochs, settings.batch_size, settings.seed)
    n_tokens = _cumulative([lengths[i] for i in order], settings.batch_size)
    keeper = Keeper(checkpoints, settings.save_every_s, n_tokens, on_progress)
    pad_id = 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    kind, config, more, extra = _kind(divergence, tokenizer, settings, gpu)
    trainer = kind(
        order=order,
        args=_arguments(settings, checkpoints, gpu, len(n_tokens), config, more),
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
    divergence: Divergence | None, tokenizer: Any, settings: TrainSettings, gpu: bool
) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """The trainer's class, that of its arguments, and what either takes besides the usual."""
    if divergence is None:
        return SequenceTrainer, SFTConfig, {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TRL's word that this trainer may change
        from agentdistill.training._divergence import DivergenceTrainer, GKDConfig, only_given, teacher_of

    dtype = "bfloat16" if settings.half(gpu) else "float32"
    teacher = teacher_of(divergence, tokenizer, "cuda" if gpu else "cpu", dtype)
    return DivergenceTrainer, GKDConfig, only_given(divergence), {"teacher_model": teacher}


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
    return Dataset.from_dict({"input_ids": ids, "labels": labels})


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


def _arguments(
    settings: TrainSettings, checkpoints: Path, gpu: bool, n_steps: int, config: Any, more: dict[str, Any]
) -> SFTConfig:
    world = n_processes()
    if settings.batch_size % world:
        raise RecipeError(f"train.batch_size {settings.batch_size} cannot be shared evenly by {world} processes")
    each = settings.batch_size // world
    micro = min(settings.micro_batch_size or each, each)
    if each % micro:
        raise RecipeError(f"train.micro_batch_size {micro} does not divide the {each} sequences of one process")
    checkpointing = gpu if settings.gradient_checkpointing is None else settings.gradient_checkpointing
    args: SFTConfig = config(
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
        **more,
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
            _in_base_dtype(model)
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
    """Full weights go back to the number format of the base's file."""
    dtype = stored_dtype(base)
    if dtype is not None:
        model.to(dtype)


def _in_base_dtype(model: Any) -> None:
    """An adapter is kept in its base's number format, half the size where that is bfloat16: merging rounds to it."""
    dtype = next(p.dtype for p in model.parameters() if not p.requires_grad)
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.to(dtype)


def _tidy_config(path: Path, base: str) -> None:
    """Name the base by what stays valid, and sort lists: PEFT writes sets in an order that differs from run to run."""
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        tidy = {k: sorted(v) if isinstance(v, list) else v for k, v in sorted(config.items())}
        write_json(path, {**tidy, "base_model_name_or_path": lasting(base)})
