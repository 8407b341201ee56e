"""The one loop from noise to motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from anyrig.diffusion.noise import noise
from anyrig.diffusion.schedules import Schedule, schedule
from anyrig.errors import SettingsError

Answer = Callable[[Tensor, float], Tensor]
"""``answer(x, level)``: what a network keeps of the noisy ``x`` and what it adds, side by side in the last dimension
(see :meth:`~anyrig.diffusion.Schedule.clean`)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """``steps`` of a ``schedule`` (``"flow"`` or ``"cosine"``); ``guidance`` is the weight of the text (1: as learned).

    ``eta`` from 0 (each step follows from the last) to 1 (fresh noise in each, DDPM).
    """

    steps: int = 15
    guidance: float = 2.0
    eta: float = 0.0
    schedule: str = "flow"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 1000 or not 0 <= self.eta <= 1 or not 0 <= self.guidance <= 20:
            raise SettingsError("steps are 1 to 1000, guidance 0 to 20 and eta 0 to 1")
        schedule(self.schedule)


@dataclass(frozen=True, eq=False)
class Guide:
    """Motion that is given: ``known`` (..., T, N, 10) where ``mask`` (broadcast to it) is 1. In-betweening."""

    known: Tensor
    mask: Tensor


def levels(steps: int) -> list[float]:
    """Noise levels from 1 down to 0, ``steps + 1`` of them."""
    return [1.0 - k / steps for k in range(steps)] + [0.0]


def denoise(
    answer: Answer,
    start: Tensor,
    sampling: Sampling,
    generator: torch.Generator | None = None,
    guide: Guide | None = None,
) -> Tensor:
    """Motion out of ``start``, which is :func:`~anyrig.diffusion.noise`.

    What ``guide`` gives takes the estimate's place in every step, and in the result.
    """
    with torch.no_grad():
        return _loop(answer, start, schedule(sampling.schedule), sampling, generator, guide)


def _loop(
    answer: Answer,
    x: Tensor,
    how: Schedule,
    sampling: Sampling,
    generator: torch.Generator | None,
    guide: Guide | None,
) -> Tensor:
    at = levels(sampling.steps)
    for t, s in pairwise(at):
        kept, added = answer(x, t).chunk(2, dim=-1)
        clean = how.clean(kept, added, torch.tensor([t], dtype=x.dtype, device=x.device))
        if guide is not None:
            clean = guide.mask * guide.known + (1 - guide.mask) * clean
        fresh = torch.zeros_like(x)
        if sampling.eta > 0 and s > 0:
            fresh = noise(x.shape, generator).to(x)
        x = how.step(x, clean, t, s, sampling.eta, fresh)
    return x
