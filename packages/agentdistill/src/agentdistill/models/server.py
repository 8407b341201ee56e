"""Requests to OpenAI-compatible servers: retries, what a failure means, what a reply says. Servers differ widely, and
nothing here trusts them."""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from agentdistill.errors import InfrastructureError, ModelError, RefusedError
from agentdistill.models import cut_at_stop
from agentdistill.types import Request, Sample, StopReason

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``tries`` of one request at most, within ``patience_s`` of its first. Waits double from ``first_wait_s``.

    A server that says when to come back (Retry-After) is waited for, and that does not use up a try; only, it is not
    asked again sooner than after the first wait, whatever it says.
    """

    tries: int = 4
    patience_s: float = 600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


class Passing(Exception):
    """A failure that may pass. ``what`` completes "endpoint http://… "; ``wait_s`` is the server's own wish."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.wait_s = wait_s


async def retrying(policy: RetryPolicy, label: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of ``attempt``, called again as long as it raises Passing and the policy allows.

    Raises InfrastructureError saying what failed last and how often it was tried.
    """
    started = time.monotonic()
    n_calls = n_counted = 0
    while True:
        n_calls += 1
        try:
            return await attempt()
        except Passing as fault:
            n_counted += fault.wait_s is None
            wait_s = max(fault.wait_s or 0.0, _backoff(policy, max(1, n_counted)))
            too_late = time.monotonic() + wait_s - started > policy.patience_s
            if (n_counted >= policy.tries and fault.wait_s is None) or too_late:
                tries = "1 try" if n_calls == 1 else f"{n_calls} tries"
                asked = f"; it asks to wait {fault.wait_s:.0f} s" if too_late and fault.wait_s else ""
                message = f"{label} {fault.what} ({tries}{asked})"
                raise InfrastructureError(message, retry_after_s=fault.wait_s) from fault
        await asyncio.sleep(wait_s)


def _backoff(policy: RetryPolicy, n_failed: int) -> float:
    """Exponential, with up to half of it taken off by chance, so that many clients do not come back together."""
    full: float = min(policy.longest_wait_s, policy.first_wait_s * 2.0 ** min(n_failed - 1, 60))
    return full * (1 - 0.5 * random.random())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a reply's Retry-After (or retry-after-ms) asks to wait; None where it asks nothing sensible."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            wait = float(value) * unit
        except ValueError:
            continue
        if math.isfinite(wait) and wait >= 0:
            return wait
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None


# --- one request ------------------------------------------------------------------------------------------------------


_CONTENT = re.compile(
    r"content.?(?:filter|policy|policies|moderation|management|exists.?risk|violat)|moderat|flagged|guardrail|safety"
    r"|data.?inspection|inappropriate|harmful|usage (?:policy|policies|guidelines)|responsible.?ai|jailbreak",
    re.I,
)
_FIREWALL = re.compile(r"request (?:was |has been )?blocked|been blocked|\bWAF\b|firewall", re.I)
_NO_CREDIT = re.compile(r"insufficient[ _](?:quota|balance|credit|funds)|credit balance|no credit|arrearage", re.I)
_NO_KEY = re.compile(r"(?:invalid|incorrect|missing)[ _](?:api|auth\w*)[ _-]?(?:key|token)|api[ _]key not valid", re.I)


class TooLong(Exception):
    """The prompt, or the prompt and what may follow, does not fit. ``room`` is how many new tokens would, if told."""

    def __init__(self, room: int | None) -> None:
        super().__init__(f"no room for the prompt and {room} new tokens")
        self.room = room


async def post(
    client: Any, label: str, path: str, body: Mapping[str, Any], model: str, key_variable: str | None
) -> Any:
    """The decoded JSON object a POST answers with.

    Raises Passing for what may pass, TooLong for a prompt without room, RefusedError for a conversation or a form of
    request that the server does not take, ModelError for what no request will get past: the key, the credit, the model.
    """
    import httpx2
    import openai

    try:
        response = await client.post(path, body=dict(body), cast_to=httpx2.Response)
    except openai.APITimeoutError as e:
        raise Passing("did not answer in time") from e
    except openai.APIConnectionError as e:
        raise Passing(_connection_fault(e)) from e
    except openai.NotFoundError as e:
        raise await _not_found(client, label, path, model, _message(e.body)) from e
    except openai.APIStatusError as e:
        wait_s = retry_after(e.response.headers)
        raise _status_fault(e.status_code, e.body, e.code, label, key_variable, wait_s) from e
    data = _decoded(response.text)
    if "error" in data and "choices" not in data:  # some proxies report their failures with status 200
        raise _hidden_fault(data, label, key_variable)
    return data


def _decoded(text: str) -> Any:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as e:
        shown = " ".join(text[:60].split())
        raise Passing(f"gave a reply that is not JSON ({shown!r})") from e
    if not isinstance(data, dict):
        raise Passing("gave a reply that is not a JSON object")
    return data


def _connection_fault(error: BaseException) -> str:
    seen: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(seen) < 8:
        seen.append(f"{type(cause).__name__} {cause}".lower())
        cause = cause.__cause__ or cause.__context__
    text = " ".join(seen)
    if "name or service not known" in text or "nodename" in text or "name resolution" in text or "getaddrinfo" in text:
        return "cannot be found (no such host)"
    if "refused" in text or "all connection attempts failed" in text:
        return "refused the connection"
    if "certificate" in text or "ssl" in text:
        return "has a certificate that cannot be verified"
    return "dropped the connection"


def _status_fault(
    status: int, body: Any, code: object, label: str, key_variable: str | None, wait_s: float | None = None
) -> Exception:
    """What an error status means. A 4xx that no other request need meet is one conversation's: RefusedError."""
    message = _message(body)
    told = f"{code or ''} {message}"
    if is_too_long(status, _words(body), str(code or "")):
        return TooLong(room(_words(body)))
    if status == 402 or _NO_CREDIT.search(told):
        return ModelError(f"{label} says that the account has no credit left ({status}: {message})")
    refused = RefusedError(f"{label} refused the request ({status}: {message})")
    if status == 403 and (_CONTENT.search(told) or _FIREWALL.search(told)):
        return refused
    if status in (401, 403) or (status == 400 and _NO_KEY.search(told)):
        way = f"set the environment variable {key_variable}" if key_variable else 'name its variable: api_key_env = "…"'
        return ModelError(f"{label} refused the key ({status}); {way}")
    if status in (408, 409, 421, 424, 425, 429, 498, 499) or status >= 500:
        return Passing(f"answered {status} ({message})", wait_s)
    return refused


def _hidden_fault(data: Mapping[str, Any], label: str, key_variable: str | None) -> Exception:
    """An error with status 200: the status that it ought to have may stand in its code."""
    error = data["error"]
    code = str(error.get("code") or "") if isinstance(error, Mapping) else ""
    status = int(code) if re.fullmatch(r"[45]\d\d", code) else 0
    if status not in (0, 404):
        return _status_fault(status, data, None, label, key_variable)
    told = f"{code} {_words(data)}"
    if _TOO_LONG.search(told) or _CONTENT.search(told):
        return _status_fault(400, data, code, label, key_variable)
    return Passing(f"answered with an error: {_message(data)}")


async def _not_found(client: Any, label: str, path: str, model: str, message: str) -> ModelError:
    """What is not there: the model, if the server's own list lacks it, or else the path."""
    import httpx2
    import openai

    try:
        listed = _decoded((await client.get("/models", cast_to=httpx2.Response)).text)
        names = [str(m["id"]) for m in listed["data"]]
    except (openai.OpenAIError, Passing, KeyError, TypeError):
        return ModelError(f"{label} has no {path}, or no model {model!r} (404: {message}); does the url end in /v1?")
    if model in names:
        return ModelError(f"{label} has no {path} (404: {message})")
    return ModelError(f"{label} has no model {model!r}; it has: {', '.join(names[:8]) or 'none'}")


def _message(body: Any) -> str:
    """The server's own words in one short line, wherever it puts them."""
    line = _words(body)
    return line if len(line) <= 200 else line[:200] + "…"


def _words(body: Any) -> str:
    for _ in range(3):
        if isinstance(body, Mapping):
            body = body.get("error") or body.get("message") or body.get("detail") or body.get("msg") or json.dumps(body)
        if isinstance(body, list) and body:
            body = body[0]
    text = re.sub(r"</?[A-Za-z!][^>]*>", " ", str(body)) if body is not None else "no reason given"
    return " ".join(text.split())


# --- prompts that do not fit ------------------------------------------------------------------------------------------
#
# Servers word it differently and few give a code. Recognised are the known codes, words for an exceeded context, and
# an amount of prompt, input or messages that is said to be over some limit. A refusal of a parameter (max_tokens above
# what the model may write, a temperature) is not recognised: it is a mistake in the recipe.

_NUMBER = r"\(?(\d[\d,]*)(?:\.0)?\)?"
_WHAT = r"prompt|inputs?|messages?|conversation|context|sequence|request|requested tokens?|history|text"
_OVER = "|".join(
    (
        r"exceed\w*|too (?:long|large|many|big)|(?:longer|larger|greater|more|bigger) than|over the (?:limit|maximum)",
        r"must (?:be|have) (?:<=|less|fewer|at most|no more|smaller|shorter|under)|at most \d",
        r"(?:should|can|may|must)(?:not| not|n't) (?:be (?:longer|larger|greater|more)|exceed)",
        r"(?:should|must) be (?:in|within|between|\[)|only supports? |limit (?:is|of)|is not possible",
        r"(?:do|does|did|will|would)(?:n't| not) fit|only \(?\d[\d,]{2,} are|[<>]=? ?\(?\d[\d,]{2,}|over \d[\d,]{2,}",
        r"(?:maximum|max)[ _](?:prompt|input|sequence)[ _]length",
    )
)
_TOO_LONG = re.compile(
    "|".join(
        (
            r"context.?(?:length|window|size|limit|overflow)|when context the overflows",
            r"(?:exceed|maximum|max|length)\w* (?:the )?(?:model(?:'s)? )?context",
            r"max_model_len|session_len|max_seq_len|max_input_(?:len|tokens)|n_ctx",
            r"(?:model )?token limit\b(?!.*\bper )",
            r"(?:maximum|max)[ _](?:prompt|input)[ _]length (?:is|of)|tokens?_limit_(?:reached|exceeded)",
            r"prompt_too_long|input_too_long|request_too_large|input_length_exceed",
            r"reduce the (?:length|size|number) of (?:the |your )?"
            r"(?:input|prompt|message|text|token|conversation|history)",
            rf"\b(?:{_WHAT})\b(?:[^.;]|\.(?=\S)){{0,80}}?(?<![\w.])(?:{_OVER})",
            r"\b(?:too many|number of|count of|total) (?:input |prompt |requested )?tokens\b"
            rf".{{0,60}}?\b(?:{_OVER}|input|prompt)",
            rf"(?:`inputs` tokens|input token count)\b.{{0,60}}?\b(?:{_OVER})",
            r"(?:prompt|输入|上下文|内容).{0,12}(?:超长|过长|超过|超出)",
        )
    ),
    re.I,
)
# A parameter is refused, not the prompt: its name opens the complaint and no context or prompt is named with it.
_PARAMETER = re.compile(
    r"^\W*(?:(?:invalid|unsupported|bad|unprocessable)\w*\W+(?:input|request|value|parameter|argument|validation|error"
    r"|for|entity)*\W*)*(?:(?:the |value |parameter |for )*)\W*(?:max_\w*tokens|max_completion_tokens|temperature|top_p"
    r"|top_k|min_p|stop|seed|n|logprobs|top_logprobs|user|tools?|functions?|metadata|\w+_penalty|logit_bias)\b"
    r"(?!.*\b(?:context|prompt|input length|input tokens|in the messages))",
    re.I | re.S,
)
_OUTPUT = re.compile(
    r"(?:supports?|allows?|limit\w*|maximum|max)\b[^.;]{0,40}\b(?:completion|output|new|generated) tokens",
    re.I,
)
_CEILING = re.compile(r"maximum value for .?max_", re.I)
_INPUT = re.compile(r"context|prompt|inputs?\b[^.;]{0,20}token|in the messages", re.I)
_RATE = re.compile(  # limits of other things than tokens
    r"\bper[ _-]?(?:minute|hour|day|second|min)\b|\b[TR]P[MD]\b|rate.?limit|budget|quota|spend|time.?out"
    r"|\b(?:too many|number of|limit of|at most \d+|most) (?:images?|tools?|files?|functions?)\b",
    re.I,
)
_ONE_REQUEST = re.compile(
    r"request too large|requested \d[\d,]* tokens.{0,40}reduce|must be reduced in order to run", re.I
)
_LIMITS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"\d \+ \d+ > ?{_NUMBER}",
        rf"(?:maximum |max )?context (?:length|window|size|limit)(?: limit)? ?(?:is|of|=|:)? ?(?:only )?{_NUMBER}",
        rf"context (?:length|window|size|limit)\W{{1,3}}{_NUMBER}",
        rf"max_model_len\D{{0,20}}{_NUMBER}",
        rf"must be <= ?{_NUMBER}",
        rf"should not exceed \w+ ?{_NUMBER}",
        rf"{_NUMBER} maximum context length",
        rf"session_len\D{{0,8}}{_NUMBER}",
        rf"limit is {_NUMBER}",
    )
)
_PROMPTS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"{_NUMBER} (?:input tokens|`inputs` tokens)",
        rf"{_NUMBER} (?:tokens )?(?:in|from|of) (?:the |your )?(?:input )?(?:messages|prompt|(?:text )?input)",
        rf"prompt (?:length|contains|has) ?{_NUMBER}",
        rf"{_NUMBER} \+ \d+ > ?\d",
        rf"current length is {_NUMBER}",
    )
)


