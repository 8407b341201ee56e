"""One HTTP request to an OpenAI-compatible server, and what its failures mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agentdistill.errors import ModelError, RefusedError
from agentdistill.models._retry import Passing, retry_after
from agentdistill.models._too_long import TOO_LONG as _TOO_LONG
from agentdistill.models._too_long import is_too_long
from agentdistill.models._too_long import room as _room

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
        return TooLong(_room(_words(body)))
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
