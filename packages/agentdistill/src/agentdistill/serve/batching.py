"""Limits on running and waiting answers, and one model for many conversations: whatever waits when it is free goes into
one batch.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agentdistill.models import Model
from agentdistill.serve.outcome import Refused
from agentdistill.types import Request, Sample

# --- back-pressure ----------------------------------------------------------------------------------------------------

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


# --- batches ----------------------------------------------------------------------------------------------------------

_LINGER_S = 0.005
"""How long a free model waits for company: conversations that ran their code at the same time ask again together."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    requests: Sequence[Request]
    future: asyncio.Future[list[list[Sample]]]

    @property
    def n_rows(self) -> int:
        return sum(r.n for r in self.requests)


class Batches:
    """A model as conversations that come and go see it. :func:`agentdistill.batching.drive` knows all its episodes from
    the start and waits for every one of them; here nobody waits for a conversation that may never go on.

    A lockstep model's requests are gathered, first come first served, up to ``batch_size`` rows a call; any other
    model is asked at once. ``on_batch`` is told the rows of every call. A request that the model refuses harms none of
    its neighbours, and one that nobody waits for any more is left out.
    """

    lockstep = False

    def __init__(self, model: Model, on_batch: Callable[[int], None] | None = None) -> None:
        self.name, self.batch_size, self.context_length = model.name, model.batch_size, model.context_length
        self._model = model
        self._on_batch = on_batch or (lambda n: None)
        self._waiting: list[_Asked] = []
        self._worker: asyncio.Task[None] | None = None

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """As :meth:`agentdistill.models.Model.generate`; cancelling it harms nobody else."""
        if not self._model.lockstep:
            self._on_batch(sum(r.n for r in requests))
            return await self._model.generate(requests)
        asked = _Asked(requests, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await asked.future

    async def aclose(self) -> None:
        """Stop the work under way and close the model."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for asked in self._waiting:
            asked.future.cancel()
        await self._model.aclose()

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(_LINGER_S)
            batch = self._take()
            if batch:
                await self._run(batch)

    def _take(self) -> list[_Asked]:
        """The longest beginning of the queue that fits a batch; a request larger than that goes alone."""
        live = [a for a in self._waiting if not a.future.done()]
        batch: list[_Asked] = []
        n_rows = 0
        for asked in live:
            if batch and n_rows + asked.n_rows > self.batch_size:
                break
            batch.append(asked)
            n_rows += asked.n_rows
        self._waiting = live[len(batch) :]
        return batch

    async def _run(self, batch: Sequence[_Asked]) -> None:
        """One call of the model, stopped once nobody waits for it. If it fails, everybody is asked for alone, so that
        the error is told to whose it is."""
        self._on_batch(sum(a.n_rows for a in batch))
        call = asyncio.ensure_future(self._model.generate([r for a in batch for r in a.requests]))

        def stop_if_unwanted(_: object) -> None:
            if all(a.future.done() for a in batch):
                call.cancel()

        for asked in batch:
            asked.future.add_done_callback(stop_if_unwanted)
        try:
            await asyncio.wait([call])
        except asyncio.CancelledError:
            for asked in batch:
                asked.future.cancel()
            raise
        finally:
            call.cancel()
        if not call.cancelled():
            await self._deliver(batch, call)

    async def _deliver(self, batch: Sequence[_Asked], call: asyncio.Future[list[list[Sample]]]) -> None:
        error = call.exception()
        if error is not None and len(batch) > 1:
            for asked in batch:
                if not asked.future.done():
                    await self._run([asked])
            return
        if error is not None:
            if not batch[0].future.done():
                batch[0].future.set_exception(error)
            return
        samples = iter(call.result())
        for asked in batch:
            result = [next(samples) for _ in asked.requests]
            if not asked.future.done():
                asked.future.set_result(result)
