"""What runs on the other side: one process with the work of a stage in its hands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from agentdistill.driver import drive
from agentdistill.errors import AgentDistillError, InfrastructureError
from agentdistill.executors import OpenWork, Work


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a worker says once its work is open: how its model likes to be asked, and how many episodes there are."""

    lockstep: bool
    batch_size: int
    n_episodes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a chunk: results by their places, and the error that ended it before its end."""

    results: tuple[tuple[int, Any], ...]
    error: AgentDistillError | None = None


class Worker:
    """An actor. Errors raised on purpose are returned, so that they arrive as what they are; others are raised."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()  # one for all chunks: a model's connections belong to it
        self._open: AbstractAsyncContextManager[Work[Any]] | None = None
        self._work: Work[Any] | None = None

    def load(self, order: tuple[OpenWork[Any], str]) -> Loaded | AgentDistillError:
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
        return Loaded(work.model.lockstep, work.model.batch_size, len(work.episodes))

    def run(self, chunk: Sequence[int]) -> Report:
        """Run the episodes at these places together."""
        assert self._work is not None, "the worker has not loaded its work"
        results: list[tuple[int, Any]] = []
        group = [(i, self._work.episodes[i]) for i in chunk]
        try:
            self._loop.run_until_complete(drive(self._work.model, [group], lambda i, r: results.append((i, r))))
        except AgentDistillError as e:
            return Report(tuple(results), e)
        return Report(tuple(results))

    def close(self) -> None:
        """Close what was opened."""
        if self._open is not None and self._work is not None:
            self._loop.run_until_complete(self._open.__aexit__(None, None, None))
        self._open = self._work = None
