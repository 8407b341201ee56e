"""The process that formulas are compared in, started when first needed, killed and replaced when it takes too long."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path

from agentdistill.errors import InfrastructureError

START_LIMIT_S = 120.0
"""Starting imports sympy: a second or two, much longer on a busy machine."""

_lock = threading.Lock()
_worker: _Worker | None = None


class _Died(Exception):
    """The worker closed its output before it answered."""


class _Worker:
    def __init__(self) -> None:
        script = Path(__file__).with_name("_math_worker.py")
        # -P: the script's folder holds a math.py, which must not stand in for the standard library's.
        # A session of its own: Ctrl-C is for us, and the worker ends when its input closes.
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = os.getpid()
        self._buffer = b""
        try:
            ready = self._line(START_LIMIT_S)
        except _Died:
            ready = None
        if ready != "ready":
            self.kill()
            raise InfrastructureError("the math grader's worker did not start (is math-verify installed and working?)")

    def ask(self, request: dict[str, object], limit_s: float) -> dict[str, object] | None:
        """The reply, or None at the time limit. Raises _Died."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as e:
            raise _Died from e
        line = self._line(limit_s)
        return None if line is None else json.loads(line)

    def _line(self, limit_s: float) -> str | None:
        assert self.process.stdout is not None
        fd, deadline = self.process.stdout.fileno(), time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return None
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                raise _Died
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def kill(self) -> None:
        """End the process and let go of its pipes."""
        if self.pid == os.getpid():
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@lru_cache(maxsize=4096)
def compare(gold: str, prediction: str, limit_s: float) -> tuple[bool | None, str]:
    """Whether two formulas have the same value, and why; None where that was not found out within the limits.

    May be called from any thread. Raises InfrastructureError where the worker cannot be started.
    """
    global _worker
    with _lock:
        if _worker is None or _worker.pid != os.getpid():
            _worker = _Worker()
        try:
            reply = _worker.ask({"gold": gold, "prediction": prediction, "limit_s": limit_s}, limit_s)
        except _Died:
            _stop()
            return None, "too large to compare (the worker died)"
        if reply is None:
            _stop()
            return None, f"not compared within {limit_s:g} s"
        return bool(reply["correct"]), str(reply["reason"])


@atexit.register
def _stop() -> None:
    global _worker
    if _worker is not None:
        _worker.kill()
        _worker = None
