"""The process: an address to listen on, signals, and an end that lets answers under way finish."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from agentdistill.errors import UserError
from agentdistill.serve._app import app_of
from agentdistill.serve.agent import Agent
from agentdistill.serve.settings import ServeSettings


class _Graceful(uvicorn.Server):
    """A server that, told to end, first lets the application finish its answers while it refuses new ones."""

    def __init__(self, config: uvicorn.Config, app: Any, grace_s: float) -> None:
        super().__init__(config)
        self._app, self._grace_s = app, grace_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping = asyncio.create_task(self._app.state.server.stop(self._grace_s))
        while not stopping.done() and not self.force_exit:  # which a second signal sets
            await asyncio.wait([stopping], timeout=0.2)
        stopping.cancel()
        await super().shutdown(sockets)


def serve(agent: Agent, settings: ServeSettings) -> None:
    """Listen until SIGINT or SIGTERM. Raises UserError where the address cannot be had."""
    app = app_of(agent, settings)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    listening = _listen(settings.host, settings.port)
    with contextlib.closing(listening):
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"{agent.name} answers at http://{shown}:{port}/v1 · chat page: http://{shown}:{port}/", flush=True)
        with _signals_that_end():
            _Graceful(config, app, settings.grace_s).run(sockets=[listening])


@contextlib.contextmanager
def _signals_that_end() -> Iterator[None]:
    """uvicorn raises the signals that ended it once more when it is done; here an ending is no failure."""
    before = {s: signal.signal(s, lambda *_: None) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that an address that is taken is found before anything else is done."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as e:
        raise UserError(f"cannot listen on {host}:{port}: {e.strerror or e}; choose another with --port") from e
    return listening
