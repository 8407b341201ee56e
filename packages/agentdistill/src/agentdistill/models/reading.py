"""What a model makes of tokens that another wrote: their log-probabilities, and the likeliest tokens in their places.

Two kinds of servers tell: those that give the log-probabilities of a prompt (vLLM, in one request), and those that give
them of generated tokens only (llama.cpp: a request a token, its prompt kept from the one before).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agentdistill.errors import ModelError, RefusedError

if TYPE_CHECKING:
    from agentdistill.models.chat import ChatFormat
    from agentdistill.models.endpoint import Endpoint

_FORCED = 100.0  # what OpenAI's protocol allows at most; the log-probabilities given are those without it
_PROBE = 8  # tokens of the first prompt, with which is found out what a server gives


@dataclass(frozen=True, slots=True)
class Reading:
    """One token as a model sees it: its log-probability in nats, None where it was not told, and the likeliest ids in
    its place with theirs, in no order."""

    logprob: float | None
    top: tuple[tuple[int, float], ...]


class Reader(Protocol):
    """A model that reads, with the chat format that its prompts are written in. ``n_at_once`` readings may go on side
    by side."""

    chat: ChatFormat
    n_at_once: int

    async def read(self, ids: Sequence[int], n_last: int) -> list[Reading]:
        """What it makes of the last ``n_last`` of ``ids``. At least one token stands before them.

        Raises InfrastructureError for a fault that another try may pass, ModelError where the model cannot tell.
        """
        ...

    async def aclose(self) -> None:
        """Release connections or weights."""
        ...


class _NotGiven(Exception):
    """The server's reply has no log-probabilities of the kind that was asked for."""


class ServedReader:
    """A model behind a server that gives log-probabilities, and a tokenizer on this machine that spells for it.

    Prompts are sent as ids, so that the server tokenizes nothing. Which of both ways it knows is found out at the first
    reading. Raises ModelError where the endpoint names no tokenizer.
    """

    def __init__(self, endpoint: Endpoint, tokenizer: str | None, top_k: int) -> None:
        from agentdistill.models.chat import ChatFormat
        from agentdistill.models.weights import load_tokenizer

        if not tokenizer:
            raise ModelError(
                f'{endpoint.label}: reading its log-probabilities needs tokenizer = "the model\'s folder or name"'
            )
        self.chat = ChatFormat(load_tokenizer(tokenizer))
        self.n_at_once = endpoint.batch_size
        self._endpoint, self._top_k = endpoint, top_k
        self._way: Callable[[Sequence[int], int], Awaitable[list[Reading]]] | None = None
        self._finding = asyncio.Lock()

    async def read(self, ids: Sequence[int], n_last: int) -> list[Reading]:
        """See :class:`Reader`."""
        async with self._finding:
            if self._way is None:
                self._way = await self._found(ids[:_PROBE])
        try:
            return await self._way(ids, n_last)
        except _NotGiven as e:
            raise ModelError(f"{self._endpoint.label} gave log-probabilities before, and now {e}") from e

    async def aclose(self) -> None:
        """Close the connections."""
        await self._endpoint.aclose()

    async def _found(self, ids: Sequence[int]) -> Callable[[Sequence[int], int], Awaitable[list[Reading]]]:
        tried = []
        for name, way in (("prompt_logprobs (vLLM)", self._whole), ("n_probs (llama.cpp)", self._one_by_one)):
            try:
                await way(ids, 1)
                return way
            except (_NotGiven, RefusedError) as e:
                tried.append(f"{name}: {e}")
        what = f"{self._endpoint.label} gives no log-probabilities to learn from"
        raise ModelError(f"{what} ({'; '.join(tried)})")

    async def _whole(self, ids: Sequence[int], n_last: int) -> list[Reading]:
        """All of them as part of a prompt."""
        choice = await self._choice({"prompt": list(ids), "prompt_logprobs": self._top_k})
        told = choice.get("prompt_logprobs")
        if not isinstance(told, list) or len(told) != len(ids):
            raise _NotGiven("none came with the prompt")
        return [_of_prompt(i, row) for i, row in zip(ids[-n_last:], told[-n_last:], strict=True)]

    async def _one_by_one(self, ids: Sequence[int], n_last: int) -> list[Reading]:
        """Each as what is generated behind those before it."""
        return [await self._next(ids[:i], ids[i]) for i in range(len(ids) - n_last, len(ids))]

    async def _next(self, before: Sequence[int], token: int) -> Reading:
        n, forced = self._top_k, {str(token): _FORCED}
        body = {"prompt": list(before), "logprobs": n, "n_probs": n, "cache_prompt": True, "logit_bias": forced}
        told = (await self._choice(body)).get("logprobs")
        content = told.get("content") if isinstance(told, Mapping) else None
        first = content[0] if isinstance(content, list) and content and isinstance(content[0], Mapping) else {}
        top = first.get("top_logprobs")
        if "id" not in first or not isinstance(top, list) or not all(isinstance(t, Mapping) and "id" in t for t in top):
            raise _NotGiven("none came with ids of tokens")
        found = _finite((t["id"], t.get("logprob")) for t in top)
        own = _finite([(first["id"], first.get("logprob"))]) | found
        return Reading(own.get(token), tuple(found.items()))

    async def _choice(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        reply = await self._endpoint.post("/completions", {"max_tokens": 1, "temperature": 0, **body})
        choices = reply.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            raise _NotGiven("its reply has no choices")
        return choices[0]


def _of_prompt(token: int, row: Any) -> Reading:
    """A place of a prompt, as vLLM tells it: by id, the token itself among them."""
    if not isinstance(row, Mapping):
        raise _NotGiven("a place of the prompt has none")
    found = _finite((int(i), p.get("logprob") if isinstance(p, Mapping) else p) for i, p in row.items())
    return Reading(found.get(token), tuple(found.items()))


def _finite(pairs: Iterable[tuple[Any, Any]]) -> dict[int, float]:
    return {int(i): float(p) for i, p in pairs if isinstance(p, int | float) and math.isfinite(p)}


class LocalReader:
    """Weights in this process. Raises ModelError for what cannot be loaded."""

    n_at_once = 1

    def __init__(
        self,
        path: str,
        top_k: int,
        adapter: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        chat_template: str | None = None,
    ) -> None:
        from agentdistill.models.chat import ChatFormat, read_template
        from agentdistill.models.weights import load_weights

        self._model, tokenizer = load_weights(path, adapter, device, dtype)
        self.chat = ChatFormat(tokenizer, read_template(chat_template))
        self._top_k = top_k

    async def read(self, ids: Sequence[int], n_last: int) -> list[Reading]:
        """See :class:`Reader`."""
        return await asyncio.to_thread(self._read, ids, n_last)

    def _read(self, ids: Sequence[int], n_last: int) -> list[Reading]:
        import torch

        with torch.inference_mode():
            inputs = torch.tensor([ids], device=self._model.device)
            logits = self._model(input_ids=inputs, use_cache=False, logits_to_keep=n_last + 1).logits[0, :-1]
            told = logits.float().log_softmax(-1)
            own = told.gather(1, inputs[0, -n_last:, None]).squeeze(1).tolist()
            top = told.topk(min(self._top_k, told.shape[-1]))
        places = zip(own, top.indices.tolist(), top.values.tolist(), strict=True)
        return [Reading(p, tuple(zip(i, v, strict=True))) for p, i, v in places]

    async def aclose(self) -> None:
        """Release the weights."""
        del self._model
