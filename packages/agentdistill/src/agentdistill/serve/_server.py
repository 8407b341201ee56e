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


def serve(app: Any, name: str, settings: ServeSettings, address: socket.socket) -> None:
    """Listen until SIGINT or SIGTERM, then close the socket. Raises UserError where somebody else listens there."""
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
        print(f"{name} answers at http://{shown}:{port}/v1 · chat page: http://{shown}:{port}/", flush=True)
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
