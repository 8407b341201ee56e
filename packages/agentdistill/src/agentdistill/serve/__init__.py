"""A distilled agent behind OpenAI's chat protocol, and a page to talk to it.

``agentdistill serve RUN`` is all of it. :class:`Agent` answers chats with the whole loop of thought, code and
observation and needs nothing but this package; ``create_app`` and ``run_server`` put it on the web and need the extra
``serve``.
"""

from __future__ import annotations

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
    "create_app",
    "read_chat",
    "run_mcp",
    "run_server",
]


def create_app(agent: Agent, settings: ServeSettings | None = None) -> Any:
    """The agent as an ASGI application. Raises UserError where the extra ``serve`` is not installed."""
    try:
        from agentdistill.serve._app import app_of
    except ModuleNotFoundError as e:
        raise UserError(_MISSING.format(e.name)) from e
    return app_of(agent, settings or ServeSettings())


def run_server(agent: Agent, settings: ServeSettings) -> None:
    """Serve until interrupted or terminated, then let answers under way end. Raises UserError as :func:`create_app`,
    and for an address that cannot be listened on."""
    try:
        from agentdistill.serve._server import serve
    except ModuleNotFoundError as e:
        raise UserError(_MISSING.format(e.name)) from e
    serve(agent, settings)


def run_mcp(agent: Agent) -> None:
    """Be an MCP server on the standard streams until the input ends. Raises UserError where the extra ``mcp`` is not
    installed."""
    try:
        from agentdistill.serve._mcp import run_stdio
    except ModuleNotFoundError as e:
        raise UserError(f"{e.name} is not installed; install it with: pip install 'agentdistill[serve,mcp]'") from e
    run_stdio(agent)


_MISSING = "{} is not installed, which serving needs; install it with: pip install 'agentdistill[serve]'"
