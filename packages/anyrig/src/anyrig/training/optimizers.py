"""Muon for the matrices inside the blocks, AdamW for everything else, at one learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Momentum whose every matrix is made orthogonal: Jordan et al., 2024, of AdamW's step size as in Liu et al., arXiv
    2502.16982. PyTorch's own computes in bfloat16, which takes a CPU that has none of it several times as long.
    """

    def __init__(self, params: list[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; every parameter with a gradient is a matrix."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(state["momentum"], group["momentum"]))  # Nesterov's
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-0.2 * group["lr"] * max(p.shape) ** 0.5)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """About the nearest matrix with singular values of one, by Newton and Schulz with Jordan's quintic."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Optimizers:
    """Both optimisers as one."""

    def __init__(self, model: nn.Module, lr: float) -> None:
        inner: list[nn.Parameter] = []
        outer: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim == 2 and name.startswith("blocks.") and "modulate" not in name
            (inner if matrix else outer).append(parameter)
        self._all: list[torch.optim.Optimizer] = [
            Muon(inner, lr=lr, weight_decay=0.01),
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
