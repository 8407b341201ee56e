"""Who runs the episodes of a stage: this process, or the workers of a Ray cluster. The results are the same.

A stage hands over its :data:`OpenWork`, a function that makes a model and all its episodes. Calling it gives the same
work in every process, so what runs where does not matter: an episode's seeds hang on its name, and the batches of a
model in lockstep on the order of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from agentdistill.driver import Episode
from agentdistill.models import Model

__all__ = ["Crew", "OnDone", "OpenWork", "RaySettings", "Work", "hire"]

T = TypeVar("T")


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
        from agentdistill.executors.local import here

        return here(open_work)
    from agentdistill.executors.ray import RayCrew

    return RayCrew(open_work, ray)
