"""Runs many episodes at once: batches of fixed make-up for weights in this process, concurrent requests for servers; in
this process, or on the workers of a Ray cluster. The results are the same.

A stage hands over its :data:`OpenWork`, a function that makes a model and all its episodes. Calling it gives the same
work in every process, so where an episode runs does not matter: its seeds are derived from its name, and the batches of
local weights from the order of the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from agentdistill.models import Model
from agentdistill.types import Request, Sample

__all__ = [
    "Crew",
    "Episode",
    "OnDone",
    "OpenWork",
    "RaySettings",
    "Work",
    "batches_of",
    "drive",
    "groups_of",
    "hire",
]

T = TypeVar("T")
Episode = Callable[[Model], Awaitable[T]]


class _Rounds:
    """Gathers one request of every live episode into one call, so that a batch is always the same batch.

    A round is over when every episode still running waits for the model. Requests go in the order of the episodes,
    whatever order they arrived in: together with per-request seeds this makes a run reproducible.
    """

    def __init__(self, model: Model, n: int) -> None:
        self.model = model
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

    def cancel(self) -> None:
        """Stop a round that nobody waits for any more."""
        if self._flush is not None:
            self._flush.cancel()

    async def _run(self, waiting: dict[int, tuple[Sequence[Request], asyncio.Future[list[list[Sample]]]]]) -> None:
        batch = [waiting[place] for place in sorted(waiting)]
        asked = [r for requests, _ in batch for r in requests]
        distinct: list[Request] = []  # one and the same request has one and the same reply; not all can be hashed
        distinct.extend(r for r in asked if r not in distinct)
        try:
            replies = list(await self.model.generate(distinct))
            if len(replies) != len(distinct):
                raise ValueError(f"{len(replies)} replies to {len(distinct)} requests")
        except BaseException as e:
            for _, future in batch:
                if not future.done():
                    future.set_exception(e)
            return
        for requests, future in batch:
            result = [replies[distinct.index(r)] for r in requests]
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
        """The model belongs to the caller of :func:`drive`."""


Groups = list[list[tuple[int, Episode[T]]]]


def groups_of(model: Model, episodes: Sequence[Episode[T]], missing: Iterable[int]) -> Groups[T]:
    """The episodes to run so that the ``missing`` ones get done, in groups that run together.

    In lockstep the groups are fixed slices of ``episodes`` and one missing episode brings its whole group: what a
    batch gives may hang on who shares it, so a run taken up again has to form the same batches.
    """
    batches = batches_of(model.lockstep, model.batch_size, len(episodes), missing)
    return [[(i, episodes[i]) for i in batch] for batch in batches]


def batches_of(lockstep: bool, batch_size: int, n: int, missing: Iterable[int]) -> list[list[int]]:
    """The places of :func:`groups_of` among ``n`` episodes, for a model that is somewhere else."""
    wanted = set(missing)
    if not lockstep:
        return [sorted(wanted)]
    slices = [range(i, min(i + batch_size, n)) for i in range(0, n, batch_size)]
    return [list(part) for part in slices if not wanted.isdisjoint(part)]


async def drive(model: Model, groups: Groups[T], on_done: Callable[[int, T], None]) -> None:
    """Run every group of episodes; ``on_done(index, result)`` is called in this thread as each episode ends.

    An exception out of an episode or out of ``on_done`` ends the others and is raised; what was done is done.
    """
    for group in groups:
        if model.lockstep:
            rounds = _Rounds(model, len(group))
            try:
                await _all([_seated(rounds, place, i, e, on_done) for place, (i, e) in enumerate(group)])
            finally:
                rounds.cancel()
        else:
            gate = asyncio.Semaphore(model.batch_size)
            await _all([_gated(gate, model, i, e, on_done) for i, e in group])


async def _gated(
    gate: asyncio.Semaphore, model: Model, i: int, episode: Episode[T], on_done: Callable[[int, T], None]
) -> None:
    async with gate:
        on_done(i, await episode(model))


async def _seated(rounds: _Rounds, place: int, i: int, episode: Episode[T], on_done: Callable[[int, T], None]) -> None:
    try:
        result = await episode(_Seat(rounds.model, rounds, place))
    finally:
        rounds.leave()
    on_done(i, result)


async def _all(coroutines: Sequence[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


# --- the work of a stage, and its workers -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """A model and all episodes of a stage in a fixed order, done ones included."""

    model: Model
    episodes: Sequence[Episode[T]]


OpenWork = Callable[[], AbstractAsyncContextManager[Work[T]]]
"""Makes the work and closes it again. For workers elsewhere it has to survive pickling (a ``functools.partial``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """Where a recipe with ``executor = "ray"`` runs its episodes.

    ``address`` names a running cluster (``"auto"``: the one that this machine is part of); without it, a cluster of
    this machine alone is started for the stage. ``cpus`` and ``gpus`` are what one of the ``workers`` is given.
    """

    workers: int = 2
    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0


OnDone = Callable[[Sequence[tuple[int, Any]]], None]


class Crew(Protocol):
    """Runs episodes. ``batch_size`` is how many one model of the crew runs together."""

    batch_size: int

    async def run(self, missing: Collection[int], on_done: OnDone) -> None:
        """Run the episodes at the places ``missing``; ``on_done`` is called here, in this process, with places and
        results as they come: one by one, or as many as a worker sends together.

        A place that is not missing may be run too, where its batch would otherwise be another. An exception out of an
        episode or of ``on_done`` ends the others and is raised; what was done is done.
        """


def hire(open_work: OpenWork[Any], ray: RaySettings | None) -> AbstractAsyncContextManager[Crew]:
    """The crew for a piece of work: workers on Ray with settings for it, else this process."""
    if ray is None:
        return here(open_work)
    from agentdistill.batching.ray import RayCrew

    return RayCrew(open_work, ray)


class LocalCrew:
    """A crew of one model."""

    def __init__(self, work: Work[Any]) -> None:
        self.batch_size = work.model.batch_size
        self._work = work

    async def run(self, missing: Collection[int], on_done: OnDone) -> None:
        """See :class:`Crew`."""

        def one_by_one(place: int, result: Any) -> None:
            on_done([(place, result)])

        await drive(self._work.model, groups_of(self._work.model, self._work.episodes, missing), one_by_one)


@asynccontextmanager
async def here(open_work: OpenWork[Any]) -> AsyncIterator[Crew]:
    """The work, opened in this process."""
    async with open_work() as work:
        yield LocalCrew(work)
