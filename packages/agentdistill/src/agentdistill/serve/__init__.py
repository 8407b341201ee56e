"""A distilled agent behind OpenAI's chat protocol, and a page to talk to it.

``agentdistill serve RUN`` is all of it. :class:`Agent` answers chats with the whole loop of thought, code and
observation and needs nothing but this package; ``create_app`` and ``run_server`` put it on the web and need the extra
``serve``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentdistill.errors import UserError
from agentdistill.serve.agent import Agent, Asked
from agentdistill.serve.batching import Batches
from agentdistill.serve.conversation import Chat, read_chat
from agentdistill.serve.events import Chosen, Ended, Tried, Wrote
from agentdistill.serve.refused import Refused
from agentdistill.serve.settings import ServeSettings

__all__ = [
    "Agent",
    "Asked",
    "Batches",
    "Chat",
    "Chosen",
    "Ended",
    "Refused",
    "ServeSettings",
    "Tried",
    "Wrote",
    "bind",
    "create_app",
    "read_chat",
    "run_mcp",
    "run_server",
]


def create_app(agent: Agent, settings: ServeSettings | None = None) -> Any:
    """The agent as an ASGI application. Raises UserError where the extra ``serve`` is not installed, or ``mcp`` where
    the settings ask for it."""
    settings = settings or ServeSettings()
    with _extras("serve,mcp" if settings.mcp else "serve"):
        from agentdistill.serve._app import app_of

        return app_of(agent, settings)


def bind(settings: ServeSettings) -> socket.socket:
    """The address to serve at, taken before a model is loaded. Raises UserError as :func:`create_app`, and for an
    address that cannot be had."""
    with _extras("serve,mcp" if settings.mcp else "serve"):
        from agentdistill.serve import _app, _server  # noqa: F401

        if settings.mcp:
            from agentdistill.serve import _mcp  # noqa: F401
    return _server.bind(settings.host, settings.port)


def run_server(agent: Agent, settings: ServeSettings, address: socket.socket | None = None) -> None:
    """Serve until interrupted or terminated, then let answers under way end. ``address`` is what :func:`bind` gave for
    these settings, and closed in the end; without one it is done here. Raises UserError as :func:`bind`."""
    address = address or bind(settings)
    app = create_app(agent, settings)
    from agentdistill.serve._server import serve

    serve(app, agent.name, settings, address)


def run_mcp(agent: Agent) -> None:
    """Be an MCP server on the standard streams until the input ends. Raises UserError where the extra ``mcp`` is not
    installed."""
    with _extras("serve,mcp"):
        from agentdistill.serve._mcp import run_stdio
    run_stdio(agent)


@contextmanager
def _extras(names: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as e:
        missing, how = (e.name or "").partition(".")[0], f"pip install 'agentdistill[{names}]'"
        raise UserError(f"{missing} is not installed, which serving needs; install it with: {how}") from e
