"""What stands before the application: the files of its page, keys, host names, the size of what is sent, and a name for
every request.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentdistill.report import page_style
from agentdistill.serve import ServeSettings
from agentdistill.serve.outcome import Refused

# --- the chat page: files of this package, nothing from elsewhere -----------------------------------------------------

_FOLDER = Path(__file__).parent / "assets"
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data:; style-src 'self'; script-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@cache
def _text(name: str) -> str:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return page_style() + text if name.endswith(".css") else text


def _serves(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    async def asset() -> Response:
        headers = {
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return Response(_text(name), media_type=kind, headers=headers)

    return asset


_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
ASSETS = {
    "/" if path.suffix == ".html" else f"/{path.name}": _serves(path.name, _KINDS[path.suffix])
    for path in sorted(_FOLDER.iterdir())
    if path.suffix in _KINDS
}
"""What is served where."""


# --- the guard --------------------------------------------------------------------------------------------------------

_OPEN = frozenset({"/health", "/openapi.json", *ASSETS})
"""Paths that need no key: they tell nothing but what the server is."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""What the log calls the request that is being answered; its client is told as ``X-Request-Id``."""


class Guard:
    """Refuses before anything is read: wrong key (401), a host name that is not this server's (403), too much (413).

    The host name is checked on loopback only. It keeps a web page in the user's browser from reaching the server under
    a name of its own that points here. ``on_refused`` is told what it refuses.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, on_refused: Callable[[Scope, Refused], None]) -> None:
        self._app, self._on_refused = app, on_refused
        self._key = settings.api_key.encode() if settings.api_key is not None else None
        self._hosts = _LOOPBACK | {settings.host.lower()} if settings.is_loopback else None
        self._n_bytes = settings.max_body_kb * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id.set(f"req-{secrets.token_hex(12)}")
        send = _named(send)
        headers = {k.lower(): v for k, v in scope["headers"]}
        refused = self._refuses(scope["path"], headers)
        if refused is None:
            body = await _body(receive, self._n_bytes)
            if body is not None:
                return await self._app(scope, _again(body, receive), send)
            refused = self._too_large()
        self._on_refused(scope, refused)
        await tell(refused, send)

    def _refuses(self, path: str, headers: dict[bytes, bytes]) -> Refused | None:
        if self._hosts is not None and _host(headers.get(b"host", b"")) not in self._hosts:
            return Refused(403, "wrong_host", "this server answers to localhost only")
        if self._key is not None and path not in _OPEN:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._key):
                return Refused(401, "wrong_key", "give the server's key as: Authorization: Bearer KEY")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._n_bytes:
            return self._too_large()
        return None

    def _too_large(self) -> Refused:
        return Refused(413, "body_too_large", f"a request may have {self._n_bytes // 1024} KiB at most")


async def _body(receive: Receive, n_bytes: int) -> bytes | None:
    """The whole body of a request; None for one that is longer than that, whatever its headers say."""
    parts, n = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        parts.append(part)
        n += len(part)
        if n > n_bytes:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives the body in one piece, then whatever else the client does."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def _named(send: Send) -> Send:
    """What tells the client how its request is called, and else sends what it is given."""

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"x-request-id", request_id.get().encode())]
            message = {**message, "headers": headers}
        await send(message)

    return named


def _host(header: bytes) -> str:
    """The host's name without its port."""
    text = header.decode("latin-1").lower()
    return text[: text.index("]") + 1] if text.startswith("[") and "]" in text else text.partition(":")[0]


async def tell(refused: Refused, send: Send) -> None:
    """Answer with an error and nothing else."""
    body = json.dumps(refused.body).encode()
    headers: Iterable[tuple[str, str]] = (
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        *refused.headers.items(),
    )
    raw = [(k.lower().encode(), v.encode()) for k, v in headers]
    await send({"type": "http.response.start", "status": refused.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
