"""What can be told of an answer as it comes about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentdistill.errors import InfrastructureError
from agentdistill.loop import reply_of
from agentdistill.models import Model, is_out_of_context
from agentdistill.types import Request, Sample, Step, Trace
from agentdistill.verify.judging import Answered


@dataclass(frozen=True, slots=True)
class Wrote:
    """What the model has just written, not yet run: one reply, or several candidates that will be voted on."""

    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What happened in one of several trajectories that go side by side. ``place`` counts from 0."""

    place: int
    event: Wrote | Step


@dataclass(frozen=True, slots=True)
class Ended:
    """One of several trajectories has come to its end."""

    place: int
    trace: Trace


@dataclass(frozen=True, slots=True)
class Chosen:
    """All trajectories are checked, and one of them is the answer."""

    found: Answered


Event = Wrote | Step | Tried | Ended | Chosen
Tell = Callable[[Event], None]


class Watched:
    """A model whose words are told as soon as they are written, before the loop runs them.

    ``retry_after_s`` is what its last fault said of when to ask again: the trace that the loop makes of a fault holds
    no such thing.
    """

    lockstep = False

    def __init__(self, model: Model, tell: Callable[[Wrote], None]) -> None:
        self.name, self.batch_size, self.context_length = model.name, model.batch_size, model.context_length
        self._model, self._tell = model, tell
        self.retry_after_s: float | None = None

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """As :meth:`agentdistill.models.Model.generate`."""
        try:
            answers = await self._model.generate(requests)
        except InfrastructureError as e:
            self.retry_after_s = e.retry_after_s
            raise
        for request, samples in zip(requests, answers, strict=True):
            if not is_out_of_context(samples[0]):
                self._tell(Wrote(tuple(reply_of(s, request.prefix).content for s in samples)))
        return answers

    async def aclose(self) -> None:
        """The model belongs to the agent."""
