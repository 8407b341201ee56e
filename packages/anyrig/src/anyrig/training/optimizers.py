"""Muon for the matrices inside the blocks, AdamW for everything else, at one learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Optimizers:
    """Both optimisers as one. Muon: Jordan et al., 2024, scaled to AdamW's step as in Liu et al., arXiv 2502.16982."""

    def __init__(self, model: nn.Module, lr: float) -> None:
        inner: list[nn.Parameter] = []
        outer: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim == 2 and name.startswith("blocks.") and "modulate" not in name
            (inner if matrix else outer).append(parameter)
        self._all: list[torch.optim.Optimizer] = [
            torch.optim.Muon(inner, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(outer, lr=lr, weight_decay=0.0, betas=(0.9, 0.98)),
        ]

    def step(self, lr: float) -> None:
        """One step at a learning rate; gradients are cleared after it."""
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """What a resumed training needs."""
        return [o.state_dict() for o in self._all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """The inverse of :meth:`state_dict`."""
        for optimizer, state in zip(self._all, states, strict=True):
            optimizer.load_state_dict(state)
