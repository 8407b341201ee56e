"""Back-pressure: so many answers at once, so many waiting, and a clear word to everybody else."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentdistill.serve.refused import Refused

_FIRST_GUESS_S = 2.0
_MEMORY = 0.9  # how much of the running mean of an answer's seconds one more answer leaves


class Gate:
    """Lets ``n_running`` in at once and ``n_waiting`` wait for their turn, in the order they came."""

    def __init__(self, n_running: int, n_waiting: int) -> None:
        self.n_running, self.n_waiting = n_running, n_waiting
        self.running = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._seconds = _FIRST_GUESS_S
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    @property
    def is_open(self) -> bool:
        """Whether anybody is still let in."""
        return not self._closed

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises Refused: 429 where too many wait already, 503 once it is closed."""
        await self._enter()
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds = _MEMORY * self._seconds + (1 - _MEMORY) * (time.monotonic() - start)
            self._leave()

    def close(self) -> None:
        """Let nobody in any more: those who wait are sent away, those who are in may finish."""
        self._closed = True
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_exception(_shutting_down())

    async def _enter(self) -> None:
        if self._closed:
            raise _shutting_down()
        if self.running < self.n_running:
            self.running += 1
            return
        if len(self._queue) >= self.n_waiting:
            wait_s = max(1, math.ceil(self._seconds * (len(self._queue) + 1) / self.n_running))
            message = f"{self.running} answers are under way and {len(self._queue)} requests wait; try again later"
            raise Refused(429, "server_busy", message, retry_after_s=wait_s)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._leave()  # it was given the place in the moment that it gave up
            elif place in self._queue:
                self._queue.remove(place)
            raise

    def _leave(self) -> None:
        """Hand the place to whoever waited longest, else free it."""
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.running -= 1


def _shutting_down() -> Refused:
    return Refused(503, "shutting_down", "the server is shutting down; try again in a moment", retry_after_s=5)
