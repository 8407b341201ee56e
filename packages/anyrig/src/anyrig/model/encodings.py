"""What a joint is told of itself: its place in the tree, where it rests, what it is called."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anyrig.features import MAX_DEPTH
from anyrig.features.rig import MAX_CHILDREN
from anyrig.model.batch import RigBatch
from anyrig.model.config import ModelConfig


class TreePosition(nn.Module):
    """A joint's root path: one-hot child numbers a level, the k-th level above it weighted by ``tanh(p) ** k``.

    With learned ``p``; several of them see near and far. Shiv and Quirk, NeurIPS 2019, as used in arXiv 2503.04257.
    """

    def __init__(self, width: int, n_decays: int = 4) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.atanh(torch.linspace(0.5, 0.98, n_decays)))
        self.project = nn.Linear(n_decays * MAX_DEPTH * MAX_CHILDREN, width)

    def forward(self, rig: RigBatch) -> Tensor:
        """(B, J, width)."""
        steps = nn.functional.one_hot(rig.paths, MAX_CHILDREN + 1)[..., 1:].to(self.project.weight.dtype)
        level = torch.arange(MAX_DEPTH, device=steps.device)
        weights = torch.tanh(self.decay)[:, None] ** level  # (decays, levels)
        weights = weights * torch.sqrt(1.0 - torch.tanh(self.decay)[:, None] ** 2)  # of one length whatever the decay
        return self.project((weights[..., None] * steps[:, :, None]).flatten(2))  # type: ignore[no-any-return]


class SequencePosition(nn.Module):
    """A joint's number in the file, by sines: what skeletons without a tree would be told."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, rig: RigBatch) -> Tensor:
        """(B, J, width)."""
        numbers = torch.arange(rig.mask.shape[1], device=rig.mask.device).expand(rig.mask.shape)
        return waves(numbers, self.width)


class RigEncoding(nn.Module):
    """The sum of all that is known of each joint, (B, J, width); :class:`ModelConfig` says what."""

    def __init__(self, config: ModelConfig, buckets: nn.Embedding) -> None:
        super().__init__()
        width = config.width
        self.position: nn.Module | None = None
        if config.position != "none":
            self.position = TreePosition(width) if config.position == "tree" else SequencePosition(width)
        self.rest = nn.Sequential(nn.Linear(9, width), nn.GELU(), nn.Linear(width, width)) if config.rest_pose else None
        self.name = nn.Linear(buckets.embedding_dim, width) if config.joint_names else None
        self.blank = nn.Parameter(torch.zeros(width))
        self.buckets = [buckets]  # in a list, so that the table is not this module's parameter too

    def forward(self, rig: RigBatch) -> Tensor:
        """See the class."""
        total = self.blank.expand(*rig.mask.shape, -1)
        if self.position is not None:
            total = total + self.position(rig)
        if self.rest is not None:
            length = torch.linalg.vector_norm(rig.bones, dim=-1, keepdim=True)
            wide = rig.globals[:, None].expand(-1, rig.mask.shape[1], -1)
            total = total + self.rest(torch.cat([2 * rig.rest, 6 * rig.bones, 6 * length, wide], dim=-1))
        if self.name is not None:
            total = total + self.name(bag(self.buckets[0], rig.names))
        return total


def bag(buckets: nn.Embedding, ids: Tensor) -> Tensor:
    """The sum (..., E) of the rows of ``ids`` (..., K) over the root of their number, zero ids left out."""
    found = (ids > 0).unsqueeze(-1)
    total = (buckets(ids) * found).sum(dim=-2)
    count = found.sum(dim=-2).clamp(min=1)
    return torch.as_tensor(total / count.sqrt())


def waves(values: Tensor, width: int, longest: float = 200.0) -> Tensor:
    """Sines and cosines (..., width) of numbers (...), at periods of 2 to ``longest``."""
    periods = 2.0 * (longest / 2.0) ** torch.linspace(0, 1, width // 2, device=values.device)
    angles = values[..., None].float() * (2 * math.pi / periods)
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)


def cosines(n: int) -> Tensor:
    """The cosine transform (DCT-II) of ``n`` values, (n, n), a row a frequency; its transpose undoes it."""
    frequency, at = torch.arange(n)[:, None], torch.arange(n) + 0.5
    rows = torch.cos(torch.pi / n * at * frequency) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows
