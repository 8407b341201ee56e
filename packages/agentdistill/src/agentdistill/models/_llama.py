"""llama.cpp as a batched decoder: every row a sequence of one context, finished rows dropped from the batch.

A sequence keeps the keys and values of what it has read. A row starts from the longest beginning that any sequence of
the last call, or an earlier row of its own batch, has in common with its prompt: the next step of an episode, a system
prompt, the samples of a vote. Sharing costs nothing, since a cell of the cache may belong to many sequences.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray

from agentdistill.errors import ModelError
from agentdistill.models._decoding import BatchRow, Cancelled, Draw, drawn, n_common

_N_BATCH = 512  # tokens that one call of llama.cpp reads
_GGML_TYPES = {"f32": 0, "f16": 1}
_BYTES = {"f32": 4, "f16": 2}


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _say_nothing(level: int, text: bytes, data: Any) -> None:
    """llama.cpp's own log: what matters of it is raised."""


class Llama:
    """A loaded file. ``n_vocab`` tokens, a context of ``n_trained``; ``end_ids`` are the file's own ends of a turn.

    Raises ModelError for a file that llama.cpp cannot read.
    """

    def __init__(self, path: str, *, gpu: bool = True, threads: int | None = None, kv: str = "auto") -> None:
        llama_cpp.llama_log_set(_say_nothing, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 999 if gpu and llama_cpp.llama_supports_gpu_offload() else 0
        self.path = path
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise ModelError(f"{path}: llama.cpp cannot read it as a model")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        self.n_trained = int(llama_cpp.llama_model_n_ctx_train(self.model))
        self.threads = threads or len(os.sched_getaffinity(0))
        self.kv = kv if kv != "auto" else "f32" if self.metadata("general.file_type") == "0" else "f16"

    def metadata(self, key: str) -> str | None:
        """A value of the file's header as text; None where it has none by that name. At most 255 bytes of it."""
        buffer = ctypes.create_string_buffer(256)
        n = llama_cpp.llama_model_meta_val_str(self.model, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if n >= 0 else None

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The ids at which the file itself says that a turn ends."""
        ends = (llama_cpp.llama_vocab_eos(self.vocab), llama_cpp.llama_vocab_eot(self.vocab))
        return tuple(sorted({int(i) for i in ends if i >= 0}))

    @property
    def cell_bytes(self) -> int:
        """What keeping the keys and values of one token takes."""
        m = self.model
        head = self.metadata(f"{self.metadata('general.architecture')}.attention.key_length")
        n_head = int(head) if head else llama_cpp.llama_model_n_embd(m) // llama_cpp.llama_model_n_head(m)
        n_values = llama_cpp.llama_model_n_layer(m) * llama_cpp.llama_model_n_head_kv(m) * n_head
        return int(2 * n_values * _BYTES[self.kv])

    def context(self, n_cells: int, n_sequences: int) -> Any:
        """A context that holds so many tokens of so many sequences. Raises ModelError where there is no room."""
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = n_cells, n_sequences, True
        params.n_batch = params.n_ubatch = _N_BATCH
        params.n_threads = params.n_threads_batch = self.threads
        params.type_k = params.type_v = _GGML_TYPES[self.kv]
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.no_perf = True
        context = llama_cpp.llama_init_from_model(self.model, params)
        if not context:
            raise ModelError(f"{self.path}: llama.cpp has no room for a context of {n_cells} tokens; lower kv_gb")
        return context

    def tokenize(self, text: str) -> list[int]:
        """The ids that llama.cpp itself spells a text with, control tokens read as such, none added."""
        data = text.encode()
        ids = (llama_cpp.llama_token * (len(data) + 8))()
        n = llama_cpp.llama_tokenize(self.vocab, data, len(data), ids, len(ids), False, True)
        return list(ids[:n])

    def close(self) -> None:
        """Let go of the weights. Harmless twice."""
        model, self.model = self.model, None
        if model:
            llama_cpp.llama_model_free(model)


class LlamaDecoder:
    """Writes rows to their end. ``stops`` is asked after each token whether a row has met a stop string.

    At most ``max_rows`` rows are written together, of ``n_context`` tokens each, in ``n_bytes`` of keys and values.
    """

    def __init__(
        self,
        llama: Llama,
        end_ids: frozenset[int],
        stops: Callable[[BatchRow], bool],
        max_rows: int,
        n_context: int,
        n_bytes: int,
    ) -> None:
        self.cancelled = False
        self._llama, self._end_ids, self._stops = llama, end_ids, stops
        self._max_rows = min(max_rows, int(llama_cpp.llama_max_parallel_sequences()) // 2)
        self._n_cells = max(n_context, min(self._max_rows * n_context, n_bytes // llama.cell_bytes))
        self._context = llama.context(self._n_cells, 2 * self._max_rows)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(_N_BATCH, 0, 1)
        self._held: dict[int, tuple[int, ...]] = {}

    def __del__(self) -> None:
        context = getattr(self, "_context", None)
        if context:
            self._context = None
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(context)
            self._llama.close()

    def run(self, rows: Sequence[BatchRow]) -> None:
        """See :class:`agentdistill.models._decoding.Writer`. Raises ModelError where llama.cpp fails."""
        self.cancelled = False
        for batch in self._batches(rows):
            try:
                self._write(batch)
            except BaseException:
                llama_cpp.llama_memory_clear(self._memory, True)
                self._held = {}
                raise

    def _batches(self, rows: Sequence[BatchRow]) -> Iterator[list[BatchRow]]:
        batch: list[BatchRow] = []
        n_cells = 0
        for row in rows:
            n = len(row.prompt) + row.max_new
            if batch and (len(batch) == self._max_rows or n_cells + n > self._n_cells):
                yield batch
                batch, n_cells = [], 0
            batch.append(row)
            n_cells += n
        if batch:
            yield batch

    # --- one batch ----------------------------------------------------------------------------------------------------

    def _write(self, rows: list[BatchRow]) -> None:
        sequences = self._start(rows)
        logits = self._prefill(rows, sequences)
        draw = Draw([r.sampling for r in rows], [r.uniforms for r in rows], torch.device("cpu"))
        while True:
            if self.cancelled:
                raise Cancelled
            alive = self._advance(rows, sequences, draw, logits)
            if not alive:
                return
            if len(alive) < len(rows):
                rows, sequences = [rows[i] for i in alive], [sequences[i] for i in alive]
                draw.select(torch.tensor(alive))
            places = [(r.ids[-1], len(r.prompt) + len(r.ids) - 1) for r in rows]
            newest = [(token, at, s) for (token, at), s in zip(places, sequences, strict=True)]
            logits = self._read(newest, len(newest))

    def _advance(
        self, rows: list[BatchRow], sequences: list[int], draw: Draw, logits: NDArray[np.float32]
    ) -> list[int]:
        """Choose and record a token for every row; which rows go on."""
        tokens, logprobs = drawn(rows, draw, torch.from_numpy(logits))
        alive = []
        for i, (token, logprob) in enumerate(zip(tokens.tolist(), logprobs.tolist(), strict=True)):
            row = rows[i]
            row.take(token, logprob, self._end_ids, self._stops)
            if row.stop is None:
                alive.append(i)
            else:
                self._held[sequences[i]] = (*row.prompt, *row.ids[:-1])  # its last token has not been read
        return alive

    def _start(self, rows: list[BatchRow]) -> list[int]:
        """Sequences for the rows, each with what the last call's sequences hold of its prompt; those are let go."""
        old, self._held = self._held, {}
        free = [s for s in range(2 * self._max_rows) if s not in old][: len(rows)]
        for row, sequence in zip(rows, free, strict=True):
            self._share(row, sequence, old)
        for sequence in old:
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return free

    def _share(self, row: BatchRow, sequence: int, held: dict[int, tuple[int, ...]]) -> None:
        """Let the row's sequence begin with the most that another one holds of its prompt, its last token apart."""
        have = len(self._held.get(sequence, ()))
        most, source = max(((n_common(ids, row.prompt), s) for s, ids in held.items()), default=(0, -1))
        most = min(most, len(row.prompt) - 1)
        if most > have:
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            llama_cpp.llama_memory_seq_cp(self._memory, source, sequence, 0, most)
            self._held[sequence] = row.prompt[:most]

    def _prefill(self, rows: list[BatchRow], sequences: list[int]) -> NDArray[np.float32]:
        """Read what is left of every prompt; the logits after each, ``[rows, vocabulary]``."""
        out = np.empty((len(rows), self._llama.n_vocab), np.float32)
        read: dict[int, tuple[int, ...]] = {}
        for i, (row, sequence) in enumerate(zip(rows, sequences, strict=True)):
            self._share(row, sequence, read)
            start = len(self._held.get(sequence, ()))
            for first in range(start, len(row.prompt), _N_BATCH):
                if self.cancelled:
                    raise Cancelled
                part = row.prompt[first : first + _N_BATCH]
                tokens = [(t, first + j, sequence) for j, t in enumerate(part)]
                out[i] = self._read(tokens, 1)[0]
            self._held[sequence] = read[sequence] = row.prompt
        return out

    def _read(self, tokens: Sequence[tuple[int, int, int]], n_last: int) -> NDArray[np.float32]:
        """Read ``(token, position, sequence)`` triples; logits after the last ``n_last`` of them."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, (token, position, sequence) in enumerate(tokens):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = i >= len(tokens) - n_last
        status = llama_cpp.llama_decode(self._context, batch)
        if status:
            raise ModelError(f"{self._llama.path}: llama.cpp failed to read {len(tokens)} tokens (status {status})")
        out = np.empty((n_last, self._llama.n_vocab), np.float32)
        for i in range(n_last):
            at = llama_cpp.llama_get_logits_ith(self._context, len(tokens) - n_last + i)
            out[i] = np.ctypeslib.as_array(at, (self._llama.n_vocab,))
        return out
