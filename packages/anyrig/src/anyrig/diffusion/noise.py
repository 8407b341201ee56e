"""Noise as smooth in time as motion, nearly."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

CORRELATION = 0.75
"""How much a frame weighs in the one after it."""
_REACH = 12  # frames; what lies further off weighs less than a thirtieth


def noise(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Gaussian noise (..., T, N, C) of variance 1, correlated along T, independent otherwise.

    Motion has nearly all of its power below a few hertz. White noise has it everywhere: to take it away a network has
    to learn to smooth above all else, and what it leaves is jitter. This noise falls off with frequency as motion does,
    only less so, which keeps coarse things those that are settled first.
    """
    *before, n_frames, n, channels = shape
    white = torch.randn(*before, n_frames + 2 * _REACH, n, channels, generator=generator)
    weights = CORRELATION ** torch.arange(-_REACH, _REACH + 1).abs()
    weights = weights / weights.square().sum().sqrt()
    lines = white.transpose(-3, -1).reshape(-1, 1, n_frames + 2 * _REACH)
    smooth = F.conv1d(lines, weights.to(lines.dtype)[None, None])
    return smooth.view(*before, channels, n, n_frames).transpose(-3, -1).contiguous()
