"""Any OpenAI-compatible server as a model: vLLM, SGLang, llama.cpp, Ollama, transformers serve, or a hosted one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

from agentdistill.errors import ModelError, RefusedError
from agentdistill.models import OUT_OF_CONTEXT
from agentdistill.models.server import RetryPolicy, TooLong, post, retrying, samples_of
from agentdistill.types import Message, Request, Sample, Sampling, Usage

GrammarMode = Literal["structured_outputs", "grammar", "guided_grammar", "ebnf"]
GRAMMARS: tuple[GrammarMode, ...] = get_args(GrammarMode)
_WRITTEN = "zebra-71"
PROBE_GRAMMAR = f'root ::= "{_WRITTEN}"'
"""A grammar of one word that no model would reply with by itself."""
PrefixMode = Literal["continue_final_message", "prefill", "prefix_flag", "completions", "none"]
MODES: tuple[PrefixMode, ...] = get_args(PrefixMode)
COMPLETIONS = 'prefix_mode = "completions" with tokenizer = "the model\'s folder or name"'
HELP = (
    'set prefix_mode to "continue_final_message" (vLLM, SGLang), "prefill" (llama.cpp, Ollama) or "prefix_flag" '
    f"(DeepSeek, Mistral), or {COMPLETIONS} (any server with /v1/completions)"
)

# A reply that continues begins in the middle of a word. One that starts over, or begins a new turn, does not; and as no
# model would write the first words of the prefix by itself, a reply that repeats it whole is a server's echo.
_SENTENCE = "The quick brown fox jumps over the lazy dog."
PROBE_PREFIX = "Zebra 71 said: The quick brown fox jum"
PROBE_REST = "ps over"
PROBE = Request(
    messages=(Message("user", f"Repeat this sentence word for word, once: {_SENTENCE}"),),
    sampling=Sampling(max_new_tokens=16),
    prefix=PROBE_PREFIX,
)


def continues(text: str) -> bool:
    """Whether the reply to the probe, without an echo of the prefix, goes on with it."""
    return text.startswith(PROBE_REST[:2])


def chat_body(messages: Sequence[Message], prefix: str, mode: PrefixMode) -> dict[str, Any]:
    """The part of a chat request that holds the conversation, in the mode's own form."""
    turns: list[dict[str, Any]] = [{"role": m.role, "content": m.content} for m in messages]
    if not prefix:
        return {"messages": turns}
    turn: dict[str, Any] = {"role": "assistant", "content": prefix}
    if mode == "prefix_flag":
        turn["prefix"] = True
    body: dict[str, Any] = {"messages": [*turns, turn]}
    if mode == "continue_final_message":
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    return body


def no_mode(label: str, wanted: str, tried: Mapping[PrefixMode, str]) -> str:
    """What to say of a server on which every mode that was tried came to nothing."""
    how = "; ".join(f"{mode}: {outcome}" for mode, outcome in tried.items())
    what = f"{label} does not continue an assistant prefix ({how})"
    if wanted != "auto":
        return f"{what}; {HELP}; or, if the model is only too weak for this check, set check_prefix = false"
    return (
        f"{what}; {COMPLETIONS} works with any server that has /v1/completions; or, if the model is only too weak for "
        "this check, set prefix_mode to the server's own way and check_prefix = false"
    )


