"""Episodes on the workers of a Ray cluster, an existing one or one of this machine.

Each worker is an actor that makes the work for itself: it loads the model and opens the sandbox, then runs one small
chunk of episodes at a time. Results come back to this process, the only one that writes. A worker that is lost
(killed, out of memory, its machine gone) takes nothing with it but the chunk it was at, which another is given.

What a worker needs has to be where it is: this package, and the recipe's files under the same paths.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from agentdistill import registry
from agentdistill.batching import OnDone, OpenWork, RaySettings, Work, batches_of, drive
from agentdistill.errors import AgentDistillError, InfrastructureError, UserError

Chunk = tuple[int, ...]
_LOSSES = 3
_CHUNKS_A_WORKER = 4  # where chunks may be of any size: enough of them that workers end at about the same time
_CLOSE_S = 10.0
_PATIENCE_S = 30.0  # for a place for the first worker, before somebody is told
_TRIES = 3


def load_ray() -> Any:
    """The library. Raises UserError where it is not installed."""
    try:
        import ray
    except ImportError as e:
        raise UserError('executor "ray" needs an extra: pip install "agentdistill[ray]"') from e
    return ray


@contextmanager
def connected(settings: RaySettings) -> Iterator[Any]:
    """Ray, connected to the cluster of ``settings``; a connection that is there already is used, and left there.

    Raises InfrastructureError where the cluster cannot be reached, UserError where a worker is larger than any node.
    """
    ray = load_ray()
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, settings)
    try:
        _check_demand(ray, settings)
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _check_demand(ray: Any, settings: RaySettings) -> None:
    """Ray itself would wait for ever for a node that is large enough."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(has.get("CPU", 0.0) >= settings.cpus and has.get("GPU", 0.0) >= settings.gpus for has in nodes):
        where = "this machine; name a cluster" if settings.address is None else f"any node of {settings.address}"
        raise UserError(f"a Ray worker with {_demand(settings)} does not fit {where}")


def _demand(settings: RaySettings) -> str:
    return f"cpus = {settings.cpus:g} and gpus = {settings.gpus:g}"


def _connect(ray: Any, settings: RaySettings) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    where: dict[str, Any] = {"address": settings.address}
    if settings.address is None:
        n_cpus = max(1, math.ceil(settings.workers * settings.cpus))
        where = {"address": "local", "num_cpus": n_cpus, "include_dashboard": False}
    n_tries = _TRIES if settings.address is None else 1  # a start gives up after 30 s, too soon for a busy machine
    for left in reversed(range(n_tries)):
        try:
            ray.init(**where, log_to_driver=False, logging_level="ERROR")
            return
        except Exception as e:  # Ray raises bare ones
            ray.shutdown()
            if not left:
                why = " ".join(str(e).split())[:300]
                raise InfrastructureError(f"no Ray cluster at {settings.address or 'this machine'}: {why}") from e


def chunks_of(loaded: WorkerInfo, missing: Collection[int], n_workers: int) -> list[Chunk]:
    """Which episodes are run together: whole batches in lockstep, for they may not depend on who else is missing."""
    batches = batches_of(loaded.lockstep, loaded.batch_size, loaded.n_episodes, missing)
    if loaded.lockstep:
        return [tuple(b) for b in batches]
    wanted = [i for b in batches for i in b]
    size = max(1, min(loaded.batch_size, math.ceil(len(wanted) / (_CHUNKS_A_WORKER * n_workers))))
    return [tuple(wanted[i : i + size]) for i in range(0, len(wanted), size)]


@dataclass(eq=False, slots=True)
class _Hand:
    """A worker as this process sees it. ``chunk`` is what it is at; empty while it loads or waits."""

    actor: Any
    chunk: Chunk = ()


