"""Telling pairs apart: what text and motion, or two texts of one motion, are taught by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrast(scores: Tensor, alike: Tensor) -> Tensor:
    """InfoNCE both ways (Radford et al., ICML 2021) of ``scores`` (B, B), whose pairs are on the diagonal.

    Where ``alike`` (B, B), two that are no pair are no contrast either.
    """
    own = torch.arange(len(scores), device=scores.device)
    scores = scores.masked_fill(alike & (own[:, None] != own), float("-inf"))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
