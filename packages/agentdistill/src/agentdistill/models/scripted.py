"""A model that says what it is told: for tests, examples and dry runs. No weights, no network, no chance."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from agentdistill.errors import ModelError
from agentdistill.models import OUT_OF_CONTEXT, cut_at_stop, no_forms
from agentdistill.types import Request, Sample, StopReason

Reply: TypeAlias = str | Sample | Exception
"""What to say: a text, a finished sample, or an exception to raise in its place."""
Script: TypeAlias = Callable[..., "Reply | Awaitable[Reply]"]
Replies: TypeAlias = Script | Reply | Sequence[Reply] | Mapping[str, Reply | Sequence[Reply]]


class Scripted:
    """A model whose replies are given.

    ``replies`` is one of
      - a function of the request, or of the request and the place of the sample (0 … n-1), which may be async;
      - one reply, always given;
      - a list, used up in order, one item a sample: the episode's first reply, its second, …;
      - a mapping from question to a reply or a list of replies: the reply with the index of the turn is given, so that
        it does not matter in which order episodes are run. The question is the longest key that a user message
        contains, the first message that contains one; turns are counted from there.

    Replies are the whole assistant turn: where a request has a prefix and the reply begins with it, the rest is
    returned. They are cut at a stop string and at ``max_new_tokens`` words; tokens are counted as words.
    """

    def __init__(
        self,
        replies: Replies,
        *,
        name: str = "scripted",
        batch_size: int = 16,
        lockstep: bool = False,
        context_length: int | None = None,
    ) -> None:
        self.name = name
        self.batch_size = batch_size
        self.lockstep = lockstep
        self.context_length = context_length
        self.requests: list[Request] = []
        self._say = _script(replies)

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """As :meth:`agentdistill.models.Model.generate`. Raises what the script gives, and ModelError at its end."""
        return [await self._answer(r) for r in requests]

    async def _answer(self, request: Request) -> list[Sample]:
        if request.form is not None:
            raise no_forms(f'the model "{self.name}" says what it is told and')
        self.requests.append(request)
        n_prompt = sum(len(m.content.split()) for m in request.messages) + len(request.prefix.split())
        if self.context_length is not None and n_prompt >= self.context_length:
            return [OUT_OF_CONTEXT] * request.n
        samples = []
        for i in range(request.first, request.first + request.n):
            said = self._say(request, i)
            reply = await said if inspect.isawaitable(said) else said
            if isinstance(reply, Exception):
                raise reply
            samples.append(reply if isinstance(reply, Sample) else _sample(reply, request, n_prompt))
        return samples

    async def aclose(self) -> None:
        """Nothing to let go of."""


def _script(replies: Replies) -> Script:
    if isinstance(replies, str | Sample | Exception):
        always = replies
        return lambda request, i: always
    if callable(replies):
        say = replies
        needed = [p for p in inspect.signature(say).parameters.values() if p.default is p.empty]
        return say if len(needed) > 1 else lambda request, i: say(request)
    if isinstance(replies, Mapping):
        return _by_question(replies)
    rest = iter(replies)

    def following(request: Request, i: int) -> Reply:
        try:
            return next(rest)
        except StopIteration:
            raise ModelError(f"the script is at its end: its {len(replies)} replies are used up") from None

    return following


def _by_question(replies: Mapping[str, Reply | Sequence[Reply]]) -> Script:
    keys = sorted(replies, key=len, reverse=True)

    def by_question(request: Request, i: int) -> Reply:
        asked = [(t, m.content) for t, m in enumerate(request.messages) if m.role == "user"]
        found = next(((t, k) for t, content in asked for k in keys if k in content), None)
        if found is None:
            raise ModelError(f"the script has no reply to {asked[0][1][-80:] if asked else ''!r}")
        start, key = found
        turns = replies[key]
        if isinstance(turns, str | Sample | Exception):
            return turns
        turn = sum(m.role == "assistant" for m in request.messages[start:])
        if turn >= len(turns):
            raise ModelError(f"the script for {key!r} is at its end: it has {len(turns)} replies")
        return turns[turn]

    return by_question


def _sample(reply: str, request: Request, n_prompt: int) -> Sample:
    text = reply[len(request.prefix) :] if request.prefix and reply.startswith(request.prefix) else reply
    cut = cut_at_stop(text, request.sampling.stop)
    text, stop = (text, StopReason.END_TURN) if cut is None else (cut, StopReason.STOP_STRING)
    words = text.split()
    if len(words) > request.sampling.max_new_tokens:
        # What was written up to and including the last word that fits, its spacing untouched.
        end = 0
        for word in words[: request.sampling.max_new_tokens]:
            end = text.index(word, end) + len(word)
        text, stop = text[:end], StopReason.LENGTH
    return Sample(text, stop, n_prompt_tokens=n_prompt, n_new_tokens=len(text.split()))


def load(
    *,
    replies: Replies,
    name: str = "scripted",
    batch_size: int = 16,
    lockstep: bool = False,
    context_length: int | None = None,
) -> Scripted:
    """The scripted model, by the name ``scripted``."""
    return Scripted(replies, name=name, batch_size=batch_size, lockstep=lockstep, context_length=context_length)
