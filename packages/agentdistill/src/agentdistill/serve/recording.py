"""What an agent and its model say to each other, as ATIF documents: one file a conversation.

A request continues the conversation whose turns its messages begin with. One that leaves a conversation earlier, such
as a second try, begins a document of its own that shares the turns up to there. Assistant's turns that did not pass
here, such as examples in a prompt, are marked as copied context.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentdistill import __version__
from agentdistill.errors import DataError
from agentdistill.exchange.atif import VERSION, Document, is_atif
from agentdistill.exchange.reading import SMOLAGENTS, calls_of, text_of
from agentdistill.parse import split_reasoning
from agentdistill.store import digest, write_json

_SOURCES = {"system": "system", "developer": "system", "assistant": "agent"}
_ROLES = {"developer": "system", "function": "tool"}
_KEPT = 1_000
"""Conversations that a request may continue; one that was silent for longer begins a new document."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """A message: how it is recognised when it is sent again, and what the document says of it.

    ``words`` of an assistant are those outside its reasoning. ``rest`` is a hash of everything else in the message.
    """

    role: str
    words: str
    calls: str
    rest: str
    step: Document

    def is_again(self, later: _Turn) -> bool:
        """Whether ``later`` is this turn in a later request. Agents add to what the model said: a closing fence."""
        if self.role != "assistant":
            return (self.role, self.words, self.rest) == (later.role, later.words, later.rest)
        same_calls = not self.calls or self.calls == later.calls
        return later.role == self.role and later.words.startswith(self.words) and same_calls


@dataclass(slots=True)
class _Conversation:
    path: Path
    turns: list[_Turn]


class Recorder:
    """Writes every reply into a conversation's file below ``folder``; what is there already can be continued.

    A file is replaced whole at each reply, so that a kill loses at most the reply under way.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun = f"{time.time_ns() // 1_000_000:x}"
        self._n = 0
        self._conversations = [c for path in sorted(folder.glob("*.json"))[-_KEPT:] if (c := _read(path))]

    def record(self, asked: Mapping[str, Any], completion: Mapping[str, Any]) -> list[Path]:
        """Write what was asked, the body of a request, with every choice of the completion; returns the files.

        Raises DataError for messages in a form that is not read, InfrastructureError where the disk refuses.
        """
        messages = [_message(m) for m in asked.get("messages") or ()]
        out = []
        for choice in completion.get("choices") or ():
            conversation = self._continued(messages)
            conversation.turns.append(_reply(choice, completion))
            write_json(conversation.path, _document(conversation, asked, completion))
            out.append(conversation.path)
        return out

    def _continued(self, messages: Sequence[_Turn]) -> _Conversation:
        """The conversation that the messages continue, with them; a new one where they continue none."""
        shared = [(_n_shared(c.turns, messages), c) for c in self._conversations]
        n, best = max(shared, key=lambda s: (s[0], s[0] == len(s[1].turns)), default=(0, None))
        if best is None or n < len(best.turns):
            self._n += 1
            path = self._folder / f"{self._begun}-{self._n:05}.json"
            best = _Conversation(path, best.turns[:n] if best is not None else [])
        else:
            self._conversations.remove(best)
        self._conversations = [*self._conversations[1 - _KEPT :], best]
        best.turns += messages[n:]
        return best


def _n_shared(turns: Sequence[_Turn], messages: Sequence[_Turn]) -> int:
    pairs = zip(turns, messages, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if not a.is_again(b)), min(len(turns), len(messages)))


# --- turns ------------------------------------------------------------------------------------------------------------


def _turn(role: str, content: Any, calls: Any, step: Document) -> _Turn:
    role, text = _ROLES.get(role, role), text_of(content).strip()
    others = [p for p in content if not isinstance(p, Mapping) or p.get("type") != "text"] if _is_list(content) else []
    if role == "assistant":
        text, _, told = split_reasoning(text).reply.strip().partition(SMOLAGENTS)
        if told and not calls:  # as smolagents tells its model of calls
            _, calls = calls_of({}, role, SMOLAGENTS + told)
        elif calls:
            _, calls = calls_of({"tool_calls": calls}, role, "")
    return _Turn(role, text.strip(), digest(calls) if calls else "", digest(others) if others else "", step)


def _is_list(content: Any) -> bool:
    return isinstance(content, list)


def _message(message: Mapping[str, Any]) -> _Turn:
    """A message of a request."""
    role, content, calls = str(message.get("role")), message.get("content"), message.get("tool_calls")
    step: Document = {"source": _SOURCES.get(role, "user"), "message": _parts(content)}
    if role == "assistant":
        step = {**step, "is_copied_context": True, **_calls(calls)}
    elif role in ("tool", "function"):
        step = {"source_call_id": message.get("tool_call_id"), "content": _parts(content)}
    return _turn(role, content, calls, step)


