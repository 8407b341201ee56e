"""One sample while it is being written, whoever computes its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agentdistill.types import Sampling, StopReason


class Cancelled(Exception):
    """The caller no longer waits for the result."""


@dataclass(slots=True, eq=False)
class Row:
    """One sample being written: what it continues (``prefix`` ends ``prompt``), how, and what has been written."""

    prompt: tuple[int, ...]
    sampling: Sampling
    max_new: int
    uniforms: Sequence[float] = ()
    prefix: tuple[int, ...] = ()
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    stop: StopReason | None = None

    def take(self, token: int, logprob: float, end_ids: frozenset[int], stops: Callable[[Row], bool]) -> None:
        """Record the next token, and whether it is the last. ``stops`` tells whether a stop string has been met."""
        self.ids.append(token)
        self.logprob += logprob
        if token in end_ids:
            self.stop = StopReason.END_TURN
        elif self.sampling.stop and stops(self):
            self.stop = StopReason.STOP_STRING
        elif len(self.ids) >= self.max_new:
            self.stop = StopReason.LENGTH


class Writer(Protocol):
    """What computes tokens. Set ``cancelled`` to stop a :meth:`run` under way at its next token."""

    cancelled: bool

    def run(self, rows: Sequence[Row]) -> None:
        """Fill ``ids``, ``logprob`` and ``stop`` of every row. Raises Cancelled."""
        ...


def n_common(a: Sequence[int], b: Sequence[int], start: int = 0) -> int:
    """How many ids two sequences begin with in common, knowing that the first ``start`` are."""
    n = min(len(a), len(b))
    return next((i for i in range(start, n) if a[i] != b[i]), n)
