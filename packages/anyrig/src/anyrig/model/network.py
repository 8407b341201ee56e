"""The network: what it answers to noisy motion, a rig, a text and a noise level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyrig.errors import SettingsError
from anyrig.features import N_BUCKETS
from anyrig.features.motion import N_JOINT, N_PATH
from anyrig.model.batch import N_RELATIONS, RigBatch
from anyrig.model.config import ModelConfig
from anyrig.model.encodings import RigEncoding, cosines, waves
from anyrig.model.text import Text, TextTower


class Attention(nn.Module):
    """Multi-head attention of tokens (..., N, width) to themselves and to ``further`` keys, with a bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None, further: Tensor | None = None) -> Tensor:
        """``bias`` (..., heads, N, M) is added to the scores; ``further`` (..., M - N, width) are keys beside x's."""
        query, (key, value) = self.query(x), self.key_value(x).chunk(2, dim=-1)
        if further is not None:
            more_key, more_value = self.key_value(further).chunk(2, dim=-1)
            leading = x.shape[:-2]
            key = torch.cat([key, more_key.expand(*leading, -1, -1)], dim=-2)
            value = torch.cat([value, more_value.expand(*leading, -1, -1)], dim=-2)
        query, key, value = (self._split(t) for t in (query, key, value))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if bias is not None:
            scores = scores + bias
        mixed = scores.softmax(dim=-1) @ value
        out: Tensor = self.out(mixed.transpose(-2, -3).flatten(-2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(-2, -3)


class Block(nn.Module):
    """Attention over joints and words, attention over time, and a network for each token; each scaled, shifted and
    gated by the condition, with gates that start closed (adaLN-Zero; Peebles and Xie, ICCV 2023)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(3))
        self.modulate = nn.Linear(width, 9 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        self.space = Attention(width, heads)
        self.time = Attention(width, heads)
        self.inward = nn.Linear(width, 4 * width)
        self.outward = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, condition: Tensor, bias: Tensor, words: Tensor) -> Tensor:
        """``x`` (B, P, N, width) of P patches, ``condition`` (B, width), ``bias`` (B, 1, heads, N, N + L) and
        ``words`` (B, 1, L, width)."""
        m: tuple[Tensor, ...] = self.modulate(condition)[:, None, None].chunk(9, dim=-1)
        x = x + m[2] * self.space(self._seen(x, 0, m), bias, words)
        if x.shape[1] > 1:  # a single patch has no time to attend to: the pose stage
            moved = self.time(self._seen(x, 1, m).transpose(1, 2)).transpose(1, 2)
            x = x + m[5] * moved
        out: Tensor = self.outward(F.relu(self.inward(self._seen(x, 2, m))).square())
        return x + m[8] * out

    def _seen(self, x: Tensor, k: int, m: Sequence[Tensor]) -> Tensor:
        normed: Tensor = self.norms[k](x)
        return normed * (1 + m[3 * k]) + m[3 * k + 1]


class MotionModel(nn.Module):
    """``model(x, level, rig, texts)``: what to keep of the noisy ``x``, and what to add to it, (B, T, J + 1, 20).

    :meth:`anyrig.diffusion.Schedule.clean` makes motion of the two. What is kept is ``x`` passed through a filter for
    each token, feature and frequency (of the patch's cosines), which the network sets: nearly all of it passes where
    the noise is low, and nothing where a joint shall stand still. To take noise away that passed, the network would
    have to say all of it; what it adds is motion, which is far less to say (Li and He, arXiv 2511.13720).

    ``x`` (B, T, J + 1, 10) is packed as by :func:`anyrig.model.pack`, with T a multiple of ``config.patch``; ``level``
    (B,) runs from 0, clean, to 1, pure noise. ``texts`` are strings, or what :meth:`read` made of them before.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.buckets = nn.Embedding(N_BUCKETS, 64 if config.text != "builtin" else config.text_width)
        self.rig = RigEncoding(config, self.buckets)
        self.text = TextTower(config, self.buckets)
        self.joint_in = nn.Linear(config.patch * N_JOINT, width)
        self.path_in = nn.Linear(config.patch * N_PATH, width)
        self.clock = nn.Linear(2 * width, width)
        self.level = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.relations = nn.Embedding(N_RELATIONS, config.layers * config.heads)
        nn.init.zeros_(self.relations.weight)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(width, 2 * width)
        self.joint_out = nn.Linear(width, 2 * config.patch * N_JOINT)
        self.path_out = nn.Linear(width, 2 * config.patch * N_PATH)
        for head in (self.modulate, self.joint_out, self.path_out):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.register_buffer("cosines", cosines(config.patch), persistent=False)

    def read(self, texts: Sequence[str]) -> Text:
        """The vectors of texts."""
        text: Text = self.text(texts)
        return text

    def forward(self, x: Tensor, level: Tensor, rig: RigBatch, texts: Sequence[str] | Text) -> Tensor:
        """See the class."""
        gains, added = self._said(self.vectors(x, level, rig, texts)).chunk(2, dim=-1)
        patches = x.reshape(x.shape[0], -1, self.config.patch, *x.shape[2:])
        cosines = self.get_buffer("cosines")
        passed = 2 * gains.sigmoid() * torch.einsum("kt,bptnc->bpknc", cosines, patches)
        kept = torch.einsum("kt,bpknc->bptnc", cosines, passed)
        return torch.cat([kept, added], dim=-1).flatten(1, 2)

    def vectors(self, x: Tensor, level: Tensor, rig: RigBatch, texts: Sequence[str] | Text) -> Tensor:
        """What the blocks make of each token, (B, T / patch, J + 1, width)."""
        t = x.shape[1]
        if t % self.config.patch:
            raise SettingsError(f"{t} frames are no multiple of {self.config.patch}")
        text = texts if isinstance(texts, Text) else self.read(texts)
        condition = F.silu(self.level(waves(1000 * level, self.config.width, 4000.0)) + text.tokens[:, 0])
        h = self._tokens(x, rig)
        words = text.tokens[:, None]
        biases = self._biases(rig, text.mask)
        for k, block in enumerate(self.blocks):
            bias = biases[..., k * self.config.heads : (k + 1) * self.config.heads]
            h = block(h, condition, bias.permute(0, 3, 1, 2)[:, None], words)
        scale, shift = self.modulate(condition)[:, None, None].chunk(2, dim=-1)
        out: Tensor = self.norm(h) * (1 + scale) + shift
        return out

    def _tokens(self, x: Tensor, rig: RigBatch) -> Tensor:
        """(B, P, J + 1, width)."""
        b, t, n, _ = x.shape
        patches = x.reshape(b, t // self.config.patch, self.config.patch, n, N_JOINT).transpose(2, 3)
        joints = self.joint_in(patches[:, :, 1:].flatten(3)) + self.rig(rig)[:, None]
        path = self.path_in(patches[:, :, :1, :, :N_PATH].flatten(3))
        place = torch.arange(t // self.config.patch, device=x.device) + 0.5
        width = self.config.width
        clock = torch.cat([waves(place, width, 40.0), waves(t // self.config.patch - place, width, 40.0)], dim=-1)
        when: Tensor = self.clock(clock)
        return torch.cat([path, joints], dim=2) + when[None, :, None]

    def _biases(self, rig: RigBatch, words: Tensor) -> Tensor:
        """(B, N, N + L, layers * heads): relations between joints, and minus infinity where there is no key."""
        n = rig.relations.shape[1]
        table = self.relations.weight if self.config.distances else torch.zeros_like(self.relations.weight)
        joints = F.embedding(rig.relations, table)
        joints = joints.masked_fill(~rig.tokens[:, None, :, None], float("-inf"))
        spare = torch.zeros(*words.shape, table.shape[1], device=words.device).masked_fill(
            ~words[..., None], float("-inf")
        )
        return torch.cat([joints, spare[:, None].expand(-1, n, -1, -1)], dim=2)

    def _said(self, h: Tensor) -> Tensor:
        """(B, P, patch, J + 1, 20): the filter before the sigmoid, patch being its frequencies, and what is added."""
        joints = self.joint_out(h[:, :, 1:]).unflatten(-1, (2, self.config.patch, N_JOINT))
        path = self.path_out(h[:, :, :1]).unflatten(-1, (2, self.config.patch, N_PATH))
        both = torch.cat([F.pad(path, (0, N_JOINT - N_PATH)), joints], dim=2)  # (B, P, J + 1, 2, patch, 10)
        return both.permute(0, 1, 4, 2, 3, 5).flatten(-2)
