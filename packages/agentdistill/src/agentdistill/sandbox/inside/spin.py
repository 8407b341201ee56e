"""Wait awake for a moment before sleeping: on an idle machine to wake a sleeper takes longer than a small cell."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable

globals()["__builtins__"] = dict(vars(builtins))  # see wire.py

SPIN_S = 100e-6
MOST_SKIPPED = 256
_clock = time.perf_counter


class Spin:
    """Call it to wait for at most SPIN_S. `ready()` tells, at once, whether there is something to read.

    Where that was in vain (a long cell, or another process on the core that the answer needs), the next waits go to
    sleep at once: 1 of them, then 3, 7, 15 ... until a wait succeeds again.
    """

    def __init__(self, ready: Callable[[], object]) -> None:
        self._ready = ready
        self._skip = self._skipped = 0

    def __call__(self) -> bool:
        """True if something is there to read; False says nothing, sleep now."""
        if self._skipped < self._skip:
            self._skipped += 1
            return False
        self._skipped = 0
        now = began = _clock()
        while now - began < SPIN_S:
            if self._ready():
                self._skip = 0
                return True
            now = _clock()
        self._skip = min(2 * self._skip + 1, MOST_SKIPPED)
        return False
