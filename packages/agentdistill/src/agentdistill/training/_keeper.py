"""Checkpoints that are whole or not there, and progress."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

Progress = Callable[[int, int, float, float], None]
COMPLETE = "complete"  # a checkpoint without this file was being written when the process died


class Keeper(TrainerCallback):  # type: ignore[misc]
    """Reports progress and keeps one whole checkpoint, whenever the process may die.

    Saving takes a twentieth of the time at most. A checkpoint counts once its ``complete`` file is there; only then
    is the one before it removed.
    """

    def __init__(self, folder: Path, every_s: float, n_tokens: Sequence[int], progress: Progress | None) -> None:
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
