"""Functions of the host that model code may call: JSON in, JSON out, a time limit each, failures as text.

Every argument is chosen by hostile code. A tool must treat them as such; this module only guarantees their shape.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

Tools = Mapping[str, Callable[..., Any]]
MOST = 4 << 20  # bytes of JSON, either way


def checked(tools: Tools) -> dict[str, Callable[..., Any]]:
    """A copy of `tools`. Raises ValueError for a name model code could not call."""
    for name, tool in tools.items():
        if not name.isidentifier() or not callable(tool):
            raise ValueError(f"tools[{name!r}] must be a callable under a name that is an identifier")
    return dict(tools)


class Call:
    """One call from model code. `run` gives (ok, JSON text) and never raises; a late tool is left to finish unheard."""

    def __init__(self, tools: Tools, name: str, asked: bytes) -> None:
        self._tools, self._name, self._asked = tools, name, asked
        self._answer: tuple[bool, str] | None = None
        self._done = threading.Event()

    def run(self, limit_s: float) -> tuple[bool, str]:
        """Call the tool in a thread of its own and wait at most `limit_s` seconds."""
        tool = self._tools.get(self._name)
        if tool is None:
            return False, json.dumps(f"no tool named {self._name!r}")
        try:
            args, kwargs = json.loads(self._asked)
            args, kwargs = list(args), {str(key): value for key, value in kwargs.items()}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return False, json.dumps("the arguments are not JSON")
        # A daemon thread: a tool that hangs must not keep the host from exiting.
        work = threading.Thread(target=self._work, args=(tool, args, kwargs, limit_s), name="sandbox-tool", daemon=True)
        work.start()
        if not self._done.wait(limit_s) or self._answer is None:
            return False, json.dumps(f"{self._name} took longer than {limit_s:g} s")
        return self._answer

    def _work(self, tool: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], limit_s: float) -> None:
        try:
            value = tool(*args, **kwargs)
            if inspect.isawaitable(value):
                value = asyncio.run(_within(value, limit_s))
            text = json.dumps(value)
            if len(text) > MOST:
                raise ValueError(f"the result is longer than {MOST} bytes")
            self._answer = True, text
        except BaseException as problem:  # whatever a tool raises goes to the model, not to the host
            self._answer = False, json.dumps(f"{type(problem).__name__}: {problem}"[:10_000])
        finally:
            self._done.set()


async def _within(value: Any, limit_s: float) -> Any:
    return await asyncio.wait_for(value, limit_s)
