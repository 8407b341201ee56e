"""One HTTP request to an OpenAI-compatible server, and what its failures mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agentdistill.errors import ModelError
from agentdistill.models._retry import Passing, retry_after

_TOO_LONG = re.compile(
    r"context.?length|context.?window|maximum context|context size|(?:prompt|input|sequence)\b.{0,40}\b(?:is )?too long"
    r"|exceeds? the (?:model's |available |maximum )?(?:context|model len|number of tokens)|max_model_len",
    re.I,
)
_LIMIT = re.compile(r"maximum context length (?:is|of) (\d+)|max_model_len\D{0,20}(\d+)", re.I)
_PROMPT = re.compile(r"(\d+) (?:input tokens|(?:tokens )?(?:in|from) (?:the )?(?:messages|prompt|input))", re.I)


class TooLong(Exception):
    """The prompt, or the prompt and what may follow, does not fit. ``room`` is how many new tokens would, if told."""

    def __init__(self, room: int | None) -> None:
        super().__init__(f"no room for the prompt and {room} new tokens")
        self.room = room


class Refused(ModelError):
    """The server understood and will not do it (400, 422): another try is of no use, another form may be."""


async def post(
    client: Any, label: str, path: str, body: Mapping[str, Any], model: str, key_variable: str | None
) -> Any:
    """The decoded JSON object a POST answers with.

    Raises Passing for what may pass, TooLong for a prompt without room, Refused for a form of request the server does
    not take, ModelError for every other fault of the user's.
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
        raise _status_fault(e, label, model, key_variable) from e
    return _decoded(response.text)


def _decoded(text: str) -> Any:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as e:
        shown = " ".join(text[:60].split())
        raise Passing(f"gave a reply that is not JSON ({shown!r})") from e
    if not isinstance(data, dict):
        raise Passing("gave a reply that is not a JSON object")
    if "error" in data and "choices" not in data:  # some proxies report their failures with status 200
        raise Passing(f"answered with an error: {_message(data)}")
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


def _status_fault(error: Any, label: str, model: str, key_variable: str | None) -> Exception:
    status, message = error.status_code, _message(error.body)
    if status in (400, 413, 422) and _TOO_LONG.search(f"{message} {error.code or ''}"):
        return TooLong(_room(message))
    if status in (400, 405, 413, 422, 501):
        return Refused(f"{label} refused the request ({status}: {message})")
    if status in (401, 403):
        way = f"set the environment variable {key_variable}" if key_variable else 'name its variable: api_key_env = "…"'
        return ModelError(f"{label} refused the key ({status}); {way}")
    if status == 402 or "insufficient_quota" in f"{error.code} {message}":
        return ModelError(f"{label} says that the account has no credit left ({status}: {message})")
    if status in (408, 409, 425, 429) or status >= 500:
        return Passing(f"answered {status} ({message})", retry_after(error.response.headers))
    return ModelError(f"{label} answered {status} ({message})")


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
    for _ in range(3):
        if isinstance(body, Mapping):
            body = body.get("error") or body.get("message") or body.get("detail") or body.get("msg") or json.dumps(body)
        if isinstance(body, list) and body:
            body = body[0]
    text = re.sub(r"<[^>]*>", " ", str(body)) if body is not None else "no reason given"
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:200] + "…"


def _room(message: str) -> int | None:
    limit, prompt = _LIMIT.search(message), _PROMPT.search(message)
    if not limit or not prompt:
        return None
    return int(limit[1] or limit[2]) - int(prompt[1])
