"""The model: a diffusion transformer over joints and time, conditioned on a rig's tree, rest pose and joint names.

Rigs and features become padded tensors, scaled to about unit size by constants that hold for every rig. Texts are
encoded by a small encoder trained with the model, or by a frozen one; the empty text stands for no condition. A model's
file has the weights as safetensors and the config in its header. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from anyrig.errors import FileError, SettingsError
from anyrig.features import (
    IDENTITY_6D,
    MAX_CHILDREN,
    MAX_DEPTH,
    MAX_DISTANCE,
    MAX_IDS,
    N_BUCKETS,
    N_JOINT,
    N_PATH,
    ROTATION,
    Features,
    RigCode,
    log_size,
    text_ids,
)
from anyrig.io.files import write_bytes

POSITIONS = ("tree", "sequence", "none")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes and switches.

    A token is one joint over the whole window, of up to ``max_frames``. In each of ``layers`` blocks, tokens attend to
    each other and to the text, followed by a feed-forward layer; a block takes about ``24 * width ** 2`` operations per
    token.

    ``position`` encodes a joint's position in the skeleton by its root path (``"tree"``, TreePE of arXiv 2503.04257),
    by its number (``"sequence"``) or not at all (``"none"``). ``distances`` biases attention by the number of bones
    between two joints; ``rest_pose`` encodes rest positions (RestPE), ``joint_names`` names. ``text`` is ``"builtin"``
    or the name of a frozen encoder (:func:`open_encoder`) with vectors of ``text_width``. ``fps`` is the frame rate of
    the training data.
    """

    width: int = 256
    layers: int = 8
    heads: int = 8
    max_frames: int = 64
    position: str = "tree"
    distances: bool = True
    rest_pose: bool = True
    joint_names: bool = True
    text: str = "builtin"
    text_width: int = 64
    text_layers: int = 2
    fps: float = 15.0

    def __post_init__(self) -> None:
        if self.position not in POSITIONS:
            raise SettingsError(f"a joint's position is one of {', '.join(POSITIONS)}, not {self.position!r}")
        sizes = (self.width, self.layers, self.heads, self.max_frames, self.text_width)
        if min(sizes) < 1 or self.text_layers < 0:
            raise SettingsError("width, layers, heads, max_frames and text_width are whole numbers of at least 1")
        if self.width % (2 * self.heads):
            raise SettingsError("width must divide by twice the heads")
        if not 0 < self.fps < 1e3:
            raise SettingsError(f"fps is a number between 0 and 1000, not {self.fps}")

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ModelConfig:
        """The config of values from a file. Raises SettingsError for unknown names and wrong types."""
        check_settings(values, ModelConfig(), "a model")
        return ModelConfig(**values)


def check_settings(values: Mapping[str, Any], defaults: Any, owner: str) -> None:
    """Raises SettingsError for names that the dataclass instance ``defaults`` does not have, and for other types."""
    known = {f.name: getattr(defaults, f.name) for f in fields(defaults)}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(f"{owner} has no setting {name!r}; there are: {', '.join(sorted(known))}")
        if not _fits(value, known[name]):
            raise SettingsError(f"{name} is a {type(known[name]).__name__}, not {value!r}")


def _fits(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
    if isinstance(default, ModelConfig):
        return isinstance(value, Mapping)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)


N_RELATIONS = 3 * (MAX_DISTANCE + 1) + 2
"""Relations between two tokens: distance times (neither, ancestor, descendant), and to and from the path's token."""

_JOINT_SCALE = np.array([3.0] * 6 + [10.0] * 3 + [2.0])
_PATH_SCALE = np.array([1.5, 4.0, 0.8, 0.8])
# With these, features of procedural creatures have a deviation of about 1.
_MIDDLE = np.array([-0.143, 0.0, 0.0, 0.0, -0.143, 0.0, 0.0, 0.0, 0.0, 0.1])


@dataclass(frozen=True, eq=False)
class RigBatch:
    """B rigs of up to J joints, those of ``mask`` (B, J). The other fields are RigCode's, padded with zeros.

    ``relations`` (B, J + 1, J + 1) has the relation of each pair of tokens, the path's token first.
    """

    rest: Tensor
    bones: Tensor
    globals: Tensor
    parents: Tensor
    paths: Tensor
    relations: Tensor
    names: Tensor
    ancestors: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def tokens(self) -> Tensor:
        """(B, J + 1), true for tokens: the path's and those of ``mask``."""
        return torch.cat([torch.ones_like(self.mask[:, :1]), self.mask], dim=1)

    def to(self, device: torch.device | str) -> RigBatch:
        return RigBatch(*(getattr(self, f.name).to(device) for f in fields(self)))

    def repeated(self, times: int) -> RigBatch:
        """The batch repeated ``times`` times along its first axis."""
        return RigBatch(*(getattr(self, f.name).repeat(times, *[1] * (getattr(self, f.name).ndim - 1))
                          for f in fields(self)))  # fmt: skip


