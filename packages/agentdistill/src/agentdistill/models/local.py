"""Weights in this process, many episodes at a time: a checkpoint run by torch, or a GGUF file run by llama.cpp.

The same calls in the same order give the same bits on the same machine. A sample's random numbers depend only on its
request's seed and its place among the request's samples; which neighbours share its batch can still move a logit by a
rounding error, so a tie that close may break the other way in another batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from agentdistill.errors import ModelError
from agentdistill.models import Model
from agentdistill.models.weights import is_gguf, load_tokenizer, load_weights, return_freed_memory, runnable
from agentdistill.types import Request, Sample, StopReason

if TYPE_CHECKING:
    from agentdistill.models._constrain import Guide, Vocabulary
    from agentdistill.models._decoding import BatchRow, Writer
    from agentdistill.models._llama import Llama
    from agentdistill.models.chat import ChatFormat

Cache = Literal["auto", "f32", "f16"]
_LONGEST = 8192


def load(
    path: str,
    adapter: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 64,
    threads: int | None = None,
    chat_template: str | None = None,
    context_length: int | None = None,
    kv_reuse_gb: float = 2.0,
    name: str | None = None,
) -> Model:
    """Load weights by a name that :mod:`agentdistill.models.weights` knows: a folder, a hub name, ``tinyworld:0.3M``. A
    folder with only a LoRA adapter brings its base along.

    A ``.gguf`` file is run by llama.cpp where that is installed (:func:`load_gguf`); where it is not, or with an
    adapter on top, the file is dequantised once and read as a folder.

    ``device`` is ``auto`` (a GPU if there is one; spread over several if there are), ``cpu``, ``cuda``, ``cuda:1``.
    ``dtype`` ``auto`` is the checkpoint's own on a GPU; on CPU it is bfloat16 for weights stored so where the processor
    multiplies it faster, else float32. ``batch_size`` bounds the rows of a batch.
    ``threads`` sets torch's threads for the whole process. ``chat_template`` names a Jinja file. ``kv_reuse_gb``
    bounds the keys and values kept for an episode's next step; 0 computes every prompt from its beginning.
    Raises ModelError, in one line, for a checkpoint that is missing, incomplete or of another shape.
    """
    from agentdistill.models.chat import ChatFormat, read_template

    name, path = name or Path(path).name, runnable(path)
    if is_gguf(path) and adapter is None and find_spec("llama_cpp") is not None:
        return load_gguf(
            path,
            device=device,
            batch_size=batch_size,
            threads=threads,
            chat_template=chat_template,
            context_length=context_length,
            kv_gb=kv_reuse_gb,
            name=name,
        )
    if batch_size < 1 or (threads is not None and threads < 1):
        raise ModelError(f"local model {path}: batch_size and threads must be at least 1")
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    model, tokenizer = load_weights(path, adapter, device, dtype)
    limit = context_length or getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return LocalModel(
        name=name,
        model=model,
        chat=ChatFormat(tokenizer, read_template(chat_template)),
        batch_size=batch_size,
        context_length=limit,
        kv_reuse_gb=kv_reuse_gb,
    )


def load_gguf(
    path: str,
    tokenizer: str | None = None,
    device: str = "auto",
    batch_size: int = 8,
    threads: int | None = None,
    chat_template: str | None = None,
    context_length: int | None = None,
    kv_gb: float = 2.0,
    name: str | None = None,
    kv: Cache = "auto",
) -> GgufModel:
    """Load a ``.gguf`` file for llama.cpp. Prompts are spelt by the tokenizer that lies beside the file
    (``agentdistill export --gguf`` puts it there), not by llama.cpp's own, so a model is asked in the very ids that it
    was trained on; where none does, by one made from the file. Needs the extra ``llama-cpp``.

    ``tokenizer`` names a folder or hub name; by default it is the one beside the file, else the file's own.
    ``device`` ``cpu`` keeps all layers off the GPU that llama.cpp was built for. ``threads`` None is all there are.
    ``context_length`` None is the file's own, 8192 at most. ``kv`` is how keys and values are kept: ``auto`` is f32 for
    weights in f32, else f16. ``kv_gb`` bounds them: a batch is smaller where it would need more. Raises ModelError, in
    one line, for what cannot be loaded.
    """
    from agentdistill.models.chat import ChatFormat, read_template
    from agentdistill.models.gguf_file import tokenizer_of

    file = Path(path).expanduser()
    if not file.is_file():
        raise ModelError(f"{path}: no such file")
    if batch_size < 1 or (threads is not None and threads < 1):
        raise ModelError(f"{path}: batch_size and threads must be at least 1")
    if kv not in get_args(Cache):
        raise ModelError(f'{path}: kv "{kv}" is not one of {", ".join(get_args(Cache))}')
    if tokenizer is None and (file.parent / "tokenizer.json").is_file():
        tokenizer = str(file.parent)
    chat = ChatFormat(load_tokenizer(tokenizer) if tokenizer else tokenizer_of(file), read_template(chat_template))
    llama = _open(str(file), device, threads, kv)
    if len(chat.tokenizer) > llama.n_vocab:
        raise ModelError(f"{path}: the tokenizer has {len(chat.tokenizer)} tokens but the model only {llama.n_vocab}")
    n_context = min(context_length or _LONGEST, llama.n_trained)
    return GgufModel(name or file.stem, llama, chat, batch_size, n_context, kv_gb)


def _open(path: str, device: str, threads: int | None, kv: Cache) -> Llama:
    try:
        from agentdistill.models._llama import Llama
    except ModuleNotFoundError as e:
        raise ModelError(
            f"{path}: {e.name} is not installed, which runs GGUF files; install it with: "
            "pip install 'agentdistill[llama-cpp]' (it is compiled on the spot), or have it dequantised and run by "
            'torch: model = "local"'
        ) from e
    return Llama(path, gpu=device != "cpu", threads=threads, kv=kv)


class LocalModel:
    """A causal language model and its chat format. ``model`` is a ``transformers`` model in evaluation mode."""

    lockstep = True
    takes_forms = True

    def __init__(
        self,
        name: str,
        model: Any,
        chat: ChatFormat,
        batch_size: int = 64,
        context_length: int | None = None,
        kv_reuse_gb: float = 2.0,
    ) -> None:
        from agentdistill.models._decoding import Decoder

        ends = sorted({*chat.end_ids, *_configured_ends(model)})
        decoder = Decoder(model, ends, self._meets_stop, batch_size, int(kv_reuse_gb * 2**30))
        self._begin(name, chat, batch_size, context_length, decoder, ends)

    def _begin(
        self,
        name: str,
        chat: ChatFormat,
        batch_size: int,
        context_length: int | None,
        decoder: Writer,
        ends: Iterable[int],
    ) -> None:
        """Set up everything but the weights. ``decoder`` computes tokens and asks :meth:`_meets_stop` after each."""
        self.name = name
        self.batch_size = batch_size
        self.context_length = context_length
        self.chat = chat
        self._stopping: dict[str, frozenset[int] | None] = {}
        self._end_ids = (chat.end_ids[0], *sorted(set(ends) - {chat.end_ids[0]}))
        self._vocabulary: Vocabulary | None = None
        # One thread: callers take turns anyway, and every thread that computes keeps its freed memory for itself.
        self._thread = ThreadPoolExecutor(1, f"model {name}")
        self._decoder: Writer | None = decoder

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """See :meth:`agentdistill.models.Model.generate`. Cancelling it stops the work at the next token."""
        decoder = self._decoder
        if decoder is None:
            raise ModelError(f"{self.name} has been closed")
        work = self._thread.submit(self._generate, decoder, requests)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            if not work.cancelled():  # it had begun; what still waits for its turn is simply left out
                decoder.cancelled = True
            raise

    async def aclose(self) -> None:
        """Release the weights."""
        self._decoder = None
        self._thread.shutdown(wait=False)

    def _generate(self, decoder: Writer, requests: Sequence[Request]) -> list[list[Sample]]:
        rows = [self._rows(request) for request in requests]
        decoder.run([row for some in rows for row in some if row.max_new > 0])
        if len(rows) > 1:
            return_freed_memory()
        return [[self._sample(request, row) for row in some] for request, some in zip(requests, rows, strict=True)]

    def _rows(self, request: Request) -> list[BatchRow]:
        from agentdistill.models._decoding import BatchRow

        prompt = tuple(self.chat.prompt_ids(request.messages, request.prefix))
        max_new = request.sampling.max_new_tokens
        if self.context_length is not None:
            max_new = min(max_new, self.context_length - len(prompt))
        sampled = request.sampling.temperature > 0
        prefix = self.chat.prefix_ids(request.prefix)
        return [
            BatchRow(
                prompt,
                request.sampling,
                max_new,
                _uniforms(request.seed, i, max_new) if sampled else (),
                prefix,
                self._guide(request, max_new),
                partial(_uniform_again, request.seed, i),
            )
            for i in range(request.first, request.first + request.n)
        ]

    def _guide(self, request: Request, max_new: int) -> Guide | None:
        if request.form is None or max_new <= 0:
            return None
        from agentdistill.models._constrain import Guide, Vocabulary

        if self._vocabulary is None:
            self._vocabulary = Vocabulary(self.chat.tokenizer, self._end_ids)
        return Guide(self._vocabulary, request.form, bool(request.prefix), max_new)

    def _sample(self, request: Request, row: BatchRow) -> Sample:
        n_prompt = len(row.prompt)
        if row.max_new <= 0:
            return Sample("", StopReason.LENGTH, n_prompt_tokens=n_prompt)
        assert row.stop is not None, "a row was left unfinished"
        ids = row.ids[:-1] if row.stop is StopReason.END_TURN else row.ids
        text, kept = self.chat.decode(ids, row.prefix), len(row.ids)
        if row.stop is StopReason.STOP_STRING:
            text = text[: min(at for s in request.sampling.stop if (at := text.find(s)) >= 0)]
            kept = self._clean_cut(ids, row.prefix, text)
        return Sample(text, row.stop, n_prompt, len(row.ids), tuple(row.ids[:kept]), row.logprob)

    def _clean_cut(self, ids: Sequence[int], before: Sequence[int], text: str) -> int:
        """How many ids spell exactly ``text``; all of them where a token straddles its end."""
        for n in range(len(ids), -1, -1):
            spelt = self.chat.decode(ids[:n], before)
            if spelt == text:
                return n
            if len(spelt) < len(text):
                break
        return len(ids)

    def _meets_stop(self, row: BatchRow) -> bool:
        """Whether the newest token completes a stop string. The text is looked at only if its last character came."""
        for stop in row.sampling.stop:
            if stop not in self._stopping:
                self._stopping[stop] = self._ids_with(stop[-1:])
            ids = self._stopping[stop]
            if (ids is None or row.ids[-1] in ids) and stop in self.chat.decode(row.ids, row.prefix):
                return True
        return False

    def _ids_with(self, character: str) -> frozenset[int] | None:
        """Every id whose text holds the character; None where that is not told by the ids alone."""
        if not character.isascii() or character.isspace():
            return None
        n = len(self.chat.tokenizer)
        texts = self.chat.tokenizer.batch_decode([[i] for i in range(n)])
        return frozenset(i for i, text in enumerate(texts) if character in text)


class GgufModel(LocalModel):
    """Weights that llama.cpp runs. Everything else is as for other local weights."""

    def __init__(
        self, name: str, llama: Llama, chat: ChatFormat, batch_size: int, context_length: int, kv_gb: float = 2.0
    ) -> None:
        from agentdistill.models._llama import LlamaDecoder

        ends = frozenset({*chat.end_ids, *llama.end_ids})
        n_bytes = int(kv_gb * 2**30)
        decoder = LlamaDecoder(llama, ends, self._meets_stop, batch_size, context_length, n_bytes)
        self._begin(name, chat, batch_size, context_length, decoder, ends)


def token_writer(model: Any, n_rows: int) -> Callable[[Sequence[Sequence[int]], int], None]:
    """A function that continues prompts of ids by so many tokens each, ``n_rows`` at a time: the decoding of a
    :class:`LocalModel` without texts, for measurements."""
    from agentdistill.models._decoding import BatchRow, Decoder
    from agentdistill.types import Sampling

    decoder = Decoder(model, [], lambda row: False, n_rows, 0)
    return lambda prompts, n_new: decoder.run([BatchRow(tuple(p), Sampling(), n_new) for p in prompts])


def _uniforms(seed: int, index: int, n: int) -> list[float]:
    """``n`` numbers in [0, 1) that depend on the seed and the sample's place alone."""
    import numpy as np

    key = np.random.SeedSequence([seed % 2**63, index])
    values: list[float] = np.random.Generator(np.random.Philox(key)).random(max(n, 0)).tolist()
    return values


def _uniform_again(seed: int, index: int, at: int) -> float:
    """One more such number, for the sample's token at that place."""
    import numpy as np

    return float(np.random.Generator(np.random.Philox(np.random.SeedSequence([seed % 2**63, index, at + 1]))).random())


def _configured_ends(model: Any) -> list[int]:
    """The ids at which the checkpoint itself says that generation ends."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
