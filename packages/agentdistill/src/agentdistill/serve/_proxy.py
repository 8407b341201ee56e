"""A proxy between an agent and its model that records what passes: OpenAI's chat protocol, streams included.

Requests go to the server as they are, with the agent's own key, which is written nowhere; replies come back byte by
byte, errors too. Paths other than chat are passed on and not recorded, which is said once for each.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Scope

from agentdistill.errors import AgentDistillError
from agentdistill.serve import ServeSettings
from agentdistill.serve._app import handle_errors
from agentdistill.serve._guard import Guard
from agentdistill.serve.outcome import Refused
from agentdistill.serve.recording import Recorder

_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
        "upgrade", "host", "content-length", "content-encoding", "accept-encoding",
    }
)  # fmt: skip
"""Headers of one connection, or of a body's encoding, which is undone here."""
_READ_S = 3600.0


class Proxy:
    """The application's state. ``more`` goes into the body of every chat request, where it is not there already."""

    def __init__(self, upstream: str, recorder: Recorder, more: Mapping[str, Any]) -> None:
        self._upstream, self._recorder, self._more = upstream.rstrip("/"), recorder, more
        self._client = httpx2.AsyncClient(timeout=httpx2.Timeout(_READ_S, connect=30.0), follow_redirects=False)
        self._told: set[str] = set()
        self.n_under_way = 0

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Close the connections in the end."""
        async with self._client:
            yield

    async def stop(self, grace_s: float) -> None:
        """Wait until no reply is under way, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self.n_under_way:
                    await asyncio.sleep(0.05)

    def refused(self, scope: Scope, e: Refused) -> None:
        """Say what was refused."""
        self._say_once(f"{scope['method']} {scope['path']}: {e}")

    async def forward(self, request: Request, path: str) -> Response:
        """Pass a request on, and its reply back."""
        body = await request.body()
        asked = _object(body) if request.method == "POST" and path == "chat/completions" else None
        if asked is None:
            self._say_once(f"{request.method} /v1/{path} is passed on and not recorded")
        elif self._more:
            body = json.dumps(asked := {**self._more, **asked}).encode()
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP]
        url = httpx2.URL(f"{self._upstream}/{path}", query=request.url.query.encode() or None)
        sent = self._client.build_request(
            request.method, url, headers=[*headers, ("accept-encoding", "identity")], content=body
        )
        self.n_under_way += 1
        try:
            reply = await self._client.send(sent, stream=True)
            told = {k: v for k, v in reply.headers.items() if k.lower() not in _HOP}
            if reply.headers.get("content-type", "").startswith("text/event-stream"):
                self.n_under_way += 1
                return StreamingResponse(self._stream(reply, asked), reply.status_code, told)
            content = await reply.aread()
            await reply.aclose()
        except httpx2.TransportError as e:
            raise Refused(503, "upstream", f"the model's server does not answer ({type(e).__name__}: {e})") from e
        finally:
            self.n_under_way -= 1
        if asked is not None and reply.status_code == 200:
            self._record(asked, _object(content))
        return Response(content, reply.status_code, told)

    async def _stream(self, reply: httpx2.Response, asked: Mapping[str, Any] | None) -> AsyncIterator[bytes]:
        whole = Streamed()
        try:
            async for chunk in reply.aiter_bytes():
                whole.feed(chunk)
                if whole.is_done and asked is not None:  # before the client knows: it may be gone then
                    self._record(asked, whole.completion)
                    asked = None
                yield chunk
            if asked is not None and reply.status_code == 200:
                self._record(asked, whole.completion if whole.is_whole else None)
        finally:
            self.n_under_way -= 1
            await reply.aclose()

    def _record(self, asked: Mapping[str, Any], completion: Mapping[str, Any] | None) -> None:
        """Write it down. The agent's work goes on where that fails."""
        try:
            if completion is None:
                raise ValueError("the reply is not whole")
            self._recorder.record(asked, completion)
        except (AgentDistillError, LookupError, TypeError, ValueError, AttributeError) as e:
            print(f"agentdistill: a reply is not recorded: {type(e).__name__}: {e}", file=sys.stderr, flush=True)

    def _say_once(self, line: str) -> None:
        if line not in self._told and len(self._told) < 100:
            self._told.add(line)
            print(f"agentdistill: {line}", file=sys.stderr, flush=True)


def proxy_app(upstream: str, recorder: Recorder, settings: ServeSettings, more: Mapping[str, Any]) -> FastAPI:
    """The application."""
    proxy = Proxy(upstream, recorder, more)
    app = FastAPI(title="agentdistill record", lifespan=proxy.lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.server = proxy
    app.add_middleware(Guard, settings=settings, on_refused=proxy.refused)
    handle_errors(app)
    app.api_route("/v1/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])(proxy.forward)
    return app


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class Streamed:
    """A completion put together from the events of a stream."""

    def __init__(self) -> None:
        self.is_done = False
        self._rest = b""
        self._choices: dict[int, dict[str, Any]] = {}
        self._about: dict[str, Any] = {}

    @property
    def completion(self) -> dict[str, Any]:
        """What a server would have given at once."""
        return {**self._about, "choices": [c for _, c in sorted(self._choices.items())]}

    @property
    def is_whole(self) -> bool:
        """Whether every choice was ended by the server."""
        return bool(self._choices) and all(c.get("finish_reason") for c in self._choices.values())

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, wherever they are cut."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                self.is_done = self.is_whole
            elif (event := _object(data)) is not None:
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        self._about |= {k: v for k in ("model", "usage", "prompt_token_ids") if (v := event.get(k)) is not None}
        for part in event.get("choices") or ():
            choice = self._choices.setdefault(part.get("index", 0), {"message": {"role": "assistant"}})
            _join(choice["message"], part.get("delta") or {})
            if ids := part.get("token_ids"):
                choice["token_ids"] = [*choice.get("token_ids", ()), *ids]
            if told := (part.get("logprobs") or {}).get("content"):
                choice.setdefault("logprobs", {"content": []})["content"] += told
            choice |= {k: v for k in ("finish_reason", "prompt_token_ids") if (v := part.get(k))}


def _join(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a part of a message to what came before: texts are continued, calls too, each by its index."""
    for key in ("content", "reasoning_content", "reasoning"):
        if isinstance(text := delta.get(key), str):
            message[key] = message.get(key, "") + text
    calls: list[dict[str, Any]] = message.setdefault("tool_calls", []) if delta.get("tool_calls") else []
    for part in delta.get("tool_calls") or ():
        at = part.get("index", len(calls))
        while len(calls) <= at:
            calls.append({"function": {"name": "", "arguments": ""}})
        function = part.get("function") or {}
        calls[at] |= {"id": part["id"]} if part.get("id") else {}
        for key in ("name", "arguments"):
            calls[at]["function"][key] += function.get(key) or ""