def collate_rigs(codes: Sequence[RigCode]) -> RigBatch:
    """Rigs as a batch, padded to the largest."""
    n = max(c.n_joints for c in codes)

    def padded(arrays: Sequence[NDArray], kind: torch.dtype, *, square: bool = False) -> Tensor:
        shape = (n, n) if square else (n, *arrays[0].shape[1:])
        out = torch.zeros(len(arrays), *shape, dtype=kind)
        for b, array in enumerate(arrays):
            values = torch.as_tensor(array).to(kind)
            if square:
                out[b, : len(values), : len(values)] = values
            else:
                out[b, : len(values)] = values
        return out

    return RigBatch(
        rest=padded([c.rest for c in codes], torch.float32),
        bones=padded([c.bones for c in codes], torch.float32),
        globals=torch.tensor([[c.floor, log_size(c.size)] for c in codes]),
        parents=padded([c.parents for c in codes], torch.int64),
        paths=padded([c.paths for c in codes], torch.int64),
        relations=_with_path(padded([_relations(c) for c in codes], torch.int64, square=True)),
        names=padded([c.names for c in codes], torch.int64),
        ancestors=padded([c.ancestors() for c in codes], torch.float32, square=True),
        mask=padded([np.ones(c.n_joints) for c in codes], torch.bool),
    )


def _relations(code: RigCode) -> NDArray[np.int64]:
    above = np.zeros((code.n_joints, code.n_joints), dtype=bool)
    for j, parent in enumerate(code.parents):
        if parent >= 0:
            above[j] = above[parent]
            above[j, parent] = True
    return np.asarray(code.distances + (MAX_DISTANCE + 1) * (above * 1 + above.T * 2))


def _with_path(relations: Tensor) -> Tensor:
    b, n, _ = relations.shape
    out = torch.zeros(b, n + 1, n + 1, dtype=torch.int64)
    out[:, 1:, 1:] = relations
    out[:, 1:, 0], out[:, 0, 1:] = N_RELATIONS - 2, N_RELATIONS - 1
    return out


def pack(features: Sequence[Features]) -> Tensor:
    """(B, T, J + 1, 10) of features with equal numbers of frames: the path, then the joints, scaled and padded."""
    n = max(f.joints.shape[1] for f in features)
    out = torch.zeros(len(features), features[0].n_frames, n + 1, N_JOINT)
    for b, f in enumerate(features):
        out[b, :, 0, :N_PATH] = torch.as_tensor(f.path * _PATH_SCALE)
        out[b, :, 1 : f.joints.shape[1] + 1] = torch.as_tensor((f.joints - _MIDDLE) * _JOINT_SCALE)
    return out


def unpack(x: Tensor, n_joints: int, fps: float) -> Features:
    """The features of one rig of ``n_joints`` from packed (T, J + 1, 10), without stretch."""
    values = x.detach().to("cpu", torch.float64).numpy()
    return Features(
        joints=values[:, 1 : n_joints + 1] / _JOINT_SCALE + _MIDDLE,
        path=values[:, 0, :N_PATH] / _PATH_SCALE,
        stretch=np.zeros((len(values), n_joints, 3)),
        origin=np.zeros(3),
        fps=fps,
    )


def joint_units(x: Tensor) -> Tensor:
    """The joints' features (..., J, 10) of a packed tensor (..., J + 1, 10), in their own units."""
    scale, middle = (torch.as_tensor(a, dtype=x.dtype, device=x.device) for a in (_JOINT_SCALE, _MIDDLE))
    return x[..., 1:, :] / scale + middle


def path_units(x: Tensor) -> Tensor:
    """The path's features (..., 4) of a packed tensor, in their own units."""
    return x[..., 0, :N_PATH] / torch.as_tensor(_PATH_SCALE, dtype=x.dtype, device=x.device)


