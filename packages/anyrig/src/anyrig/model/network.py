"""The network: what it predicts from noisy motion, a rig, a text and a noise level; and models in files.

A file has weights as safetensors and the config in its header. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyrig.errors import FileError, SettingsError
from anyrig.features import MAX_CHILDREN, MAX_DEPTH, N_BUCKETS, N_JOINT, N_PATH
from anyrig.io.files import write_bytes
from anyrig.model.batch import N_RELATIONS, RigBatch
from anyrig.model.config import ModelConfig
from anyrig.model.text import Text, TextTower, bag, waves

_KEY = "anyrig"


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

    :meth:`anyrig.diffusion.Schedule.predict_x0` makes motion of the two. What is kept is ``x`` passed through a filter
    for each token, feature and frequency (of the patch's cosines), which the network sets: nearly all of it passes
    where the noise is low, and nothing where a joint shall stand still. To take noise away that passed, the network
    would have to predict all of it; what it adds is motion, which is far simpler (Li and He, arXiv 2511.13720).

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


def cosines(n: int) -> Tensor:
    """The cosine transform (DCT-II) of ``n`` values, (n, n), a row a frequency; its transpose undoes it."""
    frequency, at = torch.arange(n)[:, None], torch.arange(n) + 0.5
    rows = torch.cos(torch.pi / n * at * frequency) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows


def save_model(
    model: MotionModel, path: str | os.PathLike[str], *, half: bool = False, about: dict[str, Any] | None = None
) -> None:
    """Writes the model; ``half`` stores 16-bit numbers, ``about`` is kept with it. FileError for the disk's no."""
    from safetensors.torch import save

    tensors = {name: _stored(t, half) for name, t in model.state_dict().items()}
    header = {_KEY: json.dumps({"config": model.config.to_dict(), "about": about or {}})}
    write_bytes(path, save(tensors, metadata=header))


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float16 if half else torch.float32).contiguous()


def load_model(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> tuple[MotionModel, dict[str, Any]]:
    """The model in a file, ready to use, and what was kept with it. Raises FileError for a file that holds none."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(f"{path} is no model: {str(error).splitlines()[0]}") from None
    if not isinstance(header, dict) or not isinstance(header.get("config"), dict):
        raise FileError(f"{path} is no model of this package: it has no config")
    try:
        model = MotionModel(ModelConfig.from_dict(header["config"]))
        model.load_state_dict(tensors)
    except (SettingsError, RuntimeError) as error:
        raise FileError(f"{path} does not fit: {str(error).splitlines()[0]}") from None
    return model.to(device).eval(), dict(header.get("about", {}))