class RayCrew:
    """A crew of ``settings.workers`` actors. To be entered before it runs anything."""

    def __init__(self, open_work: OpenWork[Any], settings: RaySettings) -> None:
        self.batch_size = 1
        self._open_work, self._settings = open_work, settings
        self._at_work: dict[Any, _Hand] = {}  # by the reference that will hold what it reports
        self._idle: list[_Hand] = []
        self._losses: Counter[Chunk] = Counter()
        self._loaded: WorkerInfo | None = None
        self._placed: list[Any] = []  # for each worker a reference that is there when the worker is
        self._told = False

    async def __aenter__(self) -> RayCrew:
        self._connection = connected(self._settings)
        self._ray = self._connection.__enter__()
        gone = self._ray.exceptions
        self._lost = (gone.RayActorError, gone.WorkerCrashedError, gone.OutOfMemoryError, gone.ObjectLostError)
        options = {"num_cpus": self._settings.cpus, "num_gpus": self._settings.gpus}
        self._actor = self._ray.remote(max_restarts=0, max_task_retries=0, **options)(Worker)
        self._began = time.monotonic()
        try:
            for _ in range(self._settings.workers):
                self._hire()
            while self._loaded is None:
                await self._next()
        except BaseException:
            await self._dismiss()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._dismiss()

    async def run(self, missing: Collection[int], on_done: OnDone) -> None:
        """See :class:`agentdistill.batching.Crew`. Raises InfrastructureError where worker after worker is lost."""
        assert self._loaded is not None, "the crew has not been entered"
        todo = deque(chunks_of(self._loaded, missing, self._settings.workers))
        while todo or any(hand.chunk for hand in self._at_work.values()):
            while todo and self._idle:
                hand = self._idle.pop(0)
                hand.chunk = todo.popleft()
                self._at_work[hand.actor.run.remote(hand.chunk)] = hand
            lost, report = await self._next()
            if lost:
                todo.appendleft(lost)
            if report is not None:
                on_done(report.results)
                if report.error is not None:
                    raise report.error

    def _hire(self) -> None:
        actor = self._actor.remote(registry.looked_in())
        self._placed.append(actor.__ray_ready__.remote())
        self._at_work[actor.load.remote((self._open_work, os.getcwd()))] = _Hand(actor)

    def _tell_if_unplaced(self) -> None:
        """Say once that the cluster, busy or growing, has had no room for any worker for long."""
        if self._told or self._loaded is not None or time.monotonic() - self._began < _PATIENCE_S:
            return
        self._told = True
        if not self._ray.wait(self._placed, num_returns=1, timeout=0)[0]:
            text = f"no Ray worker has been given a place yet; waiting for a node with {_demand(self._settings)} free"
            print(text, file=sys.stderr, flush=True)

    async def _next(self) -> tuple[Chunk, ChunkResult | None]:
        """Wait for a worker: what it reports, and the chunk it took with it if it was lost instead."""
        ready: list[Any] = []
        while not ready:
            ready, _ = await asyncio.to_thread(self._ray.wait, list(self._at_work), num_returns=1, timeout=1.0)
            self._tell_if_unplaced()
        hand = self._at_work.pop(ready[0])
        try:
            said = self._ray.get(ready[0])
        except self._lost as e:
            self._ray.kill(hand.actor)
            self._lose(hand, e)
            return hand.chunk, None
        hand.chunk = ()
        self._idle.append(hand)
        if isinstance(said, ChunkResult):
            self._losses[()] = 0
            return (), said
        if isinstance(said, Exception):
            raise said
        self._loaded, self.batch_size = said, said.batch_size
        return (), None

    def _lose(self, hand: _Hand, error: Exception) -> None:
        """Replace a worker, unless the same chunk, or loading, has cost too many already."""
        self._losses[hand.chunk] += 1
        limit = _LOSSES if hand.chunk else _LOSSES * self._settings.workers
        if self._losses[hand.chunk] >= limit:
            what = f"running {len(hand.chunk)} episodes" if hand.chunk else "loading the model"
            why = " ".join(str(error).split())[:200]
            raise InfrastructureError(
                f"{self._losses[hand.chunk]} Ray workers were lost while {what} (is there enough memory for one?); "
                f"what was done is kept, run the same command to go on: {why}"
            )
        self._hire()

    async def _dismiss(self) -> None:
        """End every worker, those at rest with time to close what they opened."""
        try:
            closing = [hand.actor.close.remote() for hand in self._idle]
            if closing:
                await asyncio.to_thread(self._ray.wait, closing, num_returns=len(closing), timeout=_CLOSE_S)
            for hand in [*self._idle, *self._at_work.values()]:
                self._ray.kill(hand.actor)
            self._idle, self._at_work = [], {}
        finally:
            self._connection.__exit__(None, None, None)


# --- in a worker ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says once its work is open: how its model likes to be asked, and how many episodes there are."""

    lockstep: bool
    batch_size: int
    n_episodes: int


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What became of a chunk: results by their places, and the error that ended it before its end."""

    results: tuple[tuple[int, Any], ...]
    error: AgentDistillError | None = None


class Worker:
    """An actor, which finds plug-ins in ``folders`` too, as the process that hired it does.

    Errors raised on purpose are returned, so that they arrive as what they are; others are raised.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        for folder in folders:  # by now: what :meth:`load` is given may be of a module there
            registry.look_in(folder)
        self._loop = asyncio.new_event_loop()  # one for all chunks: a model's connections belong to it
        self._open: AbstractAsyncContextManager[Work[Any]] | None = None
        self._work: Work[Any] | None = None

    def load(self, order: tuple[OpenWork[Any], str]) -> WorkerInfo | AgentDistillError:
        """Open the work, in the folder that the recipe's relative paths start from."""
        open_work, folder = order
        try:
            os.chdir(folder)
        except OSError as e:
            why = f"{folder}: a Ray worker cannot go there ({e.strerror}); the run's folder has to be shared"
            return InfrastructureError(why)
        try:
            self._open = open_work()
            work = self._work = self._loop.run_until_complete(self._open.__aenter__())
        except AgentDistillError as e:
            return e
        return WorkerInfo(work.model.lockstep, work.model.batch_size, len(work.episodes))

    def run(self, chunk: Sequence[int]) -> ChunkResult:
        """Run the episodes at these places together."""
        assert self._work is not None, "the worker has not loaded its work"
        results: list[tuple[int, Any]] = []
        group = [(i, self._work.episodes[i]) for i in chunk]
        try:
            self._loop.run_until_complete(drive(self._work.model, [group], lambda i, r: results.append((i, r))))
        except AgentDistillError as e:
            return ChunkResult(tuple(results), e)
        return ChunkResult(tuple(results))

    def close(self) -> None:
        """Close what was opened."""
        if self._open is not None and self._work is not None:
            self._loop.run_until_complete(self._open.__aexit__(None, None, None))
        self._open = self._work = None
