"""The web application (OpenAI's chat protocol with an agent behind it, its page, its health and its metrics), and the
process: an address to listen on, signals, and an end that lets answers under way finish.

What a client gets for a request without an answer, whoever is at fault, is always one error in OpenAI's shape. The
framework has a form of its own for what it refuses; it is neither sent nor told of in the OpenAPI description.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from agentdistill import __version__
from agentdistill.errors import UserError
from agentdistill.serve import ServeSettings
from agentdistill.serve._guard import ASSETS, Guard
from agentdistill.serve._handlers import CHAT, Server
from agentdistill.serve._schema import NOT_JSON, Completion, ErrorResponse, Health, ModelCard, ModelList, refused_by
from agentdistill.serve.agent import Agent
from agentdistill.serve.outcome import Refused


def app_of(agent: Agent, settings: ServeSettings) -> FastAPI:
    """The application. It closes the agent when it ends."""
    server = Server(agent, settings)
    app = FastAPI(
        title="agentdistill",
        version=__version__,
        summary="A distilled agent that answers OpenAI's chat protocol.",
        lifespan=server.lifespan,
        docs_url=None,
        redoc_url=None,
        responses={s: {"model": ErrorResponse, "description": about} for s, about in ERRORS.items() if s != 404},
    )
    app.state.server = server
    app.add_middleware(Guard, settings=settings, on_refused=server.refused)
    if settings.allow_origins:
        _let_pages_in(app, settings.allow_origins)
    handle_errors(app)
    no_such: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse, "description": ERRORS[404]}}
    event = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
    events = {"text/event-stream": {"schema": event}}
    streamed: dict[int | str, dict[str, Any]] = {200: {"model": Completion, "content": events}}
    app.post(CHAT, response_model=Completion, responses=streamed | no_such)(server.chat)
    _get(app, "/v1/models", server.models, response_model=ModelList)
    _get(app, "/v1/models/{name:path}", server.model, response_model=ModelCard, responses=no_such)
    _get(app, "/health", server.health, response_model=Health, responses={503: {"model": Health}})
    _get(app, "/metrics", server.metrics, response_class=Response, include_in_schema=False)
    for path, asset in ASSETS.items():
        _get(app, path, asset, response_class=Response, include_in_schema=False)
    server.mount_mcp(app)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]
    return app


def _get(app: FastAPI, path: str, handler: Callable[..., Any], **about: Any) -> None:
    """Have the handler answer GET, and HEAD as well, which those that watch servers send."""
    app.get(path, **about)(handler)
    app.head(path, **{**about, "include_in_schema": False})(handler)


def _let_pages_in(app: FastAPI, origins: Sequence[str]) -> None:
    """Answer the questions that browsers ask before a page of another origin may send a request and read the reply. It
    stands before the guard: they carry no key."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=("*",),
        expose_headers=("X-Request-Id", "Retry-After", "Mcp-Session-Id"),
    )


# --- errors -----------------------------------------------------------------------------------------------------------

ERRORS = {
    400: "The request makes no sense, or asks for what is not there",
    401: "The server's key is needed",
    403: "The server is not called so",
    404: "There is no such model",
    409: "The conversation is being answered",
    413: "The request is too large",
    429: "Too many requests wait; `Retry-After` says when to try again",
    500: "A mistake of the server's",
    503: "The surroundings failed, or the server is shutting down",
}
"""The statuses that a request without an answer may get, as the OpenAPI description tells them."""


_SHOWN_CHARS = 80


def handle_errors(app: FastAPI) -> None:
    """Have the application answer every exception that reaches it with an error in OpenAI's shape."""
    app.exception_handler(Refused)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_our_mistake)


async def _refused(request: Request, e: Exception) -> JSONResponse:
    assert isinstance(e, Refused)
    return _told(request, e)


async def _invalid(request: Request, e: Exception) -> JSONResponse:
    assert isinstance(e, RequestValidationError)
    if isinstance(e.body, bytes):  # the framework parses only what is said to be JSON
        return await _refused(request, Refused(400, "invalid_json", "send JSON, as Content-Type: application/json"))
    return await _refused(request, refused_by(list(e.errors())))


