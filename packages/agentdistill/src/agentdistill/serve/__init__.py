"""A distilled agent behind OpenAI's chat protocol, and a page to talk to it.

``agentdistill serve RUN`` is all of it. :class:`Agent` answers chats with the whole loop of thought, code and
observation and needs nothing but this package; ``create_app`` and ``run_server`` put it on the web and need the extra
``serve``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentdistill.errors import UserError
from agentdistill.serve.agent import Agent, Asked, Chosen, Ended, Tried, Wrote
from agentdistill.serve.batching import Batches
from agentdistill.serve.conversation import Chat, read_chat
from agentdistill.serve.outcome import Refused
from agentdistill.store import locked

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
    "run_recorder",
    "run_server",
]


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
"""As browsers send it: lower case, no path, no port where it is the scheme's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Where to listen and what to bear. ``api_key`` None asks nobody for a key, which only loopback may do unless
    ``open_to_all``. ``max_body_kb`` bounds a request, ``grace_s`` how long answers under way may take once the server
    is told to end. ``patience_s`` is how long a stream waits for its first event before it begins, so that an error can
    still be told by its status. Pages of ``allow_origins`` (such as ``http://localhost:3000``; ``*`` is every one) may
    ask from a browser. Raises UserError for settings that make no sense.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None
    open_to_all: bool = False
    max_body_kb: int = 512
    grace_s: float = 30.0
    patience_s: float = 10.0
    mcp: bool = False
    allow_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise UserError(f"port {self.port} has to be from 0 to 65535; 0 takes a free one")
        if self.max_body_kb < 1 or self.grace_s < 0 or self.patience_s < 0:
            raise UserError("max_body_kb has to be at least 1, grace_s and patience_s at least 0")
        if self.api_key is not None and (not self.api_key or not self.api_key.isascii()):
            raise UserError("the API key has to be ASCII text, and not empty")
        for origin in self.allow_origins:
            if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin):
                raise UserError(
                    f'origin "{origin}" is not of the form http://localhost:3000: scheme, host, port, no path'
                )
        if not self.is_loopback and self.api_key is None and not self.open_to_all:
            raise UserError(
                f"{self.host} can be reached from other machines and no key is asked for; set AGENTDISTILL_API_KEY, "
                "or say --open to let everybody in"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


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
        from agentdistill.serve import _app

        if settings.mcp:
            from agentdistill.serve import _mcp  # noqa: F401
    return _app.bind(settings.host, settings.port)


def run_server(agent: Agent, settings: ServeSettings, address: socket.socket | None = None) -> None:
    """Serve until interrupted or terminated, then let answers under way end. ``address`` is what :func:`bind` gave for
    these settings, and closed in the end; without one it is done here. Raises UserError as :func:`bind`."""
    address = address or bind(settings)
    app = create_app(agent, settings)
    from agentdistill.serve._app import serve

    serve(app, f"{agent.name} answers at {{url}}/v1 · chat page: {{url}}/", settings, address)


def run_recorder(upstream: str, folder: Path, settings: ServeSettings, more: Mapping[str, Any]) -> None:
    """Stand between agents and the server ``upstream`` (its address, ending in ``/v1``) until interrupted, and write
    every conversation into ``folder``. ``more`` is added to chat requests. Raises UserError as :func:`bind`."""
    from agentdistill.serve.recording import Recorder

    address = bind(settings)
    from agentdistill.serve._app import serve
    from agentdistill.serve._proxy import proxy_app

    with locked(folder / ".lock", folder):
        app = proxy_app(upstream, Recorder(folder), settings, more)
        serve(app, f"{{url}}/v1 stands for {upstream}; conversations are written to {folder}", settings, address)


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
