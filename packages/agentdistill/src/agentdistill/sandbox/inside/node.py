"""The loop of one node: take an order, run the cell, reply. A tool call goes out over the same channel and waits.

`Pipe` is what the loop needs of a channel; the portable worker gives it file objects, the Linux node its socket.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Callable
from typing import Any, Protocol

from . import cell, wire

globals()["__builtins__"] = dict(vars(builtins))  # see wire.py


MOST_ASKED = 4 << 20  # bytes of JSON; the host takes no longer frames than this


class ToolError(RuntimeError):
    """What a failed tool raises in the model's code."""

    __module__ = "builtins"  # so that tracebacks say ToolError and no more


class Pipe(Protocol):
    """A two-way stream of bytes."""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; EOFError when the other side is gone."""
        ...

    def write(self, data: bytes) -> None:
        """All of `data`."""
        ...


class Node:
    """One state: a runner, its channel, and the tools whose calls it forwards."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.runner = cell.Runner()
        self._tools = b""
        self._cpu = cell.now()[0]

    def serve(self, fork: Callable[[int], None] | None = None) -> None:
        """Carry out orders until the other side goes away. `fork` takes the payload of FORK orders by itself."""
        while True:
            kind, size = wire.HEADER.unpack(self.pipe.read(wire.HEADER.size))
            if kind == wire.EXEC:
                self._exec(*wire.unpack(self.pipe.read(size)))
            elif kind == wire.FORK and fork is not None:
                fork(size)
            else:
                raise wire.Malformed(f"order {kind}")

    def _receive(self) -> tuple[int, list[bytes]]:
        kind, size = wire.HEADER.unpack(self.pipe.read(wire.HEADER.size))
        return kind, wire.unpack(self.pipe.read(size))

    def _exec(self, head: bytes, source: bytes, tools: bytes) -> None:
        number, soft_s, limit = wire.ORDER.unpack(head)
        if tools != self._tools:
            self._set_tools(tools)
        self._put_back(source.decode())
        outcome = self.runner.run(source.decode(), number, soft_s, limit)
        used, peak = cell.now()
        # Nothing runs between cells, so the last count is where this cell began (but a fork's own count starts at 0).
        spent, self._cpu = max(0.0, used - self._cpu), used
        self.pipe.write(self._reply(outcome, spent, peak, limit))

    def _reply(self, outcome: cell.Outcome, cpu: float, peak: int, limit: int) -> bytes:
        final, value, error = self.runner.final, outcome.value, outcome.error
        kind, message, line, text = error or ("", "", None, "")
        flags = wire.IS_FINAL * (final is not None)
        flags |= wire.TRUNCATED * (outcome.truncated or len(value or "") > limit or len(final or "") > limit)
        flags |= wire.HAS_VALUE * (value is not None) | wire.HAS_ERROR * (error is not None)
        flags |= wire.HAS_LINE * (line is not None)
        verdict = wire.VERDICT.pack(wire.STOPS.index(outcome.stop), flags, line or 0, cpu, peak)
        texts = ("".join(outcome.output), (value or "")[:limit], (final or "")[:limit], kind, message, text)
        return wire.pack(wire.REPLY, [verdict, *map(wire.encode, texts)])

    def _set_tools(self, names: bytes) -> None:
        wanted = names.decode().split("\n") if names else []
        for old in self._tools.decode().split("\n") if self._tools else []:
            if isinstance(self.runner.namespace.get(old), Tool):
                del self.runner.namespace[old]
        for name in wanted:
            self.runner.namespace[name] = Tool(name, self)
        self._tools = names

    def _put_back(self, source: str) -> None:
        """Restore the tools that the cell calls and an earlier one replaced by what cannot be called: `search = 5`."""
        for name in self._tools.decode().split("\n") if self._tools else []:
            if not callable(self.runner.namespace.get(name)) and re.search(
                rf"(?<![\w.]){re.escape(name)}\s*\(", source
            ):
                self.runner.namespace[name] = Tool(name, self)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Have the host run a tool; its answer, or ToolError with the host's words."""
        asked = json.dumps([args, kwargs]).encode()
        if len(asked) > MOST_ASKED:
            raise ToolError(f"the arguments are longer than {MOST_ASKED} bytes")
        left = self.runner.pause()  # also keeps the soft deadline from cutting a frame in two
        try:
            self.pipe.write(wire.pack(wire.CALL, [name.encode(), asked]))
            kind, fields = self._receive()
        finally:
            self.runner.resume(left)
        if kind != wire.ANSWER:
            raise wire.Malformed(f"order {kind} inside a tool call")
        answer = json.loads(fields[1])
        if fields[0] != b"ok":
            raise ToolError(answer)
        return answer


class Tool:
    """Stands in the namespace for a function of the host."""

    def __init__(self, name: str, node: Node) -> None:
        self.__name__ = self.__qualname__ = name
        self._node = node

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the host; arguments must be what JSON can carry, and may have any name, ``self`` too."""
        return self._node.call(self.__name__, args, kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.__name__}>"