def _parts(content: Any) -> str | list[Document]:
    """A message's content as ATIF has it. Images are references there: of one sent as data the kind is kept."""
    if not _is_list(content):
        return text_of(content)
    out: list[Document] = []
    for part in content:
        url = part.get("image_url", {}).get("url", "") if part.get("type") == "image_url" else ""
        kind = _IMAGES.get(url.partition("?")[0].rpartition(".")[2].lower(), "image/png")
        if url:
            kind = url[5:].partition(";")[0] if url.startswith("data:") else kind
            path = "data:" if url.startswith("data:") else url
            out.append({"type": "image", "source": {"media_type": kind, "path": path}})
        else:
            out.append({"type": "text", "text": text_of([part])})
    return out if any(p["type"] == "image" for p in out) else "".join(p["text"] for p in out)


_IMAGES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}


def _calls(given: Any) -> Document:
    """Calls as ATIF has them. Arguments that are no JSON stand under an empty name, which readers refuse."""
    out = []
    for n, call in enumerate(given or ()):
        function = call["function"]
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            arguments = {"": function["arguments"]}
        name = call.get("id") or f"call_{n}"
        out.append({"tool_call_id": name, "function_name": function["name"], "arguments": arguments})
    return {"tool_calls": out} if out else {}


def _reply(choice: Mapping[str, Any], completion: Mapping[str, Any]) -> _Turn:
    """A choice of a completion, with the tokens and their log probabilities as far as the server gave them."""
    message = choice["message"]
    usage, told = completion.get("usage") or {}, (choice.get("logprobs") or {}).get("content") or []
    ids = choice.get("token_ids") or [t["id"] for t in told if isinstance(t.get("id"), int)]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    metrics = {
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens") if len(completion["choices"]) == 1 else None,
        "cached_tokens": cached,
        "prompt_token_ids": completion.get("prompt_token_ids") or choice.get("prompt_token_ids"),
        "completion_token_ids": ids,
        "logprobs": [t["logprob"] for t in told],
    }
    step = {
        "timestamp": datetime.now(UTC).isoformat(),
        "source": "agent",
        "model_name": completion.get("model"),
        "message": text_of(message.get("content")),
        "reasoning_content": message.get("reasoning_content") or message.get("reasoning"),
        **_calls(message.get("tool_calls")),
        "metrics": _given(metrics),
        "extra": _given({"finish_reason": choice.get("finish_reason")}),
    }
    return _turn("assistant", message.get("content"), message.get("tool_calls"), _given(step))


def _given(values: Mapping[str, Any]) -> Document:
    return {k: v for k, v in values.items() if v not in (None, [], {})}


# --- documents --------------------------------------------------------------------------------------------------------


def _document(conversation: _Conversation, asked: Mapping[str, Any], completion: Mapping[str, Any]) -> Document:
    agent = {"name": "recorded", "version": __version__, "model_name": completion.get("model") or asked.get("model")}
    return {
        "schema_version": VERSION,
        "session_id": conversation.path.stem,
        "agent": _given({**agent, "tool_definitions": asked.get("tools")}),
        "steps": [{"step_id": n, **step} for n, step in enumerate(_steps(conversation.turns), 1)],
    }


def _steps(turns: Iterable[_Turn]) -> list[Document]:
    """The turns as steps: what tools said belongs to the step that called them."""
    out: list[Document] = []
    for turn in turns:
        if "source" in turn.step:
            out.append(dict(turn.step))
        elif out and out[-1]["source"] == "agent":
            ids = [c["tool_call_id"] for c in out[-1].get("tool_calls", ())]
            result = {k: v for k, v in turn.step.items() if k != "source_call_id" or v in ids}
            before = out[-1].get("observation", {"results": []})["results"]
            out[-1]["observation"] = {"results": [*before, result]}
        else:
            out.append({"source": "user", "message": turn.step["content"]})
    return out


def _read(path: Path) -> _Conversation | None:
    """A conversation that was recorded before; None for a file that is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not is_atif(document) or document["agent"]["name"] != "recorded":
            return None
        return _Conversation(path, [t for step in document["steps"] for t in _turns(step)])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, DataError):
        return None


def _turns(step: Document) -> Iterator[_Turn]:
    said = {k: v for k, v in step.items() if k not in ("step_id", "observation")}
    role = "assistant" if step["source"] == "agent" else str(step["source"])
    calls = [{"name": c["function_name"], "arguments": c["arguments"]} for c in step.get("tool_calls", ())]
    yield _turn(role, step["message"], calls, said)
    for result in step.get("observation", {"results": []})["results"]:
        yield _turn("tool", result.get("content"), None, result)
