"""Muon in single precision: ``torch.optim.Muon`` rounds to bfloat16, which many CPUs only emulate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalized(x: Tensor, steps: int = 5) -> Tensor:
    """Matrices ``(n, rows, columns)`` with their singular values brought near one by Newton-Schulz iteration."""
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalized (Jordan et al. 2024), for weight matrices only.

    Matrices of one shape are worked on together; of several processes (``place`` of ``n``) each one works on its part.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01,
        place: int = 0, n: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._place, self._n = place, n

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients that lie on the parameters."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    shapes[p.shape].append(p)
            for shape, params in shapes.items():
                self._step(group, params, max(1.0, shape[0] / shape[1]) ** 0.5)

    def _step(self, group: dict[str, Any], params: list[Tensor], scale: float) -> None:
        updates = []
        for p in params:
            assert p.grad is not None
            state = self.state[p]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(p)
            velocity = state["momentum"]
            velocity.lerp_(p.grad, 1 - group["momentum"])
            updates.append(torch.lerp(p.grad, velocity, group["momentum"]))
        for p, update in zip(params, self._orthogonalized(torch.stack(updates)), strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.add_(update, alpha=-group["lr"] * scale)

    def _orthogonalized(self, stacked: Tensor) -> Tensor:
        if self._n == 1:
            return orthogonalized(stacked)
        import torch.distributed as dist

        out = torch.zeros_like(stacked)
        out[self._place :: self._n] = orthogonalized(stacked[self._place :: self._n])
        dist.all_reduce(out)
        return out