async def _http_error(request: Request, e: Exception) -> JSONResponse:
    """The framework's own errors: no such path, no such method, a body that cannot be decoded."""
    assert isinstance(e, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(e.status_code)
    if code is None:
        return _told(request, Refused(400, "invalid_json", NOT_JSON), e.headers)
    asked = f"{request.method} {request.url.path[:_SHOWN_CHARS]}"
    there_is = ", ".join(_calls(request.app))
    return _told(request, Refused(e.status_code, code, f"there is no {asked} here; there are: {there_is}"), e.headers)


def _calls(app: FastAPI) -> list[str]:
    """What a client can call, as ``GET /v1/models``; of what answers HEAD as well, GET alone."""
    routes = (r for r in app.routes if isinstance(r, Route) and r.path not in ASSETS)
    found = (f"{min(r.methods)} {r.path.replace(':path', '')}" for r in routes if r.methods and r.methods != {"HEAD"})
    return list(dict.fromkeys(found))


async def _our_mistake(request: Request, e: Exception) -> JSONResponse:
    """A programmer's mistake: the log has its traceback, the client has not."""
    return await _refused(request, Refused(500, "internal_error", "the server made a mistake; its log says more"))


def _told(request: Request, e: Refused, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The error, which the server is told of too."""
    request.app.state.server.refused(request.scope, e)
    return JSONResponse(e.body, e.status, {**e.headers, **(headers or {})})


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, without the framework's own form of errors, which is never sent."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema


# --- the process ------------------------------------------------------------------------------------------------------


class _Graceful(uvicorn.Server):
    """A server that, told to end, first lets the application finish its answers while it refuses new ones. Told again,
    it tells those who still wait that there will be no answer. Told a third time, it ends at once.

    uvicorn's own way with a second signal leaves the application half way, with a traceback for every answer.
    """

    def __init__(self, config: uvicorn.Config, app: Any, grace_s: float) -> None:
        super().__init__(config)
        self._app, self._grace_s = app, grace_s
        self._n_signals = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On a signal."""
        self._n_signals += 1
        if self._n_signals > 2:
            os._exit(130)
        self._captured_signals.append(sig)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Once a signal has come: end the answers, then the connections, then the application."""
        server = self._app.state.server
        if n := server.n_under_way:
            self._say(
                f"ending; {_answers(n)} under way may take {self._grace_s:g} s more; Ctrl-C again ends without them"
            )
        stopping = asyncio.create_task(server.stop(self._grace_s))
        while not stopping.done() and self._n_signals < 2:
            await asyncio.wait([stopping], timeout=0.1)
        if not stopping.done():
            if n := server.n_under_way:
                self._say(f"ended; {_answers(n)} under way got status 503 in place of words")
            stopping.cancel()
            await asyncio.wait([stopping])
            await server.stop(0.0)
        await super().shutdown(sockets)

    def _say(self, line: str) -> None:
        """Tell whoever pressed Ctrl-C; a service manager, which sends SIGTERM, has no use for it."""
        if signal.SIGINT in self._captured_signals:
            print(f"agentdistill: {line}", file=sys.stderr, flush=True)


def _answers(n: int) -> str:
    return "1 answer" if n == 1 else f"{n} answers"


def serve(app: Any, says: str, settings: ServeSettings, address: socket.socket) -> None:
    """Listen until SIGINT or SIGTERM, then close the socket. ``says`` is printed, with the address for ``{url}``.
    Raises UserError where somebody else listens there."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    if settings.mcp:
        from sse_starlette.sse import AppStatus

        AppStatus.enable_automatic_graceful_drain = False  # else a signal cuts MCP's streams, answers under way or not
    with contextlib.closing(address):
        host, port = address.getsockname()[:2]
        with _told_of(host, port):
            address.listen(2048)
        shown = f"[{host}]" if ":" in host else host
        print(says.replace("{url}", f"http://{shown}:{port}"), flush=True)
        with _signals_that_end():
            _Graceful(config, app, settings.grace_s).run(sockets=[address])


@contextlib.contextmanager
def _signals_that_end() -> Iterator[None]:
    """uvicorn raises the signals that ended it once more when it is done; here an ending is no failure."""
    before = {s: signal.signal(s, lambda *_: None) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def bind(host: str, port: int) -> socket.socket:
    """A socket of that address, which nobody else can have now; whoever connects is refused until it is served. Raises
    UserError where it cannot be had."""
    with _told_of(host, port):
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, proto)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    return bound


@contextlib.contextmanager
def _told_of(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise UserError(f"cannot listen on {host}:{port}: {e.strerror or e}; choose another with --port") from e
