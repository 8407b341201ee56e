"""Batched decoding of local weights: left-padded prefill, one token a step, finished rows dropped from the batch.

Beside plain generation it saves what agents repeat. Prompts that begin alike (a system prompt, examples) have that part
computed once; a prompt that continues one of the last call (the next step of an episode) starts from its keys and
values. A mask says what attention reads of the buffer, so kept keys, padding and new tokens may lie anywhere.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

from agentdistill.errors import ModelError
from agentdistill.models.weights import is_plain
from agentdistill.types import Sampling, StopReason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agentdistill.models._constrain import Guide


class Cancelled(Exception):
    """The caller no longer waits for the result."""


@dataclass(slots=True, eq=False)
class BatchRow:
    """One sample being written: what it continues (``prefix`` ends ``prompt``), how, and what has been written.

    ``guide`` says which tokens may stand; for the place of one that may not, ``again`` gives another uniform number.
    """

    prompt: tuple[int, ...]
    sampling: Sampling
    max_new: int
    uniforms: Sequence[float] = ()
    prefix: tuple[int, ...] = ()
    guide: Guide | None = None
    again: Callable[[int], float] = lambda at: 0.0
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    stop: StopReason | None = None

    def take(self, token: int, logprob: float, end_ids: frozenset[int], stops: Callable[[BatchRow], bool]) -> None:
        """Record the next token, and whether it is the last. ``stops`` tells whether a stop string has been met."""
        self.ids.append(token)
        self.logprob += logprob
        if token in end_ids:
            self.stop = StopReason.END_TURN
        elif self.sampling.stop and stops(self):
            self.stop = StopReason.STOP_STRING
        elif len(self.ids) >= self.max_new:
            self.stop = StopReason.LENGTH

    def start_over(self) -> None:
        """Forget what has been written."""
        self.ids, self.logprob, self.stop = [], 0.0, None
        if self.guide is not None:
            self.guide.start_over()


class Writer(Protocol):
    """What computes tokens. Set ``cancelled`` to stop a :meth:`run` under way at its next token."""

    cancelled: bool

    def run(self, rows: Sequence[BatchRow]) -> None:
        """Fill ``ids``, ``logprob`` and ``stop`` of every row. Raises Cancelled."""
        ...


def n_common(a: Sequence[int], b: Sequence[int], start: int = 0) -> int:
    """How many ids two sequences begin with in common, knowing that the first ``start`` are."""
    n = min(len(a), len(b))
    return next((i for i in range(start, n) if a[i] != b[i]), n)


# --- choosing a token -------------------------------------------------------------------------------------------------


_TOP = 256  # nucleus candidates looked at before all of the vocabulary is sorted


class Draw:
    """Chooses tokens, greedily at temperature 0, else by inverting each row's own cumulative distribution.

    Every row brings its own uniform numbers, so what it draws does not depend on its neighbours. Passes over the
    vocabulary are slow on CPU, and fresh memory too: there are as few as possible, in buffers that are reused.
    """

    def __init__(
        self, samplings: Sequence[Sampling], uniforms: Sequence[Sequence[float]], device: torch.device
    ) -> None:
        self._sampled = any(s.temperature > 0 for s in samplings)
        if self._sampled:
            n = max(len(u) for u in uniforms)
            padded = [[*u, *[0.0] * (n - len(u))] for u in uniforms]
            self._uniforms = torch.tensor(padded, dtype=torch.float64).to(device, torch.float32)
            self._temperature = torch.tensor([float(s.temperature) for s in samplings], device=device)
            self._top_p = torch.tensor([float(s.top_p) for s in samplings], device=device)
        self._step = 0
        self._buffers: tuple[Tensor, Tensor] | None = None

    def select(self, index: Tensor) -> None:
        """Go on with these rows only."""
        if self._sampled:
            self._uniforms, self._top_p = self._uniforms[index], self._top_p[index]
            self._temperature = self._temperature[index]

    def __call__(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens ``[rows]`` and their log-probabilities under the model itself (temperature 1)."""
        if self._buffers is None:
            below = torch.empty_like(logits, dtype=torch.float32)
            self._buffers = (below, torch.empty_like(below))
        below, weights = (held[: len(logits)] for held in self._buffers)
        tokens, top = _likeliest(below.copy_(logits))
        below.sub_(top)
        total = torch.exp(below, out=weights).sum(-1, keepdim=True).log_()
        if self._sampled:
            tokens = tokens.where(self._temperature == 0, self._sample(below, weights))
            self._step += 1
        return tokens, (below.gather(1, tokens[:, None]) - total).squeeze(1)

    def _sample(self, below: Tensor, weights: Tensor) -> Tensor:
        """Of logits, each less its row's largest. ``weights`` is overwritten."""
        step = min(self._step, self._uniforms.shape[1] - 1)  # greedy rows may outlive all that are sampled
        uniform = self._uniforms[:, step, None]
        scaled = torch.div(below, self._temperature.clamp(min=1e-6)[:, None], out=weights)
        whole = self._top_p >= 1
        if bool(whole.all()):
            return _from_all(scaled.exp_(), uniform)
        tokens = torch.empty(len(scaled), dtype=torch.long, device=scaled.device)
        tokens[whole] = _from_all(scaled[whole].exp_(), uniform[whole])
        tokens[~whole] = _from_nucleus(scaled[~whole], uniform[~whole], self._top_p[~whole, None])
        return tokens


