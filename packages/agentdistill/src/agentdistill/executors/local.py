"""Episodes in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from agentdistill.driver import drive, groups_of
from agentdistill.executors import Crew, OnDone, OpenWork, Work


class LocalCrew:
    """A crew of one model."""

    def __init__(self, work: Work[Any]) -> None:
        self.batch_size = work.model.batch_size
        self._work = work

    async def run(self, missing: Collection[int], on_done: OnDone) -> None:
        """See :class:`agentdistill.executors.Crew`."""

        def one_by_one(place: int, result: Any) -> None:
            on_done([(place, result)])

        await drive(self._work.model, groups_of(self._work.model, self._work.episodes, missing), one_by_one)


@asynccontextmanager
async def here(open_work: OpenWork[Any]) -> AsyncIterator[Crew]:
    """The work, opened in this process."""
    async with open_work() as work:
        yield LocalCrew(work)