def is_too_long(status: int, message: str, code: str = "") -> bool:
    """Whether a refusal with that status (0 where there was none) is about a prompt that does not fit."""
    if status == 413 or _ONE_REQUEST.search(message):
        return True
    text = f"{message} {code}"
    if status in (401, 402, 403, 404, 429) or _RATE.search(text):
        return False
    if (
        _PARAMETER.search(message)
        or _CEILING.search(message)
        or (_OUTPUT.search(message) and not _INPUT.search(message))
    ):
        return False
    return _TOO_LONG.search(text) is not None


def room(message: str) -> int | None:
    """How many new tokens fit behind the prompt, by the numbers in the refusal; None where it does not say.

    Zero or less where the prompt alone is over the limit.
    """
    limit, prompt = _first(_LIMITS, message), _first(_PROMPTS, message)
    return None if limit is None or prompt is None else limit - prompt


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> int | None:
    found = next((m for p in patterns if (m := p.search(message))), None)
    return None if found is None else int(found[1].replace(",", ""))


# --- what a reply says ------------------------------------------------------------------------------------------------


_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "reasoning_details", "thinking", "thinking_blocks")
_OFF = "turn that parser of the server off"
# Why a choice ended, in the words of OpenAI, Mistral, Gemini, Anthropic, Cohere, DeepSeek, Zhipu, vLLM and SGLang.
_CUT = re.compile(r"length|max_?(?:output_?|new_?)?tokens|context_window|limit", re.IGNORECASE)
_FILTERED = re.compile(
    r"content_?filter|guardrail|safety|sensitive|prohibited|blocklist|recitation|refus|spii", re.IGNORECASE
)
_FAILED = re.compile(r"\A(?:\w*_)?(?:error|abort\w*|timeout|insufficient_system_resource|cancelled)\Z", re.IGNORECASE)


