"""The web application: OpenAI's chat protocol with an agent behind it, its page, its health and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Response
from starlette.middleware.cors import CORSMiddleware

from agentdistill import __version__
from agentdistill.serve import _page
from agentdistill.serve._errors import ERRORS, handle_errors, openapi_of
from agentdistill.serve._guard import Guard
from agentdistill.serve._handlers import CHAT, Server
from agentdistill.serve._schema import Completion, Error, Health, ModelCard, ModelList
from agentdistill.serve.agent import Agent
from agentdistill.serve.settings import ServeSettings


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
        responses={s: {"model": Error, "description": about} for s, about in ERRORS.items() if s != 404},
    )
    app.state.server = server
    app.add_middleware(Guard, settings=settings, on_refused=server.refused)
    if settings.allow_origins:
        _let_pages_in(app, settings.allow_origins)
    handle_errors(app)
    no_such: dict[int | str, dict[str, Any]] = {404: {"model": Error, "description": ERRORS[404]}}
    event = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
    events = {"text/event-stream": {"schema": event}}
    streamed: dict[int | str, dict[str, Any]] = {200: {"model": Completion, "content": events}}
    app.post(CHAT, response_model=Completion, responses=streamed | no_such)(server.chat)
    _get(app, "/v1/models", server.models, response_model=ModelList)
    _get(app, "/v1/models/{name:path}", server.model, response_model=ModelCard, responses=no_such)
    _get(app, "/health", server.health, response_model=Health, responses={503: {"model": Health}})
    _get(app, "/metrics", server.metrics, response_class=Response, include_in_schema=False)
    for path, asset in _page.ASSETS.items():
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
