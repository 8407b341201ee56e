"""Batched decoding of local weights: left-padded prefill, one token a step, finished rows dropped from the batch.

Beside plain generation it saves what agents repeat. Prompts that begin alike (a system prompt, examples) have that part
computed once; a prompt that continues one of the last call (the next step of an episode) starts from its keys and
values. Attention holds are addressed by a mask, so kept keys, padding and new tokens may lie anywhere in the buffer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from agentdistill.errors import ModelError
from agentdistill.models._attention import step_quickly
from agentdistill.models._cache import Past, held, is_plain, new_cache, token_bytes
from agentdistill.models._drawing import Draw
from agentdistill.models._row import Cancelled, Row, n_common

# A GPU says that its memory is full, and the batch is halved; on CPU the process would be killed.
_BATCH_BYTES = 2 << 30
_SHARED_AT_LEAST = 16  # tokens: below this a pass of its own costs more than it saves


@dataclass(slots=True, eq=False)
class _Group:
    """Rows with one prompt, and the past it starts from: its first ``n_past`` tokens are computed already."""

    rows: list[Row]
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
        self, model: Any, end_ids: Sequence[int], stops: Callable[[Row], bool], max_rows: int, kv_reuse_bytes: int
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

    def run(self, rows: Sequence[Row]) -> None:
        """Fill ``ids``, ``logprob`` and ``stop`` of every row. The same calls in the same order give the same bits."""
        self.cancelled = False
        self._left, self._kept = self._budget, {}
        with torch.inference_mode():
            groups = [self._find_past(g) for g in _group(rows)]
            self._pasts = {}  # what a group starts from is held by the group, until its batch is written
            groups.sort(key=lambda g: (g.past is None, -g.n_left))  # stable; alike together, so little is padding
            batches = list(_batches(groups, self.max_rows, self._max_tokens))
            groups.clear()
            while batches:
                self._write_or_split(batches.pop(0))
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

    def _keep(self, row: Row, i: int, cache: Cache, mask: Tensor) -> None:
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
                row.ids, row.logprob, row.stop = [], 0.0, None
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
                index = self._tensor(alive)
                rows, tokens, mask, positions = [rows[i] for i in alive], tokens[index], mask[index], positions[index]
                cache.batch_select_indices(index)
                draw.select(index)
            positions = positions + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
            logits = self._forward(tokens[:, None], mask, positions[:, None], cache)

    def _advance(self, rows: list[Row], draw: Draw, logits: Tensor, cache: Cache, mask: Tensor) -> Tensor:
        """Choose and record one token for every row that is still writing."""
        tokens, logprobs = draw(logits)
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
        """Logits of the last position, ``[rows, vocabulary]`` in float32."""
        out = self.model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = out.logits[:, -1].float()
        return logits

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.model.device)


def _keep_head_rows_together(model: Any) -> None:
    """Hand the head contiguous rows: of a view with gaps and a frozen weight, PyTorch multiplies row by row on CPU with
    a copy of the weight each, 400 times as slow for 64 rows (findings/frozen_head_of_the_last_token.sh)."""
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))


def _group(rows: Sequence[Row]) -> list[_Group]:
    """Rows by prompt, in the order they first appear."""
    groups: dict[tuple[int, ...], list[Row]] = {}
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


def _left_pad(values: Sequence[int], n: int) -> list[int]:
    return [*[0] * (n - len(values)), *values]