def samples_of(reply: Mapping[str, Any], request: Request, *, echoes: bool) -> list[Sample]:
    """The samples_of of a decoded reply.

    Raises Passing for a reply that holds none or failed half-way, RefusedError where the server or the model withholds
    an answer to this conversation, InfrastructureError where every choice has its words somewhere else than in its
    content: the next reply would have them there too.
    """
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(c, Mapping) for c in choices):
        if blocked := _blocked(reply):
            raise RefusedError(f"the prompt was blocked: {blocked}")
        raise Passing("gave a reply without choices")
    usage = reply.get("usage") if isinstance(reply.get("usage"), Mapping) else {}
    texts = [_text(c) for c in choices]
    lost = [_withheld(c, t) for c, t in zip(choices, texts, strict=True)]
    if why := next(iter(lost), None) if all(lost) else None:
        raise why
    if failed := next((c["finish_reason"] for c in choices if _ended(c, _FAILED)), None):
        raise Passing(f"ended its reply with {failed!r}")
    counts = _shares(_count(usage, "completion_tokens"), [len(t) for t in texts])
    n_prompt = _count(usage, "prompt_tokens")
    return [
        _sample(choice, text, request, n_prompt, n_new, echoes)
        for choice, text, n_new in zip(choices, texts, counts, strict=True)
    ]


