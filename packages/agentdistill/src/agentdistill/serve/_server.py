"""The process: an address to listen on, signals, and an end that lets answers under way finish."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn

from agentdistill.errors import UserError
from agentdistill.serve.settings import ServeSettings


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
