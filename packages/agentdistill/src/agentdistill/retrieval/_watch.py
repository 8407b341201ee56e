"""How far a long piece of work is: to whoever asked to know, else on stderr once it turns out to be long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agentdistill.progress import Progress

QUIET_S = 20.0
"""Work that takes less is not worth a line."""


@contextmanager
def watched(progress: Progress | None, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to be told of pieces done, out of ``total`` passages of the index ``what``."""
    if progress is None:
        yield _Stderr(what, total).advance
        return
    task = progress.task("index", f"{what} · {total:,} passages", total)
    yield task.advance
    task.done("")


class _Stderr:
    """A line every so often, where nobody shows progress."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._n = what, total, 0
        self._started = self._said = time.monotonic()

    def advance(self, n: int) -> None:
        self._n += n
        now = time.monotonic()
        if now - self._said > QUIET_S:
            self._said = now
            rate = self._n / (now - self._started)
            text = f"index     {self._what}  {self._n:,}/{self._total:,} passages  {rate:,.0f}/s"
            print(text, file=sys.stderr, flush=True)
