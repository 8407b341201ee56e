"""What a server's reply says: choices, stop reasons, token counts. Servers differ; nothing here trusts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentdistill.models._retry import Passing
from agentdistill.types import Request, Sample, StopReason


def samples(reply: Mapping[str, Any], request: Request, *, echoes: bool) -> list[Sample]:
    """The samples of a decoded reply. Raises Passing for a reply that holds none."""
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(c, Mapping) for c in choices):
        raise Passing("gave a reply without choices")
    usage = reply.get("usage") if isinstance(reply.get("usage"), Mapping) else {}
    texts = [_text(c) for c in choices]
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