def matrices(six: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of 6D rotations less the identity, by Gram-Schmidt."""
    six = six + torch.as_tensor(IDENTITY_6D, dtype=six.dtype, device=six.device)
    first = torch.nn.functional.normalize(six[..., :3], dim=-1, eps=1e-6)
    second = six[..., 3:] - (first * six[..., 3:]).sum(dim=-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1, eps=1e-6)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def positions(x: Tensor, rig: RigBatch) -> Tensor:
    """(B, T, J, 3) positions relative to the main root, along the heading's axes, in sizes, of packed motion."""
    turns = matrices(joint_units(x)[..., ROTATION])
    b, t, j = turns.shape[:3]
    parents = rig.parents.clamp(min=0)[:, None, :, None, None].expand(b, t, j, 3, 3)
    above = torch.gather(turns, 2, parents)
    bones = rig.bones[:, None].expand(b, t, j, 3)
    turned = (above @ bones[..., None])[..., 0]
    turned = torch.where((rig.parents >= 0)[:, None, :, None], turned, bones)
    return rig.ancestors[:, None] @ turned


@dataclass(frozen=True, eq=False)
class Text:
    """B texts as vectors ``tokens`` (B, L, width), L at least 1; ``mask`` (B, L) is true for those of the text."""

    tokens: Tensor
    mask: Tensor


class TextTower(nn.Module):
    """A small transformer over the words' buckets, or over the vectors of a frozen encoder.

    A learned first token is prepended to every text; its output represents the whole text.
    """

    def __init__(self, config: ModelConfig, buckets: nn.Embedding) -> None:
        super().__init__()
        self.encoder = None if config.text == "builtin" else open_encoder(config.text)
        if self.encoder is not None and self.encoder.width != config.text_width:
            raise SettingsError(f"{config.text} gives vectors of {self.encoder.width}; set text_width to that")
        self.buckets = [buckets]
        self.first = nn.Parameter(0.02 * torch.randn(config.width))
        self.project = nn.Linear(config.text_width, config.width)
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, 2 * config.width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.text_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, texts: Sequence[str]) -> Text:
        """The vectors of ``texts``, the first token's included."""
        vectors, mask = self._words(texts)
        first = self.first.expand(len(texts), 1, -1)
        x = torch.cat([first, self.project(vectors)], dim=1)
        mask = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)
        place = waves(torch.arange(x.shape[1], device=x.device), x.shape[-1])
        x = self.layers(x + 0.1 * place, src_key_padding_mask=~mask)
        return Text(self.norm(x), mask)

    def _words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        device = self.first.device
        if self.encoder is not None:
            rows = [v.to(device) if text else v[:0].to(device)
                    for text, v in zip(texts, self.encoder.encode(texts), strict=True)]  # fmt: skip
        else:
            ids = [text_ids(text) for text in texts]
            table = np.zeros((len(ids), max(len(i) for i in ids), MAX_IDS), dtype=np.int64)
            for b, row in enumerate(ids):
                table[b, : len(row)] = row
            known = torch.as_tensor(table, device=device)
            return bag(self.buckets[0], known), known[..., 0] > 0
        longest = max(len(r) for r in rows)
        vectors = torch.zeros(len(rows), longest, self.project.in_features, device=device)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool, device=device)
        for b, found in enumerate(rows):
            vectors[b, : len(found)], mask[b, : len(found)] = found, True
        return vectors, mask


def open_encoder(name: str) -> _FrozenEncoder:
    """A frozen encoder by name: ``sentence-transformers:MODEL``, or ``clip:MODEL`` and ``t5:MODEL`` of transformers.

    Raises SettingsError for any other name, and where the extra that it needs is not installed.
    """
    kind, _, model = name.partition(":")
    if kind not in ("sentence-transformers", "clip", "t5") or not model:
        raise SettingsError(
            f"no text encoder is called {name!r}; there are: builtin, sentence-transformers:MODEL, clip:MODEL, t5:MODEL"
        )
    try:
        return _Sentences(model) if kind == "sentence-transformers" else _Transformers(kind, model)
    except ImportError:
        extra = "sentence-transformers" if kind == "sentence-transformers" else "transformers"
        raise SettingsError(f'{name} needs an extra: pip install "anyrig[{extra}]"') from None
    except OSError as error:
        raise SettingsError(f"{name} cannot be loaded: {str(error).splitlines()[0]}") from None