def _blocked(reply: Mapping[str, Any]) -> str | None:
    """Why a prompt was not answered at all, where a reply without choices says so (Gemini, Azure)."""
    feedback = reply.get("promptFeedback") or reply.get("prompt_feedback")
    why = (feedback.get("blockReason") or feedback.get("block_reason")) if isinstance(feedback, Mapping) else None
    if why is None and '"filtered": true' in json.dumps(reply.get("prompt_filter_results")):
        why = "content_filter"
    return None if why is None else str(why)


def _ended(choice: Mapping[str, Any], words: re.Pattern[str]) -> bool:
    return words.search(str(choice.get("finish_reason") or "")) is not None


def _text(choice: Mapping[str, Any]) -> str:
    """The words of a chat choice or of a completion; content in parts is joined, no content is ''."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    if isinstance(content, list | Mapping):
        return "".join(p["text"] for p in _parts(content) if isinstance(p.get("text"), str) and not _is_thought(p))
    if content is None and (isinstance(message, Mapping) or "text" in choice or _ended(choice, _FILTERED)):
        return ""
    if not isinstance(content, str):
        raise Passing("gave a choice without a message")
    return content


def _parts(content: Any) -> list[Mapping[str, Any]]:
    return [p for p in (content if isinstance(content, list) else [content]) if isinstance(p, Mapping)]


def _is_thought(part: Mapping[str, Any]) -> bool:
    return "thinking" in part or str(part.get("type")).startswith(("reasoning", "thinking", "redacted"))


def _withheld(choice: Mapping[str, Any], text: str) -> Exception | None:
    """What is wrong with a choice that ended of itself and says nothing; None where it says something, or was cut off
    in its reasoning."""
    if text.strip() or _ended(choice, _CUT):
        return None
    none = "the model's reply has no content"
    given = choice.get("message")
    message = given if isinstance(given, Mapping) else {}
    refusals = (p["refusal"] for p in _parts(message.get("content")) if p.get("refusal"))
    if refusal := message.get("refusal") or next(refusals, None):
        return RefusedError(f"{none}: the model refused: {' '.join(str(refusal).split())[:200]}")
    if _ended(choice, _FILTERED):
        return RefusedError(f"{none}: the server's content filter withheld it ({choice['finish_reason']})")
    if message.get("tool_calls") or message.get("function_call"):
        return InfrastructureError(f'{none}: it is a tool call, in "tool_calls"; {_OFF}')
    field = next((name for name in _REASONING if message.get(name)), None)
    if field is None and any(_is_thought(p) for p in _parts(message.get("content"))):
        field = "content"
    return InfrastructureError(f'{none}: all its words are in "{field}" as reasoning; {_OFF}') if field else None


def _reasoning(choice: Mapping[str, Any]) -> str:
    """What the server gives apart as the model's reasoning: a field of the message, or parts of its content."""
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return ""
    given = next((words for name in _REASONING if (words := "".join(_reasoning_text(message.get(name))).strip())), "")
    parts = (p for p in _parts(message.get("content")) if _is_thought(p))
    return given or "".join(_reasoning_text(list(parts))).strip()