class LocalTemplate:
    """A tokenizer on this machine, rendering conversations for a server that is only asked to complete text.

    Heavy: loads a tokenizer. ``source`` is a folder or a hub name.
    """

    def __init__(self, source: str) -> None:
        from transformers import AutoTokenizer

        from agentdistill.models.chat import ChatFormat

        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
        except (OSError, ValueError) as e:
            raise ModelError(f"tokenizer {source!r} cannot be loaded ({str(e).splitlines()[0]})") from e
        self._tokenizer = tokenizer
        self._format = ChatFormat(tokenizer)

    def ids(self, messages: Sequence[Message], prefix: str) -> list[int]:
        """The prompt as token ids, exactly as a local model would be given it."""
        return self._format.prompt_ids(messages, prefix)

    def text(self, messages: Sequence[Message], prefix: str) -> str:
        """The prompt as text, for servers that take no ids; without the start marker they would add again.

        Unlike ids, text cannot keep a control token that a user wrote apart from the template's own.
        """
        ids = self.ids(messages, prefix)
        text = str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        bos = self._tokenizer.bos_token
        adds_bos = bos and self._tokenizer("a").input_ids[:1] == [self._tokenizer.bos_token_id]
        return text.removeprefix(bos) if adds_bos else text


T = TypeVar("T")
HOW_ONLY = frozenset(
    {
        "concurrency", "timeout_s", "tries", "patience_s", "api_key_env", "check_prefix", "context_length", "price_in",
        "price_out", "extra.user", "extra.metadata", "extra.store", "extra.service_tier", "extra.prompt_cache_key",
        "extra.prompt_cache_retention", "extra.safety_identifier", "extra.priority", "extra.request_id",
        "extra.session_id", "extra.cache_salt", "extra.stream_options", "extra.usage",
    }
)  # fmt: skip
"""Settings that no reply depends on."""
_SEED_STEP = 0x9E3779B1  # an odd step far from small numbers: the seeds of one request's samples meet no other's