class _FrozenEncoder:
    """A frozen encoder with vectors of ``width``, cached because training repeats captions."""

    width: int

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Vectors (L, width) of each text; L may differ between texts."""
        new = [t for t in dict.fromkeys(texts) if t not in self._kept]
        if new:
            with torch.no_grad():
                self._kept.update(zip(new, self._fresh(new), strict=True))
        return [self._kept[t] for t in texts]

    def _fresh(self, texts: list[str]) -> list[Tensor]:
        raise NotImplementedError


class _Sentences(_FrozenEncoder):
    """One vector per text."""

    def __init__(self, model: str) -> None:
        from sentence_transformers import SentenceTransformer

        super().__init__()
        self._model = SentenceTransformer(model)
        self.width = int(self._model.get_sentence_embedding_dimension() or 0)

    def _fresh(self, texts: list[str]) -> list[Tensor]:
        vectors = self._model.encode(texts, convert_to_tensor=True, show_progress_bar=False)
        return [v[None].float().cpu() for v in vectors]


class _Transformers(_FrozenEncoder):
    """A vector for each token of CLIP's text model, or of T5's encoder."""

    def __init__(self, kind: str, model: str) -> None:
        import transformers

        super().__init__()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
        load = transformers.CLIPTextModel if kind == "clip" else transformers.T5EncoderModel
        self._model: Any = load.from_pretrained(model)
        self._model.train(False)
        self.width = int(getattr(self._model.config, "d_model", None) or self._model.config.hidden_size)

    def _fresh(self, texts: list[str]) -> list[Tensor]:
        inputs = self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=64)
        out = self._model(**inputs).last_hidden_state
        return [row[keep.bool()].float() for row, keep in zip(out, inputs["attention_mask"], strict=True)]


def bag(buckets: nn.Embedding, ids: Tensor) -> Tensor:
    """The sum (..., E) of the rows of nonzero ``ids`` (..., K), divided by the root of their number."""
    found = (ids > 0).unsqueeze(-1)
    total = (buckets(ids) * found).sum(dim=-2)
    count = found.sum(dim=-2).clamp(min=1)
    return torch.as_tensor(total / count.sqrt())


def waves(values: Tensor, width: int, longest: float = 200.0) -> Tensor:
    """Sines and cosines (..., width) of numbers (...), at periods of 2 to ``longest``."""
    periods = 2.0 * (longest / 2.0) ** torch.linspace(0, 1, width // 2, device=values.device)
    angles = values[..., None].float() * (2 * math.pi / periods)
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)


def contrast(scores: Tensor, alike: Tensor) -> Tensor:
    """Symmetric InfoNCE (Radford et al., ICML 2021) of ``scores`` (B, B) with the positive pairs on the diagonal.

    Other pairs that are ``alike`` (B, B) are no negatives.
    """
    own = torch.arange(len(scores), device=scores.device)
    scores = scores.masked_fill(alike & (own[:, None] != own), float("-inf"))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


_KEY = "anyrig"


class TreePosition(nn.Module):
    """A joint's root path: one-hot child numbers, those of the k-th level above it weighted by ``tanh(p) ** k``.

    ``p`` are learned decays. Shiv and Quirk, NeurIPS 2019, as used in arXiv 2503.04257.
    """

    def __init__(self, width: int, n_decays: int = 4) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.atanh(torch.linspace(0.5, 0.98, n_decays)))
        self.project = nn.Linear(n_decays * MAX_DEPTH * MAX_CHILDREN, width)

    def forward(self, rig: RigBatch) -> Tensor:
        steps = nn.functional.one_hot(rig.paths, MAX_CHILDREN + 1)[..., 1:].to(self.project.weight.dtype)
        level = torch.arange(MAX_DEPTH, device=steps.device)
        weights = torch.tanh(self.decay)[:, None] ** level  # (decays, levels)
        weights = weights * torch.sqrt(1.0 - torch.tanh(self.decay)[:, None] ** 2)  # normalised for any decay
        return self.project((weights[..., None] * steps[:, :, None]).flatten(2))  # type: ignore[no-any-return]


class SequencePosition(nn.Module):
    """A sinusoidal encoding of a joint's number in the file."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, rig: RigBatch) -> Tensor:
        numbers = torch.arange(rig.mask.shape[1], device=rig.mask.device).expand(rig.mask.shape)
        return waves(numbers, self.width)


