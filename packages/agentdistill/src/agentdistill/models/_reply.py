"""What a server's reply says: choices, stop reasons, token counts. Servers differ; nothing here trusts them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentdistill.errors import InfrastructureError, RefusedError
from agentdistill.models._retry import Passing
from agentdistill.types import Request, Sample, StopReason

_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "reasoning_details", "thinking", "thinking_blocks")
_OFF = "turn that parser of the server off"
# Why a choice ended, in the words of OpenAI, Mistral, Gemini, Anthropic, Cohere, DeepSeek, Zhipu, vLLM and SGLang.
_CUT = re.compile(r"length|max_?(?:output_?|new_?)?tokens|context_window|limit", re.IGNORECASE)
_FILTERED = re.compile(
    r"content_?filter|guardrail|safety|sensitive|prohibited|blocklist|recitation|refus|spii", re.IGNORECASE
)
_FAILED = re.compile(r"\A(?:\w*_)?(?:error|abort\w*|timeout|insufficient_system_resource|cancelled)\Z", re.IGNORECASE)


def samples(reply: Mapping[str, Any], request: Request, *, echoes: bool) -> list[Sample]:
    """The samples of a decoded reply.

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
    given = next((words for name in _REASONING if (words := "".join(_words(message.get(name))).strip())), "")
    parts = (p for p in _parts(message.get("content")) if _is_thought(p))
    return given or "".join(_words(list(parts))).strip()


def _words(value: Any) -> Iterator[str]:
    """The text of reasoning, however it is nested: a string, or parts with ``thinking``, ``text`` or ``summary``."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif isinstance(value, Mapping):
        yield from _words(next((v for k in ("thinking", "text", "summary", "content") if (v := value.get(k))), None))


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


def cut_at_stop(text: str, stops: Sequence[str]) -> str | None:
    """``text`` up to the first stop string in it; None where it holds none."""
    ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else None


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
