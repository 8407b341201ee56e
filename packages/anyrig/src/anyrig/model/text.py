"""Texts as vectors: a small encoder that learns with the model, and frozen ones from elsewhere.

An encoder gives the vectors of a text's words; the empty text stands for no condition at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyrig.errors import SettingsError
from anyrig.features import MAX_IDS, text_ids
from anyrig.model.config import ModelConfig


@dataclass(frozen=True, eq=False)
class Text:
    """B texts as vectors ``tokens`` (B, L, width); ``mask`` (B, L) is true where there is one. L is at least 1."""

    tokens: Tensor
    mask: Tensor


class TextEncoder(Protocol):
    """Anything that gives vectors for texts; it is frozen, and its answers may be kept."""

    @property
    def width(self) -> int:
        """The length of its vectors."""

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """For each text (L, width); L may differ and be 1."""


class TextTower(nn.Module):
    """Texts to ``config.width``: the words' buckets, or the vectors of a frozen encoder, through a small transformer.

    The first token is the same for every text; what becomes of it stands for the text as a whole.
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
        """The vectors of ``texts``, one more each than words."""
        vectors, mask = self._words(texts)
        first = self.first.expand(len(texts), 1, -1)
        x = torch.cat([first, self.project(vectors)], dim=1)
        mask = torch.cat([torch.ones_like(mask[:, :1]) if mask.shape[1] else _ones(mask), mask], dim=1)
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


def _ones(mask: Tensor) -> Tensor:
    return torch.ones(len(mask), 1, dtype=torch.bool, device=mask.device)


def open_encoder(name: str) -> TextEncoder:
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


class _Kept:
    """Answers of a frozen encoder, kept: training asks for the same captions again and again."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        new = [t for t in dict.fromkeys(texts) if t not in self._kept]
        if new:
            with torch.no_grad():
                self._kept.update(zip(new, self._fresh(new), strict=True))
        return [self._kept[t] for t in texts]

    def _fresh(self, texts: list[str]) -> list[Tensor]:
        raise NotImplementedError


class _Sentences(_Kept):
    """One vector a text."""

    def __init__(self, model: str) -> None:
        from sentence_transformers import SentenceTransformer

        super().__init__()
        self._model = SentenceTransformer(model)

    @property
    def width(self) -> int:
        return int(self._model.get_sentence_embedding_dimension() or 0)

    def _fresh(self, texts: list[str]) -> list[Tensor]:
        vectors = self._model.encode(texts, convert_to_tensor=True, show_progress_bar=False)
        return [v[None].float().cpu() for v in vectors]


class _Transformers(_Kept):
    """A vector for each token of CLIP's text model, or of T5's encoder."""

    def __init__(self, kind: str, model: str) -> None:
        import transformers

        super().__init__()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
        load = transformers.CLIPTextModel if kind == "clip" else transformers.T5EncoderModel
        self._model: Any = load.from_pretrained(model)
        self._model.train(False)

    @property
    def width(self) -> int:
        return int(getattr(self._model.config, "d_model", None) or self._model.config.hidden_size)

    def _fresh(self, texts: list[str]) -> list[Tensor]:
        inputs = self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=64)
        out = self._model(**inputs).last_hidden_state
        return [row[keep.bool()].float() for row, keep in zip(out, inputs["attention_mask"], strict=True)]


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


def contrast(scores: Tensor, alike: Tensor) -> Tensor:
    """InfoNCE both ways (Radford et al., ICML 2021) of ``scores`` (B, B), whose pairs are on the diagonal.

    Where ``alike`` (B, B), two that are no pair are no contrast either.
    """
    own = torch.arange(len(scores), device=scores.device)
    scores = scores.masked_fill(alike & (own[:, None] != own), float("-inf"))
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