class RigEncoding(nn.Module):
    """The sum of the encodings of each joint that :class:`ModelConfig` enables, (B, J, width)."""

    def __init__(self, config: ModelConfig, buckets: nn.Embedding) -> None:
        super().__init__()
        width = config.width
        self.position: nn.Module | None = None
        if config.position != "none":
            self.position = TreePosition(width) if config.position == "tree" else SequencePosition(width)
        self.rest = nn.Sequential(nn.Linear(9, width), nn.GELU(), nn.Linear(width, width)) if config.rest_pose else None
        self.name = nn.Linear(buckets.embedding_dim, width) if config.joint_names else None
        self.blank = nn.Parameter(torch.zeros(width))
        self.buckets = [buckets]  # in a list, so that the table is not registered as this module's parameter too

    def forward(self, rig: RigBatch) -> Tensor:
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
        """``bias`` (..., heads, N, M) is added to the scores; ``further`` (..., M - N, width) are more keys."""
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
    """Attention over joints and words, and a feed-forward network; each is scaled, shifted and gated by the condition,
    with gates that start closed (adaLN-Zero; Peebles and Xie, ICCV 2023). One layer computes that for all blocks, and
    each adds numbers of its own (adaLN-single; Chen et al., PixArt-alpha, ICLR 2024)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.modulate = nn.Parameter(torch.zeros(6, 1, width))
        self.attention = Attention(width, heads)
        self.inward = nn.Linear(width, 4 * width)
        self.outward = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, condition: Tensor, bias: Tensor, words: Tensor) -> Tensor:
        """``x`` (B, N, width), ``condition`` (6, B, 1, width), ``bias`` (B, heads, N, N + L), words (B, L, width)."""
        m = (condition + self.modulate[:, None]).unbind(0)
        x = x + m[2] * self.attention(self._seen(x, 0, m), bias, words)
        out: Tensor = self.outward(F.relu(self.inward(self._seen(x, 1, m))).square())
        return x + m[5] * out

    def _seen(self, x: Tensor, k: int, m: Sequence[Tensor]) -> Tensor:
        normed: Tensor = self.norms[k](x)
        return normed * (1 + m[3 * k]) + m[3 * k + 1]


class MotionModel(nn.Module):
    """``model(x, level, rig, texts)``: the kept part of the noisy ``x`` and the added motion, (B, T, J + 1, 20).

    :meth:`anyrig.diffusion.Schedule.predict_x0` combines the two. The kept part is ``x`` after a filter that the
    network sets per token, feature and frequency (of the window's cosines): it passes nearly everything at low noise,
    and nothing for joints that stand still. Without the filter the network would have to predict the noise; the added
    motion is far simpler (Li and He, arXiv 2511.13720).

    A token sees its joint's whole window, so that a beat has one rate and phase, and what left and right do together is
    settled between two tokens. ``x`` (B, T, J + 1, 10) is packed by :func:`pack`, with T up to ``config.max_frames``;
    ``level`` (B,) is from 0 (clean) to 1 (pure noise). ``texts`` are strings, or the result of :meth:`read`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, frames = config.width, config.max_frames
        self.buckets = nn.Embedding(N_BUCKETS, 64 if config.text != "builtin" else config.text_width)
        self.rig = RigEncoding(config, self.buckets)
        self.text = TextTower(config, self.buckets)
        self.joint_in = nn.Linear(frames * N_JOINT, width)
        self.path_in = nn.Linear(frames * N_PATH, width)
        self.length = nn.Linear(width, width)
        self.level = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.relations = nn.Embedding(N_RELATIONS, config.layers * config.heads)
        nn.init.zeros_(self.relations.weight)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(width, 6 * width)
        self.last = nn.Linear(width, 2 * width)
        self.joint_out = nn.Linear(width, 2 * frames * N_JOINT)
        self.path_out = nn.Linear(width, 2 * frames * N_PATH)
        for head in (self.modulate, self.last, self.joint_out, self.path_out):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.register_buffer("cosines", cosines(frames), persistent=False)

    def read(self, texts: Sequence[str]) -> Text:
        """The vectors of texts."""
        text: Text = self.text(texts)
        return text

    def forward(self, x: Tensor, level: Tensor, rig: RigBatch, texts: Sequence[str] | Text) -> Tensor:
        gains, added = self._outputs(self.vectors(x, level, rig, texts))
        cosines = self.get_buffer("cosines")[:, : x.shape[1]]  # of a window that is empty behind x
        passed = 2 * gains.sigmoid() * torch.einsum("kt,btnc->bknc", cosines, x)
        kept = torch.einsum("kt,bknc->btnc", cosines, passed)
        return torch.cat([kept, added[:, : x.shape[1]]], dim=-1)

    def vectors(self, x: Tensor, level: Tensor, rig: RigBatch, texts: Sequence[str] | Text) -> Tensor:
        """The blocks' output for each token, (B, J + 1, width)."""
        if x.shape[1] > self.config.max_frames:
            raise SettingsError(f"{x.shape[1]} frames are more than a window of {self.config.max_frames}")
        text = texts if isinstance(texts, Text) else self.read(texts)
        condition = F.silu(self.level(waves(1000 * level, self.config.width, 4000.0)) + text.tokens[:, 0])
        h = self._tokens(x, rig)
        modulation = self.modulate(condition).unflatten(-1, (6, 1, -1)).transpose(0, 1)
        for k, block in enumerate(self.blocks):
            h = block(h, modulation, self._bias(k, rig, text.mask), text.tokens)
        scale, shift = self.last(condition)[:, None].chunk(2, dim=-1)
        out: Tensor = self.norm(h) * (1 + scale) + shift
        return out

    def _tokens(self, x: Tensor, rig: RigBatch) -> Tensor:
        """(B, J + 1, width)."""
        t = x.shape[1]
        x = F.pad(x, (0, 0, 0, 0, 0, self.config.max_frames - t)).transpose(1, 2)
        joints = self.joint_in(x[:, 1:].flatten(2)) + self.rig(rig)
        path = self.path_in(x[:, :1, :, :N_PATH].flatten(2))
        length: Tensor = self.length(waves(torch.tensor(float(t), device=x.device), self.config.width, 400.0))
        return torch.cat([path, joints], dim=1) + length

    def _bias(self, block: int, rig: RigBatch, words: Tensor) -> Tensor:
        """(B, heads, N, N + L): a block's biases of relations between joints, and minus infinity for padding."""
        heads = self.config.heads
        table = self.relations.weight[:, block * heads : (block + 1) * heads]
        joints = F.embedding(rig.relations, table if self.config.distances else torch.zeros_like(table))
        joints = joints.masked_fill(~rig.tokens[:, None, :, None], float("-inf"))
        further = torch.zeros(words.shape, device=words.device).masked_fill(~words, float("-inf"))
        further = further[:, None, :, None].expand(-1, rig.relations.shape[1], -1, heads)
        return torch.cat([joints, further], dim=2).permute(0, 3, 1, 2)

    def _outputs(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """(B, max_frames, J + 1, 10) each: the filter before the sigmoid, a row a frequency, and the added motion."""
        frames = self.config.max_frames
        joints = self.joint_out(h[:, 1:]).unflatten(-1, (2, frames, N_JOINT))
        path = self.path_out(h[:, :1]).unflatten(-1, (2, frames, N_PATH))
        both = torch.cat([F.pad(path, (0, N_JOINT - N_PATH)), joints], dim=1)  # (B, J + 1, 2, frames, 10)
        gains, added = both.permute(2, 0, 3, 1, 4)
        return gains, added


def cosines(n: int) -> Tensor:
    """The cosine transform (DCT-II) of ``n`` values, (n, n), a row a frequency; its transpose undoes it."""
    frequency, at = torch.arange(n)[:, None], torch.arange(n) + 0.5
    rows = torch.cos(torch.pi / n * at * frequency) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows


def save_model(model: MotionModel, path: str | os.PathLike[str], *, about: dict[str, Any] | None = None) -> None:
    """Writes the model, in 16-bit floats, and ``about``. Raises FileError where the file cannot be written."""
    from safetensors.torch import save

    tensors = {name: t.detach().to("cpu", torch.float16).contiguous() for name, t in model.state_dict().items()}
    header = {_KEY: json.dumps({"config": model.config.to_dict(), "about": about or {}})}
    write_bytes(path, save(tensors, metadata=header))


def load_model(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> tuple[MotionModel, dict[str, Any]]:
    """The model in a file, in evaluation mode, and its ``about``. Raises FileError for a file without a model."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(f"{path} is not a model: {str(error).splitlines()[0]}") from None
    if not isinstance(header, dict) or not isinstance(header.get("config"), dict):
        raise FileError(f"{path} is not a model of this package: it has no config")
    try:
        model = MotionModel(ModelConfig.from_dict(header["config"]))
        model.load_state_dict(tensors)
    except (SettingsError, RuntimeError) as error:
        raise FileError(f"{path} does not fit: {str(error).splitlines()[0]}") from None
    return model.to(device).eval(), dict(header.get("about", {}))
