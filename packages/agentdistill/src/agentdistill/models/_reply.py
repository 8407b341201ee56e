"""What a server's reply says: choices, stop reasons, token counts. Servers differ; nothing here trusts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentdistill.errors import InfrastructureError
from agentdistill.models._retry import Passing
from agentdistill.types import Request, Sample, StopReason

_REASONING = ("reasoning_content", "reasoning")
_OFF = "turn that parser of the server off"


def samples(reply: Mapping[str, Any], request: Request, *, echoes: bool) -> list[Sample]:
    """The samples of a decoded reply.

    Raises Passing for a reply that holds none, InfrastructureError where every choice has its words somewhere else
    than in its content: the next reply would have them there too.
    """
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(c, Mapping) for c in choices):
        raise Passing("gave a reply without choices")
    usage = reply.get("usage") if isinstance(reply.get("usage"), Mapping) else {}
    texts = [_text(c) for c in choices]
    lost = [_withheld(c, t) for c, t in zip(choices, texts, strict=True)]
    if why := next(iter(lost), None) if all(lost) else None:
        raise InfrastructureError(f"the model's reply has no content: {why}")
    counts = _shares(_count(usage, "completion_tokens"), [len(t) for t in texts])
    n_prompt = _count(usage, "prompt_tokens")
    return [
        _sample(choice, text, request, n_prompt, n_new, echoes)
        for choice, text, n_new in zip(choices, texts, counts, strict=True)
    ]


def _text(choice: Mapping[str, Any]) -> str:
    """The words of a chat choice or of a completion; content in parts is joined, no content is ''."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    if isinstance(content, list):
        parts = [p.get("text") for p in content if isinstance(p, Mapping)]
        return "".join(p for p in parts if isinstance(p, str))
    if content is None and (isinstance(message, Mapping) or "text" in choice):
        return ""
    if not isinstance(content, str):
        raise Passing("gave a choice without a message")
    return content


def _withheld(choice: Mapping[str, Any], text: str) -> str | None:
    """Why a choice that ended of itself says nothing; None where it says something, or was cut off in its reasoning."""
    message = choice.get("message")
    if not isinstance(message, Mapping) or text.strip() or choice.get("finish_reason") in ("length", "max_tokens"):
        return None
    if message.get("tool_calls") or message.get("function_call"):
        return f'it is a tool call, in "tool_calls"; {_OFF}'
    if message.get("refusal"):
        return f"the model refused: {' '.join(str(message['refusal']).split())[:200]}"
    if choice.get("finish_reason") == "content_filter":
        return "the server's content filter withheld it"
    field = next((name for name in _REASONING if message.get(name)), None)
    return f'all its words are in "{field}"; {_OFF}' if field else None


def _reasoning(choice: Mapping[str, Any]) -> str:
    """What the server gives apart as the model's reasoning: a field of the message, or parts of its content."""
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return ""
    given = next((v for name in _REASONING if isinstance(v := message.get(name), str) and v), "")
    parts = message.get("content")
    for part in parts if isinstance(parts, list) else []:
        thought = part.get("thinking") if isinstance(part, Mapping) else None
        for piece in thought if isinstance(thought, list) else [{"text": thought}]:
            words = piece.get("text") if isinstance(piece, Mapping) else None
            given += words if isinstance(words, str) else ""
    return given.strip()


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
    if choice.get("finish_reason") in ("length", "max_tokens"):
        return StopReason.LENGTH
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