def _reasoning_text(value: Any) -> Iterator[str]:
    """The text of reasoning, however it is nested: a string, or parts with ``thinking``, ``text`` or ``summary``."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _reasoning_text(item)
    elif isinstance(value, Mapping):
        yield from _reasoning_text(
            next((v for k in ("thinking", "text", "summary", "content") if (v := value.get(k))), None)
        )


def _sample(choice: Mapping[str, Any], text: str, request: Request, n_prompt: int, n_new: int, echoes: bool) -> Sample:
    if echoes and text.startswith(request.prefix):
        text = text[len(request.prefix) :]
    cut = cut_at_stop(text, request.sampling.stop)
    stop = _stop(choice, request) if cut is None else StopReason.STOP_STRING
    ids = _token_ids(choice)
    if stop is StopReason.LENGTH and not text and not n_new:
        n_new = request.sampling.max_new_tokens  # it wrote, but nothing we see (hidden reasoning)
    return Sample(
        text=text if cut is None else cut,
        stop=stop,
        n_prompt_tokens=n_prompt,
        n_new_tokens=n_new if ids is None else len(ids),
        token_ids=None if stop is StopReason.STOP_STRING else ids,
        logprob=_logprob(choice),
        reasoning=_reasoning(choice),
    )


def _stop(choice: Mapping[str, Any], request: Request) -> StopReason:
    if _ended(choice, _CUT) or _ended(choice, _FILTERED):
        return StopReason.LENGTH  # a filter that sets in half-way cuts off, too
    # vLLM and SGLang name the string that ended a turn; where nobody does, the model ended it as far as we know.
    named = choice.get("stop_reason", choice.get("matched_stop"))
    return StopReason.STOP_STRING if named in request.sampling.stop else StopReason.END_TURN


def _count(usage: Any, name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers in proportion to ``weights`` that add up to ``total``: servers count tokens of all choices."""
    whole, done, out = sum(weights), 0, []
    for i, _ in enumerate(weights):
        upto = total * sum(weights[: i + 1]) // whole if whole else total * (i + 1) // len(weights)
        out.append(upto - done)
        done = upto
    return out


def _token_ids(choice: Mapping[str, Any]) -> tuple[int, ...] | None:
    ids = choice.get("token_ids")
    if isinstance(ids, list) and ids and all(isinstance(i, int) for i in ids):
        return tuple(ids)
    return None


def _logprob(choice: Mapping[str, Any]) -> float | None:
    """The log probability of the whole sample, in nats: the sum over its tokens (chat or completion format)."""
    told = choice.get("logprobs")
    if not isinstance(told, Mapping):
        return None
    content = told.get("content")
    if isinstance(content, list):
        values = [c.get("logprob") for c in content if isinstance(c, Mapping)]
    else:
        values = told.get("token_logprobs") or []
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    return sum(numbers) if numbers else None
