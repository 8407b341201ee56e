"""Stages that go on where they stopped: run what a journal lacks, keep what comes, give up where only faults come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from agentdistill.batching import OpenWork, RaySettings, hire
from agentdistill.errors import AgentDistillError, InfrastructureError, ModelError, RefusedError
from agentdistill.store import append_jsonl
from agentdistill.types import End, Trace

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
Fault = InfrastructureError | RefusedError
"""Why an episode came to nothing."""
_IN_A_ROW, _MANY_REFUSED = 8, 100


def fault_of(trace: Trace) -> Fault | None:
    """Why a trace is none: a server that refuses a conversation will refuse it again, another fault may pass."""
    if trace.end is not End.FAULT:
        return None
    return RefusedError(trace.fault or "") if trace.refused else InfrastructureError(trace.fault or "")


def run_missing(
    ids: Sequence[K],
    done: MutableMapping[K, R],
    journal: Path,
    open_work: OpenWork[R],
    fault: Callable[[R], Fault | None],
    on_result: Callable[[R, R | None], None] = lambda result, before: None,
    *,
    ray: RaySettings | None = None,
    what: str = "trajectories",
    whole: bool = False,
) -> dict[K, R]:
    """Run the episodes of ``open_work``, one for each of ``ids`` in their order, that are not in ``done``.

    The work is opened only where one is missing. Results are appended to ``journal`` as they come, put into ``done``
    and told to ``on_result``, with the fault that they replace. Faults are not kept: one of the world is tried once
    more, a refusal is not. Returns the faults that are left. Raises InfrastructureError where faults of the world come
    in a row, where nothing else came, and with ``whole`` where one is left; ModelError where all were refused. What
    came before stays in the journal.
    """
    run = _Missing(ids, done, journal, fault, on_result, what)
    if any(i not in done for i in ids):
        asyncio.run(run.all(open_work, ray))
        run.check_end(whole)
    return run.faults


@dataclass(slots=True)
class _Missing(Generic[K, R]):
    """What is left to run, and the breaker: it gives up when nothing but faults comes back.

    Faults of the world count in a row: a server that is gone is waited for each time. A refused conversation is asked
    once and costs nothing, so refusals count only while nothing at all was answered, and for long.
    """

    ids: Sequence[K]
    done: MutableMapping[K, R]
    journal: Path
    fault: Callable[[R], Fault | None]
    on_result: Callable[[R, R | None], None]
    what: str
    faults: dict[K, R] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    in_a_row: int = 0

    async def all(self, open_work: OpenWork[R], ray: RaySettings | None) -> None:
        """Everything that is missing, and once more what met a fault of the world."""
        async with hire(open_work, ray) as crew:
            limit = max(_IN_A_ROW, crew.batch_size)
            for _ in range(2):
                refused = {i for i, r in self.faults.items() if isinstance(self.fault(r), RefusedError)}
                self.missing = {at for at, i in enumerate(self.ids) if i not in self.done and i not in refused}
                self.in_a_row = 0
                if self.missing:
                    await crew.run(self.missing, lambda came: self.keep(came, limit))

    def keep(self, came: Sequence[tuple[int, Any]], limit: int) -> None:
        """Take in what came; some of it may have been run again only to keep its batch the same."""
        new = [(self.ids[at], result, self.fault(result)) for at, result in came if at in self.missing]
        append_jsonl(self.journal, [result for _, result, why in new if why is None])
        for i, result, why in new:
            before = self.faults.pop(i, None)
            (self.done if why is None else self.faults)[i] = result
            self.on_result(result, before)
            self.in_a_row = 0 if why is None else self.in_a_row + (not isinstance(why, RefusedError))
            many = len(self.faults) >= _MANY_REFUSED and not self.done
            if why is not None and (self.in_a_row >= limit or many):
                raise self.error(why)

    def check_end(self, whole: bool) -> None:
        """Raise where nothing but faults came, and with ``whole`` where a fault of the world is left."""
        left = [why for r in self.faults.values() if (why := self.fault(r)) is not None]
        passing = [f for f in left if not isinstance(f, RefusedError)]
        if left and (not self.done or (whole and passing)):
            raise self.error((passing or left)[0])

    def error(self, why: Fault) -> AgentDistillError:
        """What is told where it ends at this fault."""
        n_done = sum(i in self.done for i in self.ids)
        saved = f"{n_done} of {len(self.ids)} {self.what} are saved"
        if isinstance(why, RefusedError):
            return ModelError(f"{why}; every question so far was refused, {saved}")
        return InfrastructureError(f"{why}; {saved}, run the same command to go on")
