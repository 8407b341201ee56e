"""Runs many episodes at once: in lockstep rounds for weights in this process, concurrently for endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from agentdistill.models import Model
from agentdistill.types import Request, Sample

T = TypeVar("T")
Episode = Callable[[Model], Awaitable[T]]


class _Rounds:
    """Gathers one request of every live episode into one call, so that a batch is always the same batch.

    A round is over when every episode still running waits for the model. Requests go in the order of the episodes,
    whatever order they arrived in: together with per-request seeds this makes a run reproducible.
    """

    def __init__(self, model: Model, n: int) -> None:
        self._model = model
        self._n_live = n
        self._waiting: dict[int, tuple[Sequence[Request], asyncio.Future[list[list[Sample]]]]] = {}
        self._flush: asyncio.Task[None] | None = None

    async def ask(self, place: int, requests: Sequence[Request]) -> list[list[Sample]]:
        future: asyncio.Future[list[list[Sample]]] = asyncio.get_running_loop().create_future()
        self._waiting[place] = (requests, future)
        self._start_if_complete()
        return await future

    def leave(self) -> None:
        self._n_live -= 1
        self._start_if_complete()

    def _start_if_complete(self) -> None:
        if self._waiting and len(self._waiting) == self._n_live:
            waiting, self._waiting = self._waiting, {}
            self._flush = asyncio.get_running_loop().create_task(self._run(waiting))

    async def _run(self, waiting: dict[int, tuple[Sequence[Request], asyncio.Future[list[list[Sample]]]]]) -> None:
        batch = [waiting[place] for place in sorted(waiting)]
        try:
            samples = iter(await self._model.generate([r for requests, _ in batch for r in requests]))
        except BaseException as e:
            for _, future in batch:
                if not future.done():
                    future.set_exception(e)
            return
        for requests, future in batch:
            result = [next(samples) for _ in requests]
            if not future.done():
                future.set_result(result)


class _Seat:
    """One episode's view of a model whose requests are gathered into rounds."""

    def __init__(self, model: Model, rounds: _Rounds, place: int) -> None:
        self.name, self.batch_size, self.lockstep = model.name, model.batch_size, False
        self.context_length = model.context_length
        self._rounds, self._place = rounds, place

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        return await self._rounds.ask(self._place, requests)

    async def aclose(self) -> None:
        """The model belongs to the driver's caller."""


async def drive(model: Model, episodes: Sequence[Episode[T]], on_done: Callable[[int, T], None]) -> None:
    """Run every episode; ``on_done(index, result)`` is called in this thread as each ends.

    An exception out of an episode or out of ``on_done`` ends the others and is raised; what was done is done.
    """
    if not model.lockstep:
        gate = asyncio.Semaphore(model.batch_size)

        async def one(i: int) -> None:
            async with gate:
                on_done(i, await episodes[i](model))

        await _all([one(i) for i in range(len(episodes))])
        return
    for start in range(0, len(episodes), model.batch_size):
        group = episodes[start : start + model.batch_size]
        rounds = _Rounds(model, len(group))

        async def seated(i: int, episode: Episode[T], rounds: _Rounds = rounds, start: int = start) -> None:
            try:
                result = await episode(_Seat(model, rounds, i))
            finally:
                rounds.leave()
            on_done(start + i, result)

        await _all([seated(i, e) for i, e in enumerate(group)])


async def _all(coroutines: Sequence[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
