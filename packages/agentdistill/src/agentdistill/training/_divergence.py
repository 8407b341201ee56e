"""TRL's on-policy distillation over sequences that the student wrote already: its words, its teacher's distributions.

TRL's trainer (GKD, arXiv 2306.13649) can sample the student's words itself, one completion a prompt. An agent's words
hang on what its code gave, so they are written beforehand, by the loop that evaluates it; what is left to the trainer
is the loss: at each of the student's tokens, the divergence of its distribution from the teacher's (eq. 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import Trainer
from trl.experimental.gkd.gkd_config import GKDConfig
from trl.experimental.gkd.gkd_trainer import GKDTrainer

from agentdistill.errors import ModelError
from agentdistill.models.weights import load_base, load_tokenizer, resolve
from agentdistill.training._sft import FixedOrder
from agentdistill.training.settings import Divergence

__all__ = ["DivergenceTrainer", "GKDConfig", "only_given", "teacher_of"]


def only_given(divergence: Divergence) -> dict[str, Any]:
    """The settings by which nothing is sampled in training."""
    return {"lmbda": 0.0, "seq_kd": False, "beta": divergence.beta}


def teacher_of(divergence: Divergence, tokenizer: Any, device: str | None, dtype: str) -> Any:
    """The teacher's weights. Raises ModelError where its tokens are not the student's."""
    path, adapter = resolve(divergence.teacher)
    if adapter is not None:
        raise ModelError(f"{divergence.teacher}: an adapter cannot be the teacher here; merge it into its base")
    if load_tokenizer(path).get_vocab() != tokenizer.get_vocab():
        raise ModelError(
            f"{divergence.teacher}: its tokenizer is not the student's, so their distributions cannot be compared; "
            'use how = "correct"'
        )
    return load_base(path, device, dtype).eval().requires_grad_(False)


class DivergenceTrainer(GKDTrainer):  # type: ignore[misc]
    """Reads in a given order, and never samples."""

    def __init__(self, order: Sequence[int], **kwargs: Any) -> None:
        self._order = FixedOrder(order)
        try:
            super().__init__(**kwargs)
        except ValueError as e:
            raise ModelError(" ".join(str(e).split())) from e

    def _get_train_sampler(self, train_dataset: Any = None) -> FixedOrder:
        return self._order

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: it would walk through all parameters at every step."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        Trainer._save_checkpoint(self, model, trial)
