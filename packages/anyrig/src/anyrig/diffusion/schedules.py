"""How signal and noise mix at a noise level from 0 (clean) to 1 (noise): ``x = alpha * clean + sigma * noise``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from anyrig.errors import SettingsError

_DEVIATION = 0.5
"""Of packed features from their mean over time: what is left to tell of a rig's motion once its pose is known."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``straight``: flow matching's straight line, ``alpha = 1 - t`` and ``sigma = t`` (Lipman et al., ICLR 2023).

    Otherwise diffusion's variance-keeping cosine (Nichol and Dhariwal, ICML 2021): ``cos`` and ``sin`` of ``t pi / 2``.
    """

    name: str
    straight: bool

    def alpha(self, t: Tensor) -> Tensor:
        """How much of the clean motion is in x."""
        return 1.0 - t if self.straight else torch.cos(t * (math.pi / 2))

    def sigma(self, t: Tensor) -> Tensor:
        """How much noise is in x."""
        return t if self.straight else torch.sin(t * (math.pi / 2))

    def mix(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Motion (B, ...) at levels (B,)."""
        shape = (-1, *[1] * (clean.ndim - 1))
        return self.alpha(t).view(shape) * clean + self.sigma(t).view(shape) * noise

    def clean(self, kept: Tensor, added: Tensor, t: Tensor) -> Tensor:
        """The estimate of the clean motion of what a network keeps of x and what it adds, (B, ...) at levels (B,).

        If all of x is kept, the best linear guess from it, plus what is added for what that leaves open (Karras et al.,
        NeurIPS 2022): a network need not learn to copy, and has as much to say at every level.
        """
        shape = (-1, *[1] * (kept.ndim - 1))
        a, s = self.alpha(t), self.sigma(t)
        share = a * _DEVIATION**2 / (a**2 * _DEVIATION**2 + s**2)
        return share.view(shape) * kept + (_DEVIATION * self.spread(t)).view(shape) * added

    def spread(self, t: Tensor) -> Tensor:
        """How much of the motion ``x`` leaves open at levels ``t``: from 0, nothing, to 1, all."""
        a, s = self.alpha(t), self.sigma(t)
        return s / (a**2 * _DEVIATION**2 + s**2).sqrt()

    def step(self, x: Tensor, clean: Tensor, t: float, s: float, eta: float, noise: Tensor) -> Tensor:
        """From level ``t`` to the lower ``s``, given an estimate of the clean motion.

        With ``eta = 0`` this is DDIM (Song et al., ICLR 2021), for the straight schedule the same as Euler's step along
        the flow ``(x - clean) / t``; with ``eta = 1`` it is DDPM's ancestral step, ``noise`` being fresh.
        """
        at, down = torch.tensor(t, dtype=torch.float64), torch.tensor(s, dtype=torch.float64)
        a_t, s_t, a_s, s_s = (float(v) for v in (self.alpha(at), self.sigma(at), self.alpha(down), self.sigma(down)))
        old = (x - a_t * clean) / s_t
        ratio = (a_t / a_s) ** 2 * (s_s / s_t) ** 2 if a_s > 0 else 0.0
        fresh = eta * s_s * math.sqrt(max(0.0, 1.0 - ratio)) if s > 0 else 0.0
        return a_s * clean + math.sqrt(max(0.0, s_s**2 - fresh**2)) * old + fresh * noise


FLOW = Schedule("flow", straight=True)
COSINE = Schedule("cosine", straight=False)


def schedule(name: str) -> Schedule:
    """A schedule by name. Raises SettingsError for a name that there is not."""
    for known in (FLOW, COSINE):
        if known.name == name:
            return known
    raise SettingsError(f"no schedule is called {name!r}; there are: flow, cosine")