def drawn(rows: Sequence[BatchRow], draw: Draw, logits: Tensor) -> tuple[Tensor, Tensor]:
    """What ``draw`` gives, but for rows whose guide has another token stand: that, and its log-probability."""
    tokens, logprobs = draw(logits)
    if all(row.guide is None for row in rows):
        return tokens, logprobs
    for i, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
        if row.guide is None or row.stop is not None:
            continue
        stands = row.guide.choose(token, lambda allowed: _among(allowed, logits[i].float(), row))  # noqa: B023
        if stands != token:
            own = logits[i].float()
            tokens[i], logprobs[i] = stands, own[stands] - own.logsumexp(-1)
    return tokens, logprobs


def _among(allowed: NDArray[np.bool_], logits: Tensor, row: BatchRow) -> int:
    """A token among those allowed, drawn by the row's own next number: the first one is spent on what was refused."""
    mask = torch.from_numpy(allowed).to(logits.device)
    left = logits[: len(mask)].masked_fill(~mask, float("-inf"))[None]
    if row.sampling.temperature == 0:
        return int(left.argmax())
    scaled, uniform = left / row.sampling.temperature, left.new_tensor([[row.again(len(row.ids))]])
    if row.sampling.top_p >= 1:
        return int(_from_all(scaled.softmax(-1), uniform))
    return int(_from_nucleus(scaled, uniform, left.new_tensor([[row.sampling.top_p]])))