class Endpoint:
    """A model behind an OpenAI-compatible server.

    ``url`` ends in ``/v1`` for most servers; ``name`` is the server's name for the model. The key is read from the
    environment variable ``api_key_env`` (by default OPENAI_API_KEY at openai.com and none anywhere else, so that no
    other server is told that key) and kept nowhere else. At most ``concurrency`` requests are under way at once;
    one that fails is tried again, ``tries`` times within ``patience_s`` at most, and waits as long as the server asks.
    ``prefix_mode`` says how the server continues a given assistant prefix; ``"auto"`` finds out once, when the first
    prefix is used, by a sentence to be continued in the middle of a word (``check_prefix = false`` leaves that out);
    ``tokenizer`` (a folder or hub name) is needed for ``"completions"``. ``logprobs`` and ``token_ids`` ask for what
    not every server gives. ``extra`` goes into every request body as it is. Prices are per million tokens.
    ``grammar_mode`` is the field that the server takes a grammar in, for steps that have a form; ``"auto"`` finds out
    once, by a grammar of one word.
    """

    lockstep = False
    takes_forms = True

    def __init__(
        self,
        url: str,
        name: str,
        *,
        api_key_env: str | None = None,
        concurrency: int = 16,
        timeout_s: float = 300.0,
        tries: int = 4,
        patience_s: float = 600.0,
        prefix_mode: PrefixMode | Literal["auto"] = "auto",
        check_prefix: bool = True,
        tokenizer: str | None = None,
        context_length: int | None = None,
        logprobs: bool = False,
        token_ids: bool = False,
        send_seed: bool = True,
        grammar_mode: GrammarMode | Literal["auto"] = "auto",
        extra: Mapping[str, Any] | None = None,
        price_in: float | None = None,
        price_out: float | None = None,
    ) -> None:
        _check(url, concurrency, prefix_mode, tokenizer)
        if grammar_mode not in ("auto", *GRAMMARS):
            raise ModelError(f'endpoint grammar_mode "{grammar_mode}" is not one of auto, {", ".join(GRAMMARS)}')
        self.name = name
        self.url = url.rstrip("/")
        self.batch_size = concurrency
        self.context_length = context_length
        self.price_in, self.price_out = price_in, price_out
        self.usage = Usage()
        is_openai = (urlsplit(url).hostname or "").endswith(".openai.com")
        self._key_variable = api_key_env or ("OPENAI_API_KEY" if is_openai else None)
        self._timeout_s = timeout_s
        self._policy = RetryPolicy(tries=tries, patience_s=patience_s)
        self._wanted_mode = prefix_mode
        self._check_prefix = check_prefix
        self._tokenizer = tokenizer
        self._options: dict[str, Any] = dict(extra or {})
        if logprobs:
            self._options.setdefault("logprobs", True)
        if token_ids:
            self._options.setdefault("return_token_ids", True)
        self._send_seed = send_seed
        # What this server turned out to be like.
        self._mode: PrefixMode | None = prefix_mode if prefix_mode in ("none", "completions") else None  # type: ignore[assignment]
        self._grammar: GrammarMode | None = None if grammar_mode == "auto" else grammar_mode
        self._echoes = False
        self._honours_n = True
        self._takes_ids = True
        self._length_field = "max_tokens"
        self._template: LocalTemplate | None = None
        # Of the event loop that is running: connections and locks cannot move to another.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._slots = asyncio.Semaphore(concurrency)
        self._probing = asyncio.Lock()
        self.label = f"endpoint {self.url}"

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r} at {self.url})"

    def cost(self, usage: Usage | None = None) -> float | None:
        """The price of ``usage``, by default of everything asked so far; None where no price was given."""
        if self.price_in is None and self.price_out is None:
            return None
        spent = usage or self.usage
        return (spent.n_prompt_tokens * (self.price_in or 0) + spent.n_new_tokens * (self.price_out or 0)) / 1e6

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """As :meth:`agentdistill.models.Model.generate`; may be called by many tasks at once."""
        self._enter_loop()
        if any(r.prefix for r in requests) and self._mode is None:
            await self._find_mode()
        if any(r.form for r in requests) and self._grammar is None:
            await self._find_grammar()
        return await _together([self._samples(r) for r in requests])

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The decoded reply to a request of another form than :meth:`generate` makes, sent and tried again as its are.

        Raises InfrastructureError, RefusedError for what the server does not take, and other ModelErrors.
        """
        self._enter_loop()
        whole = {"model": self.name, **self._options, **body}

        async def attempt() -> Any:
            try:
                return await post(self._client, self.label, path, whole, self.name, self._key_variable)
            except TooLong as e:
                raise RefusedError(f"{self.label}: {e}") from e

        async with self._slots:
            return await retrying(self._policy, self.label, attempt)

    async def aclose(self) -> None:
        """Close the connections. Calling it twice is harmless, and a later ``generate`` opens new ones."""
        client, self._client = self._client, None
        loop, self._loop = self._loop, None
        if client is not None and loop is asyncio.get_running_loop():
            await client.close()

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        self._loop = loop
        self._slots, self._probing = asyncio.Semaphore(self.batch_size), asyncio.Lock()
        self._client = AsyncOpenAI(
            base_url=self.url,
            api_key=os.environ.get(self._key_variable or "") or "none",
            timeout=self._timeout_s,
            max_retries=0,
            # Its own would, once it is collected, be closed in whatever loop is running then.
            http_client=DefaultAsyncHttpxClient(timeout=self._timeout_s),
        )

    # --- samples ----------------------------------------------------------------------------------------------------

    async def _samples(self, request: Request) -> list[Sample]:
        mode = self._mode or "none"
        if request.prefix and mode == "none":
            raise ModelError(f'{self.label} is asked to continue a prefix, but prefix_mode is "none"; {HELP}')
        try:
            found = await self._some(request, mode) if self._honours_n or request.n == 1 else []
        except RefusedError:
            if request.n == 1:
                raise
            found = []  # llama.cpp, for one, refuses n > 1
        if len(found) < request.n:
            rest = [self._some(_one(request, i), mode) for i in range(len(found), request.n)]
            found += [s for samples in await _together(rest) for s in samples[:1]]
            self._honours_n = self._honours_n and request.n == 1  # only now: what was refused may be the conversation
        return found[: request.n]

    async def _some(self, request: Request, mode: PrefixMode) -> list[Sample]:
        """The samples of one reply: as many as the request asks for, or as the server likes to give."""
        try:
            return await self._ask(request, mode)
        except TooLong as e:
            room = e.room
        if room is None or not 0 < room < request.sampling.max_new_tokens:
            return [OUT_OF_CONTEXT] * request.n
        # The prompt fits, but not with all the new tokens we allowed: then the context is the limit.
        shorter = replace(request, sampling=replace(request.sampling, max_new_tokens=room))
        try:
            return await self._ask(shorter, mode)
        except TooLong:
            return [OUT_OF_CONTEXT] * request.n

    async def _ask(self, request: Request, mode: PrefixMode) -> list[Sample]:
        completes = mode == "completions" and bool(request.prefix)

        async def attempt() -> list[Sample]:
            path = "/completions" if completes else "/chat/completions"
            body = self._completion(request) if completes else chat_body(request.messages, request.prefix, mode)
            reply = await post(
                self._client, self.label, path, self._settings(request) | body, self.name, self._key_variable
            )
            return samples_of(reply, request, echoes=bool(request.prefix) and self._repeats(request.prefix, mode))

        async with self._slots:
            while True:
                form = self._form
                try:
                    samples = await retrying(self._policy, self.label, attempt)
                    break
                except RefusedError as e:
                    self._adapt(str(e), completes)
                    if form == self._form:  # another request may have changed it already
                        raise
        new = sum(s.n_new_tokens for s in samples)
        self.usage += Usage(n_requests=1, n_prompt_tokens=samples[0].n_prompt_tokens, n_new_tokens=new)
        return samples

    def _settings(self, request: Request) -> dict[str, Any]:
        how = request.sampling
        body = {"model": self.name, "temperature": how.temperature, self._length_field: how.max_new_tokens}
        if how.top_p < 1:
            body["top_p"] = how.top_p
        if how.stop:
            body["stop"] = list(how.stop)
        if request.n > 1:
            body["n"] = request.n
        if self._send_seed:
            body["seed"] = _seed(request) if request.first else request.seed
        if request.form is not None and self._grammar is not None:
            from agentdistill.models._grammar import gbnf

            body |= _grammar_field(self._grammar, gbnf(request.form, bool(request.prefix)))
        return body | self._options

    def _completion(self, request: Request) -> dict[str, Any]:
        if self._template is None:
            self._template = LocalTemplate(cast(str, self._tokenizer))
        render = self._template.ids if self._takes_ids else self._template.text
        body: dict[str, Any] = {"prompt": render(request.messages, request.prefix)}
        return body | ({"logprobs": 1} if self._options.get("logprobs") else {})  # a count here, a flag in chat

    @property
    def _form(self) -> tuple[str, bool]:
        return self._length_field, self._takes_ids

    def _adapt(self, refusal: str, completes: bool) -> None:
        """Change what the refusal objects to, if it is a known difference between servers; never back again."""
        if "max_completion_tokens" in refusal:
            self._length_field = "max_completion_tokens"
        elif completes and "prompt" in refusal.lower():
            self._takes_ids = False

    def _repeats(self, prefix: str, mode: PrefixMode) -> bool:
        """Whether a reply that begins with the prefix repeats it: the probe saw it, or, unchecked, it is no chance."""
        if mode == "completions":
            return False
        return self._echoes or (not self._check_prefix and len(prefix) >= 20)

    # --- continuing a prefix ----------------------------------------------------------------------------------------

    async def _find_mode(self) -> None:
        async with self._probing:
            if self._mode is not None:
                return
            if not self._check_prefix and self._wanted_mode != "auto":
                self._mode = self._wanted_mode
                return
            tried: dict[PrefixMode, str] = {}
            for mode in self._candidates():
                outcome = await self._probe(mode)
                if not outcome:
                    self._mode = mode
                    return
                tried[mode] = outcome
        raise ModelError(no_mode(self.label, self._wanted_mode, tried))

    def _candidates(self) -> list[PrefixMode]:
        if self._wanted_mode != "auto":
            return [self._wanted_mode]
        chat: list[PrefixMode] = ["continue_final_message", "prefix_flag", "prefill"]
        return ["completions", *chat] if self._tokenizer else chat

    async def _probe(self, mode: PrefixMode) -> str:
        """Why the mode does not work here; '' if it does."""
        try:
            (sample,) = (await self._some(PROBE, mode))[:1]
        except ModelError as e:
            if not isinstance(e, RefusedError) and mode != "completions":
                raise  # the key or the model is wrong: no mode will help
            return "refused"
        if mode == "completions":
            return ""  # what completes text continues it: there is nothing to find out but that it is there
        echoed = sample.text.startswith(PROBE.prefix)
        rest = sample.text[len(PROBE.prefix) :] if echoed else sample.text
        if not continues(rest):
            return f"began again with {' '.join(rest.split())[:40]!r}"
        self._echoes = echoed
        return ""

    # --- a grammar --------------------------------------------------------------------------------------------------

    async def _find_grammar(self) -> None:
        async with self._probing:
            if self._grammar is not None:
                return
            tried = []
            for mode in GRAMMARS:
                outcome = await self._try_grammar(mode)
                if not outcome:
                    self._grammar = mode
                    return
                tried.append(f"{mode}: {outcome}")
        raise ModelError(f'{self.label} takes no grammar ({"; ".join(tried)}); leave out constrain = "step"')

    async def _try_grammar(self, mode: GrammarMode) -> str:
        """Why the server does not write by a grammar in this field; '' if it does."""

        async def attempt() -> list[Sample]:
            body = self._settings(_GRAMMAR_PROBE) | chat_body(_GRAMMAR_PROBE.messages, "", "none")
            body |= _grammar_field(mode, PROBE_GRAMMAR)
            return samples_of(
                await post(self._client, self.label, "/chat/completions", body, self.name, self._key_variable),
                _GRAMMAR_PROBE,
                echoes=False,
            )

        try:
            async with self._slots:
                [sample] = (await retrying(self._policy, self.label, attempt))[:1]
        except RefusedError:
            return "refused"
        return "" if sample.text.strip() == _WRITTEN else "ignored"


def _grammar_field(mode: GrammarMode, grammar: str) -> dict[str, Any]:
    return {mode: {"grammar": grammar} if mode == "structured_outputs" else grammar}


_GRAMMAR_PROBE = Request((Message("user", "Say hello."),), Sampling(max_new_tokens=16))


def _one(request: Request, i: int) -> Request:
    """The request for its ``i``-th sample alone, with a seed of its own."""
    return replace(request, n=1, first=0, seed=_seed(request, i))


def _seed(request: Request, i: int = 0) -> int:
    """The seed of the request's ``i``-th sample, which depends on its place: samples asked for later are new ones."""
    return (request.seed + (request.first + i) * _SEED_STEP) % 2**31


async def _together(calls: Sequence[Awaitable[T]]) -> list[T]:
    """All results in order; at the first failure the others are called off, and it is raised."""
    tasks = [asyncio.ensure_future(c) for c in calls]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


load = Endpoint
"""The model by the name ``endpoint``: the settings are the class's own."""


def _check(url: str, concurrency: int, prefix_mode: str, tokenizer: str | None) -> None:
    """Raise ModelError for settings that do not fit together."""
    if not url.startswith(("http://", "https://")):
        raise ModelError(f'endpoint url "{url}" does not begin with http:// or https://')
    if prefix_mode != "auto" and prefix_mode not in MODES:
        raise ModelError(f'prefix_mode "{prefix_mode}" is not one of auto, {", ".join(MODES)}')
    if prefix_mode == "completions" and not tokenizer:
        raise ModelError('prefix_mode "completions" needs tokenizer = "the model\'s folder or name"')
    if concurrency < 1:
        raise ModelError(f"concurrency {concurrency} is less than 1")
