"""Back-pressure: so many answers at once, so many waiting, and a clear word to everybody else."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agentdistill.serve.refused import Refused

_MEMORY = 0.9  # how much of the running mean of an answer's seconds one more answer leaves
_LONGEST_S = 600


class Gate:
    """Lets ``n_running`` in at once and ``n_waiting`` wait for their turn, in the order they came."""

    def __init__(self, n_running: int, n_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.n_running, self.n_waiting, self._clock = n_running, n_waiting, clock
        self.running = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._seconds: float | None = None  # of an answer, on average; None before the first
        self._since: dict[object, float] = {}  # when each of those that are in came in
        self._ends_at: float | None = None

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    @property
    def is_open(self) -> bool:
        """Whether anybody is still let in."""
        return self._ends_at is None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises Refused: 429 where too many wait already, 503 once it is closed."""
        await self._enter()
        visit = object()
        self._since[visit] = self._clock()
        try:
            yield
        finally:
            took = self._clock() - self._since.pop(visit)
            self._seconds = took if self._seconds is None else _MEMORY * self._seconds + (1 - _MEMORY) * took
            self._leave()

    def close(self, grace_s: float = 0.0) -> None:
        """Let nobody in any more: those who wait are sent away, those who are in may finish within ``grace_s``."""
        self._ends_at = self._clock() + grace_s
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_exception(self.shutting_down())

    def shutting_down(self, why: str = "the server is shutting down; try again later") -> Refused:
        """What is told to those who come too late: to come again when the last who are in have had their time."""
        left_s = max(0.0, (self._ends_at or 0.0) - self._clock()) if self.running else 0.0
        wait_s = max(1, math.ceil(left_s))
        return Refused(503, "shutting_down", why, retry_after_s=wait_s)

    def _wait_s(self) -> int:
        """How long a place will take to come free for one more, by how long answers have taken, and those under way so
        far; before there is anything to go by, one second."""
        now = self._clock()
        under_way = [now - since for since in self._since.values()]
        seconds = max(self._seconds or 0.0, sum(under_way) / max(1, len(under_way)))
        wait_s = seconds * (len(self._queue) + 1) / self.n_running
        return min(_LONGEST_S, max(1, math.ceil(wait_s)))

    async def _enter(self) -> None:
        if not self.is_open:
            raise self.shutting_down()
        if self.running < self.n_running:
            self.running += 1
            return
        if len(self._queue) >= self.n_waiting:
            message = f"{self.running} answers are under way and {len(self._queue)} requests wait; try again later"
            raise Refused(429, "server_busy", message, retry_after_s=self._wait_s())
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
