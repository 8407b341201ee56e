"""Keys and values: a cache that grows in place, and what is kept of a sequence from one call to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

_ROOM = 64  # tokens added at least when a buffer is full


@dataclass(slots=True, eq=False)
class Past:
    """Keys and values of a token sequence, per layer ``[heads, tokens, width]``, without padding."""

    ids: tuple[int, ...]
    layers: list[tuple[Tensor, Tensor]]

    @property
    def n_bytes(self) -> int:
        return sum(k.nbytes + v.nbytes for k, v in self.layers)


class BufferLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer that writes new tokens into spare room; the plain one copies everything it holds at every token."""

    def __init__(self, room: int = _ROOM, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._room = room
        self._k: Tensor | None = None
        self._v: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append ``[rows, heads, tokens, width]``; returns everything held, as views."""
        start = self.get_seq_length()
        stop = start + key_states.shape[-2]
        if self._k is None or self._v is None or stop > self._k.shape[-2]:
            capacity = max(stop + _ROOM, start + start // 2, self._room)
            self._k = self._grown(self.keys, key_states, start, capacity)
            self._v = self._grown(self.values, value_states, start, capacity)
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
        self._k[:, :, start:stop] = key_states
        self._v[:, :, start:stop] = value_states
        self.keys, self.values = self._k[:, :, :stop], self._v[:, :, :stop]
        return self.keys, self.values

    @staticmethod
    def _grown(held: Tensor | None, new: Tensor, start: int, capacity: int) -> Tensor:
        buffer = new.new_zeros(new.shape[0], new.shape[1], capacity, new.shape[3])
        if held is not None and start:
            buffer[:, :, :start] = held
        return buffer

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in this order; a row may be taken more than once."""
        if self._k is not None and self._v is not None:
            stop = self.get_seq_length()
            self._k, self._v = self._k[indices], self._v[indices]
            self.keys, self.values = self._k[:, :, :stop], self._v[:, :, :stop]


def is_plain(model: Any) -> bool:
    """Whether every layer attends to all that came before, so that keys and values can be moved about freely."""
    layers = DynamicCache(config=model.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def token_bytes(model: Any) -> int:
    """The bytes that keys and values of one token take."""
    c = model.config.get_text_config()
    heads = getattr(c, "num_key_value_heads", None) or c.num_attention_heads
    width = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    return 2 * int(c.num_hidden_layers) * int(heads) * int(width) * int(model.dtype.itemsize)


def new_cache(model: Any, room: int, pasts: Sequence[tuple[Past | None, int]] = ()) -> Cache:
    """An empty cache, or one that holds the first ``n`` tokens of each row's past, right-aligned.

    ``room`` is how many tokens a row will hold in all, if known. Only a plain model can start from a past.
    """
    if not is_plain(model):
        return DynamicCache(config=model.config)
    cache = Cache(layers=[BufferLayer(room) for _ in DynamicCache(config=model.config).layers])
    width = max((n for _, n in pasts), default=0)
    if width:
        example = next(past for past, n in pasts if past is not None and n)
        layers: list[Any] = cache.layers
        for i, layer in enumerate(layers):
            k, v = (_aligned(pasts, i, which, width, example) for which in (0, 1))
            layer.update(k, v)
    return cache


def _aligned(pasts: Sequence[tuple[Past | None, int]], layer: int, which: int, width: int, example: Past) -> Tensor:
    shape = example.layers[layer][which].shape
    out = example.layers[layer][which].new_zeros(len(pasts), shape[0], width, shape[2])
    for row, (past, n) in enumerate(pasts):
        if past is not None and n:
            out[row, :, width - n :] = past.layers[layer][which][:, :n]
    return out


def held(cache: Cache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of every layer, ``[rows, heads, tokens, width]``."""
    layers: list[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers]
