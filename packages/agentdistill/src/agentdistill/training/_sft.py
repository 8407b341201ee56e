"""TRL's SFT trainer over sequences that are ids already, with what slows small models taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import Trainer
from trl.trainer.sft_trainer import SFTTrainer

from agentdistill.training._fast import head_loss, speed_up

_TOKENS = 512  # of a forward pass; larger ones are no faster on CPU, and hold more activations
_MOST_LOGITS = 1 << 26  # above this many a head that learns is computed in tiles, as TRL does
_HEADS_OF_THEIR_OWN = (
    "final_logit_softcapping",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
)


class FixedOrder(Sampler[int]):
    """The same indices at every pass."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[int]:
        return iter(self._order)


def collate(rows: Sequence[dict[str, list[int]]], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-padded ``input_ids``, ``labels`` (-100 where nothing is learned) and ``attention_mask``."""
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    labels = torch.full((len(rows), width), -100, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[i, :n] = torch.tensor(row["input_ids"])
        labels[i, :n] = torch.tensor(row["labels"])
        mask[i, :n] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def parts(batch: dict[str, torch.Tensor], n_tokens: int) -> Iterator[dict[str, torch.Tensor]]:
    """The batch in parts of about equally many rows and at most ``n_tokens`` (one row at least), padding cut off."""
    lengths = batch["attention_mask"].sum(1)
    rows, width = batch["input_ids"].shape
    n = min(rows, -(-rows * width // n_tokens))
    for index in torch.arange(rows).tensor_split(n):
        keep = int(lengths[index].max())
        yield {name: value[index, :keep] for name, value in batch.items()}


class SequenceTrainer(SFTTrainer):  # type: ignore[misc]
    """Reads in a given order. On one CPU process, the loss needs logits of the learned positions only."""

    def __init__(self, order: Sequence[int], **kwargs: Any) -> None:
        self._order = FixedOrder(order)
        super().__init__(**kwargs)
        config = self._causal_model().config.get_text_config()
        self._direct = (
            self.accelerator.num_processes == 1
            and self.accelerator.device.type == "cpu"
            and not self.aux_loss_enabled
            and not any(getattr(config, name, None) for name in _HEADS_OF_THEIR_OWN)
        )
        self._vocabulary = config.vocab_size
        self._by_parts = False
        if self._direct and hasattr(self.accelerator.unwrap_model(self.model), "peft_config"):
            speed_up(self._causal_model())
            self._by_parts = True

    def _causal_model(self) -> Any:
        model = self.accelerator.unwrap_model(self.model)
        return model.get_base_model() if hasattr(model, "peft_config") else model

    def _get_train_sampler(self, train_dataset: Any = None) -> FixedOrder:
        return self._order

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: it would walk through all parameters at every step."""
        return 0

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

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # Past TRL's own, which writes a model card at every checkpoint.
        Trainer._save_checkpoint(self, model, trial)