def _in_blocks(values: Tensor) -> Tensor:
    """``[rows, n]`` as ``[rows, blocks, width]``: in short blocks, PyTorch's ``argmax`` and ``cumsum`` are fast on CPU
    (findings/argmax_of_logits_slower_than_max.sh)."""
    n = values.shape[-1]
    width = math.gcd(n, 256)
    width = width if width >= 32 else n
    return values.reshape(len(values), n // width, width)


def _likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The place of each row's largest value ``[rows]``, and the value ``[rows, 1]``."""
    blocks = _in_blocks(logits)
    largest = blocks.amax(-1)
    block = largest.argmax(-1, keepdim=True)
    within = _block(blocks, block).argmax(-1)
    return block.squeeze(1) * blocks.shape[-1] + within, largest.gather(1, block)


def _block(blocks: Tensor, which: Tensor) -> Tensor:
    """One block ``[rows, width]`` of each row."""
    return blocks.gather(1, which[:, :, None].expand(-1, -1, blocks.shape[-1])).squeeze(1)


def _from_all(weights: Tensor, uniform: Tensor) -> Tensor:
    """Tokens in the vocabulary's order, by the place of ``uniform`` (rows, 1) in the cumulative sum of ``weights``: no
    sorting, which would take longer than a small model does. First the block is found, then the place in it."""
    blocks = _in_blocks(weights)
    sums = blocks.sum(-1)
    block, point = _place(sums, uniform * sums.sum(-1, keepdim=True))
    within, _ = _place(_block(blocks, block), point)
    return (block * blocks.shape[-1] + within).squeeze(1)


def _place(weights: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
    """Where ``point`` (rows, 1) falls in the cumulative sum, never on a weight of zero, and how far beyond what comes
    before."""
    cumulative = weights.cumsum(-1)
    end = cumulative[:, -1:]
    point = point.clamp(min=0).minimum(torch.nextafter(end, torch.zeros_like(end)))  # sums round in different ways
    place = torch.searchsorted(cumulative, point, right=True)
    return place, point - (cumulative - weights).gather(1, place)


def _from_nucleus(scaled: Tensor, uniform: Tensor, top_p: Tensor) -> Tensor:
    """The same among the likeliest tokens that hold ``top_p`` (rows, 1) of the mass together, likeliest first."""
    total = scaled.logsumexp(-1, keepdim=True)
    n = scaled.shape[-1]
    top, order = scaled.topk(min(_TOP, n), sorted=True)
    short = (top - total).exp().sum(-1, keepdim=True) < top_p
    if n > _TOP and bool(short.any()):
        top, order = scaled.sort(dim=-1, descending=True, stable=True)
    probs = (top - total).exp()
    before = probs.cumsum(-1) - probs
    kept = probs * (before < top_p)  # the first is always kept: nothing comes before it
    cumulative = kept.cumsum(-1)
    point = uniform * cumulative[:, -1:]
    # The smallest index whose cumulative mass exceeds the point; clamped where rounding leaves none.
    choice = (cumulative <= point).sum(-1, keepdim=True).clamp(max=top.shape[-1] - 1)
    choice = choice.minimum((kept > 0).sum(-1, keepdim=True) - 1)
    return order.gather(1, choice).squeeze(1)


# --- keys and values --------------------------------------------------------------------------------------------------


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
        """Keep these rows, in this order; a row may be taken more than once.

        Where rows from the end take the places of others (:func:`_with_holes_filled`), only those are copied.
        """
        if self._k is not None and self._v is not None:
            n, stop = len(indices), self.get_seq_length()
            places = torch.arange(n, device=indices.device)
            moved = indices != places
            if n <= len(self._k) and bool((indices[moved] >= n).all()):
                to, of = places[moved], indices[moved]
                self._k, self._v = (self._moved(held, to, of, n, stop) for held in (self._k, self._v))
            else:
                self._k, self._v = self._k[indices], self._v[indices]
            self.keys, self.values = self._k[:, :, :stop], self._v[:, :, :stop]

    @staticmethod
    def _moved(held: Tensor, to: Tensor, of: Tensor, n: int, stop: int) -> Tensor:
        held[to, :, :stop] = held[of, :, :stop]
        return held[:n]


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


# --- attention of one new token ---------------------------------------------------------------------------------------


_ATTENTION = "agentdistill_step"


def step_quickly(model: Any) -> None:
    """Have a model that reads all its past by ``sdpa``, in bfloat16 on CPU, decode this way. Others stay as is."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.dtype is torch.bfloat16 and model.device.type == "cpu" and model.config._attn_implementation == "sdpa":
        AttentionInterface.register(_ATTENTION, _attend)
        AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
        model.config._attn_implementation = _ATTENTION


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """``query`` is ``[rows, heads, new, width]``, keys and values ``[rows, fewer heads, held, width]``."""
    if query.shape[2] != 1:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        out: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return out
    rows, heads, _, width = query.shape
    fewer, held = key.shape[1:3]
    scale = kwargs.get("scaling") or width**-0.5
    k, v = _with_room(key), _with_room(value)
    q = query.reshape(rows * fewer, heads // fewer, width) * scale
    scores = torch.bmm(q, k.transpose(1, 2)).view(rows, heads, 1, -1).float()
    scores[..., held:] = float("-inf")
    if attention_mask is not None:
        scores[..., :held].masked_fill_(~attention_mask[..., :held], float("-inf"))
    p = scores.softmax(-1).to(value.dtype).view(rows * fewer, heads // fewer, -1)
    return torch.bmm(p, v).view(rows, 1, heads, width), None


def _with_room(held: Tensor) -> Tensor:
    """``[rows * heads, tokens, width]``, with the buffer's spare room where there is some: batched products copy what
    has gaps."""
    rows, heads, tokens, width = held.shape
    room = held.stride(1) // width
    if room > tokens and held.stride() == (heads * room * width, room * width, width, 1):
        return held.as_strided((rows * heads, room, width), (room * width, width, 1))
    return held.reshape(rows * heads, tokens, width)


# --- decoding ---------------------------------------------------------------------------------------------------------


# A GPU says that its memory is full, and the batch is halved; on CPU the process would be killed.
_BATCH_BYTES = 2 << 30
_SHARED_AT_LEAST = 16  # tokens: below this a pass of its own costs more than it saves


@dataclass(slots=True, eq=False)
class _Group:
    """Rows with one prompt, and the past it starts from: its first ``n_past`` tokens are computed already."""

    rows: list[BatchRow]
    past: Past | None = None
    n_past: int = 0

    @property
    def n_left(self) -> int:
        return len(self.rows[0].prompt) - self.n_past


class Decoder:
    """Writes rows to their end. ``stops`` is asked after each token whether a row has met a stop string.

    ``kv_reuse_bytes`` bounds the keys and values kept from one call to the next; 0 keeps none.
    """

    def __init__(
        self, model: Any, end_ids: Sequence[int], stops: Callable[[BatchRow], bool], max_rows: int, kv_reuse_bytes: int
    ) -> None:
        self.model = model
        _keep_head_rows_together(model)
        self.end_ids = frozenset(end_ids)
        self.stops = stops
        self.max_rows = max_rows
        self.cancelled = False
        self._plain = is_plain(model)
        if self._plain:
            step_quickly(model)
        bounded = self._plain and model.device.type == "cpu"
        self._max_tokens = _BATCH_BYTES // token_bytes(model) if bounded else sys.maxsize
        self._budget = kv_reuse_bytes if self._plain else 0
        self._left = 0
        self._pasts: dict[tuple[int, ...], list[Past]] = {}
        self._kept: dict[tuple[int, ...], list[Past]] = {}

    def run(self, rows: Sequence[BatchRow]) -> None:
        """Fill ``ids``, ``logprob`` and ``stop`` of every row. The same calls in the same order give the same bits."""
        self.cancelled = False
        self._left, self._kept = self._budget, {}
        with torch.inference_mode():
            firsts = _firsts(rows)
            groups = [self._find_past(g) for g in _group([row for row in rows if firsts[row] is row])]
            self._pasts = {}  # what a group starts from is held by the group, until its batch is written
            groups.sort(key=lambda g: (g.past is None, -g.n_left))  # stable; alike together, so little is padding
            batches = list(_batches(groups, self.max_rows, self._max_tokens))
            groups.clear()
            while batches:
                self._write_or_split(batches.pop(0))
        for row, first in firsts.items():
            row.ids, row.logprob, row.stop = list(first.ids), first.logprob, first.stop
        self._pasts = self._kept

    def forget(self) -> None:
        """Drop what was kept from earlier calls."""
        self._pasts, self._kept = {}, {}

    # --- where a prompt can start from ------------------------------------------------------------------------------

    def _find_past(self, group: _Group) -> _Group:
        """Let the group start from a row of the last call whose prompt it continues. Equal prompts start afresh."""
        prompt = group.rows[0].prompt
        for n in sorted({len(p) for p in self._pasts if len(p) < len(prompt)}, reverse=True):
            for past in self._pasts.get(prompt[:n], ()):
                n_past = min(n_common(past.ids, prompt, n), len(prompt) - 1)
                if n_past > group.n_past:
                    group.past, group.n_past = past, n_past
            if group.past:
                break
        return group

    def _share_beginning(self, groups: list[_Group]) -> None:
        """Compute once what all prompts of a batch begin with."""
        prompts = [g.rows[0].prompt for g in groups]
        first, last = min(prompts), max(prompts)
        n = min(n_common(first, last), *(len(p) - 1 for p in prompts))
        if len(groups) == 1 or n < _SHARED_AT_LEAST or not self._plain:
            return
        cache = new_cache(self.model, n)
        tokens = self._tensor([first[:n]])
        self._forward(tokens, torch.ones_like(tokens), self._tensor([list(range(n))]), cache)
        past = Past(first[:n], [(k[0], v[0]) for k, v in held(cache)])
        for g in groups:
            g.past, g.n_past = past, n

    def _keep(self, row: BatchRow, i: int, cache: Cache, mask: Tensor) -> None:
        """Copy row ``i`` of the batch for the next call, while there is room. Its last token has no keys yet."""
        if self._left <= 0:
            return
        slots = mask[i].nonzero().squeeze(1)
        past = Past((*row.prompt, *row.ids[:-1]), [(k[i][:, slots], v[i][:, slots]) for k, v in held(cache)])
        self._left -= past.n_bytes
        self._kept.setdefault(row.prompt, []).append(past)

    def _write_or_split(self, groups: list[_Group]) -> None:
        """Write a batch; where the device's memory is too small for it, its halves, and nothing is kept any more."""
        try:
            return self._write(groups)
        except torch.OutOfMemoryError:
            n_rows = sum(len(g.rows) for g in groups)
            if n_rows == 1:
                raise ModelError(
                    "one sequence alone does not fit into the device's memory; lower max_new_tokens"
                ) from None
        self._left = 0
        self.forget()
        for g in groups:
            g.past, g.n_past = None, 0
            for row in g.rows:
                row.start_over()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        for half in _batches(groups, (n_rows + 1) // 2, self._max_tokens):
            self._write_or_split(half)

    # --- one batch --------------------------------------------------------------------------------------------------

    def _write(self, groups: list[_Group]) -> None:
        if all(g.past is None for g in groups):
            self._share_beginning(groups)
        logits, mask, positions, cache = self._prefill(groups)
        rows = [row for g in groups for row in g.rows]
        if len(rows) > len(groups):
            index = self._tensor([i for i, g in enumerate(groups) for _ in g.rows])
            logits, mask, positions = logits[index], mask[index], positions[index]
            cache.batch_select_indices(index)
        draw = Draw([r.sampling for r in rows], [r.uniforms for r in rows], logits.device)
        while True:
            if self.cancelled:
                raise Cancelled
            tokens = self._advance(rows, draw, logits, cache, mask)
            alive = [i for i, row in enumerate(rows) if row.stop is None]
            if not alive:
                return
            if len(alive) <= len(rows) * 7 // 8:
                alive = _with_holes_filled(alive)
                index = self._tensor(alive)
                rows, tokens, mask, positions = [rows[i] for i in alive], tokens[index], mask[index], positions[index]
                cache.batch_select_indices(index)
                draw.select(index)
            positions = positions + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
            logits = self._forward(tokens[:, None], mask, positions[:, None], cache)

    def _advance(self, rows: list[BatchRow], draw: Draw, logits: Tensor, cache: Cache, mask: Tensor) -> Tensor:
        """Choose and record one token for every row that is still writing."""
        tokens, logprobs = drawn(rows, draw, logits)
        for i, (row, token, logprob) in enumerate(zip(rows, tokens.tolist(), logprobs.tolist(), strict=True)):
            if row.stop is not None:
                continue
            row.take(token, logprob, self.end_ids, self.stops)
            if row.stop is not None:
                self._keep(row, i, cache, mask)
        return tokens

    def _prefill(self, groups: list[_Group]) -> tuple[Tensor, Tensor, Tensor, Any]:
        """Run what is left of the prompts. Both parts are right-aligned: ``[pad, past | pad, rest of the prompt]``."""
        n_past, n_left = max(g.n_past for g in groups), max(g.n_left for g in groups)
        tokens = self._tensor([_left_pad(g.rows[0].prompt[g.n_past :], n_left) for g in groups])
        masks = [_left_pad([1] * g.n_past, n_past) + _left_pad([1] * g.n_left, n_left) for g in groups]
        positions = [_left_pad(range(g.n_past, g.n_past + g.n_left), n_left) for g in groups]
        n_new = max(row.max_new for g in groups for row in g.rows)
        cache = new_cache(self.model, n_past + n_left + min(n_new, 256), [(g.past, g.n_past) for g in groups])
        mask, position = self._tensor(masks), self._tensor(positions)
        return self._forward(tokens, mask, position, cache), mask, position[:, -1], cache

    def _forward(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        """Logits of the last position, ``[rows, vocabulary]``."""
        out = self.model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = out.logits[:, -1]
        return logits

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.model.device)


def _keep_head_rows_together(model: Any) -> None:
    """Hand the head contiguous rows: of a view with gaps and a frozen weight, PyTorch multiplies row by row on CPU with
    a copy of the weight each, 400 times as slow for 64 rows (findings/frozen_head_of_the_last_token.sh)."""
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))


def _firsts(rows: Sequence[BatchRow]) -> dict[BatchRow, BatchRow]:
    """For every row the one that is written for it: itself, or the first greedy row with the same prompt and limits."""
    firsts: dict[tuple[object, ...], BatchRow] = {}
    return {
        row: row
        if row.sampling.temperature > 0 or row.guide is not None
        else firsts.setdefault((row.prompt, row.prefix, row.max_new, row.sampling), row)
        for row in rows
    }


def _group(rows: Sequence[BatchRow]) -> list[_Group]:
    """Rows by prompt, in the order they first appear."""
    groups: dict[tuple[int, ...], list[BatchRow]] = {}
    for row in rows:
        groups.setdefault(row.prompt, []).append(row)
    return [_Group(same) for same in groups.values()]


def _batches(groups: Sequence[_Group], max_rows: int, max_tokens: int) -> Iterator[list[_Group]]:
    """Batches of at most ``max_rows`` rows and ``max_tokens`` tokens, padding included, but one row at least; those
    with a past and those without are kept apart."""
    batch: list[_Group] = []
    longest = 0
    for group in groups:
        length = len(group.rows[0].prompt) + max(row.max_new for row in group.rows)
        step = max(1, min(max_rows, max_tokens // length))
        for start in range(0, len(group.rows), step):
            part = replace(group, rows=group.rows[start : start + step])
            n = sum(len(g.rows) for g in batch) + len(part.rows)
            full = n > max_rows or n * max(longest, length) > max_tokens
            if batch and (full or (part.past is None) != (batch[0].past is None)):
                yield batch
                batch, longest = [], 0
            batch.append(part)
            longest = max(longest, length)
    if batch:
        yield batch


def _with_holes_filled(alive: Sequence[int]) -> list[int]:
    """The rows ``alive`` (ascending), the last of them in the places of those that are gone."""
    n = len(alive)
    stay, later = {i for i in alive if i < n}, [i for i in alive if i >= n]
    return [i if i in stay else later.pop() for i in range(n)]


def _left_pad(values: Sequence[int], n: int) -> list[int]:
    return [*[0] * (n - len(values)), *values]
