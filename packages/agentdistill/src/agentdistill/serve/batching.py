"""One model for many conversations at once: whatever waits when it is free goes into one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentdistill.models import Model
from agentdistill.types import Request, Sample

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
