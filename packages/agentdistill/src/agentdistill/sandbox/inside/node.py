"""One node: take an order, run the cell, reply. A tool call goes out over the same channel and waits.

`main` runs the portable, WEAK node: an ordinary child interpreter on two pipes, held by resource limits alone, for
machines without the Linux layers. Model code in it can read files and open sockets as the user can.
"""

from __future__ import annotations

import builtins
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from . import cell, wire

globals()["__builtins__"] = dict(vars(builtins))  # see wire.py

# Bound now: model code may replace them in os.
_read, _write = os.read, os.write


class ToolError(RuntimeError):
    """What a failed tool raises in the model's code."""

    __module__ = "builtins"  # so that tracebacks say ToolError and no more


class DescriptorChannel:
    """A node's channel, by its descriptors. `wait` is called after a reply, before the next read."""

    def __init__(self, source: int, sink: int, wait: Callable[[], object] = bool) -> None:
        self._source, self._sink, self._wait = source, sink, wait
        self._replied = False

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; EOFError when the host is gone."""
        if self._replied:
            self._replied = False
            self._wait()
        data = _read(self._source, size)
        while len(data) < size:
            more = _read(self._source, size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def write(self, data: bytes) -> None:
        """All of `data`."""
        self._replied = True
        done = _write(self._sink, data)
        while done < len(data):
            done += _write(self._sink, data[done:])


class Node:
    """One state: a runner, its channel, and the tools whose calls it forwards."""

    def __init__(self, channel: DescriptorChannel) -> None:
        self.channel = channel
        self.runner = cell.Runner()
        self._tools = b""
        self._names: list[str] = []
        self._cpu = cell.now()[0]

    def serve(self, fork: Callable[[int], None] | None = None) -> None:
        """Carry out orders until the other side goes away. `fork` takes the payload of FORK orders by itself."""
        while True:
            kind, size = wire.HEADER.unpack(self.channel.read(wire.HEADER.size))
            if kind == wire.EXEC:
                self._exec(*wire.unpack(self.channel.read(size)))
            elif kind == wire.FORK and fork is not None:
                fork(size)
            else:
                raise wire.Malformed(f"order {kind}")

    def _exec(self, head: bytes, source: bytes, tools: bytes) -> None:
        number, soft_s, limit = wire.ORDER.unpack(head)
        text = source.decode()
        if tools != self._tools:
            self._set_tools(tools)
        self._put_back(text)
        outcome = self.runner.run(text, number, soft_s, limit)
        used, peak = cell.now()
        # Nothing runs between cells, so the last count is where this cell began (but a fork's own count starts at 0).
        spent, self._cpu = max(0.0, used - self._cpu), used
        self.channel.write(self._reply(outcome, spent, peak, limit))

    def _reply(self, outcome: cell.CellResult, cpu: float, peak: int, limit: int) -> bytes:
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
        for old in self._names:
            if isinstance(self.runner.namespace.get(old), Tool):
                del self.runner.namespace[old]
        self._tools, self._names = names, names.decode().split("\n") if names else []
        for name in self._names:
            self.runner.namespace[name] = Tool(name, self)

    def _put_back(self, source: str) -> None:
        """Restore the tools that the cell calls and an earlier cell replaced by a value: `search = 5`."""
        for name in self._names:
            called = rf"(?<![\w.]){re.escape(name)}\s*\("
            if not callable(self.runner.namespace.get(name)) and re.search(called, source):
                self.runner.namespace[name] = Tool(name, self)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The host's answer to a tool call. Raises ToolError with the host's message."""
        asked = json.dumps([args, kwargs]).encode()
        if len(asked) > wire.MAX_JSON:
            raise ToolError(f"the arguments are longer than {wire.MAX_JSON} bytes")
        left = self.runner.pause()  # also keeps the soft deadline from cutting a frame in two
        try:
            self.channel.write(wire.pack(wire.CALL, [name.encode(), asked]))
            kind, size = wire.HEADER.unpack(self.channel.read(wire.HEADER.size))
            fields = wire.unpack(self.channel.read(size))
        finally:
            self.runner.resume(left)
        if kind != wire.ANSWER:
            raise wire.Malformed(f"order {kind} inside a tool call")
        answer = json.loads(fields[1])
        if fields[0] != b"ok":
            raise ToolError(answer)
        return answer


class Tool:
    """A function of the host, as the namespace holds it."""

    def __init__(self, name: str, node: Node) -> None:
        self.__name__ = self.__qualname__ = name
        self._node = node

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the host; arguments must be what JSON can carry, and may have any name, ``self`` too."""
        return self._node.call(self.__name__, args, kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.__name__}>"


def main(argv: list[str]) -> None:
    """Serve cells on stdin and stdout until stdin closes. `argv[0]`: JSON of modules, seed and limits."""
    options: dict[str, Any] = json.loads(argv[0])
    channel = DescriptorChannel(os.dup(0), os.dup(1))
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(quiet, fd)
    os.close(quiet)
    cell.preload(tuple(options["modules"]))
    cell.seed_generators(options["seed"])
    _confine(options)
    channel.write(wire.pack(wire.HELLO, []))
    try:
        Node(channel).serve()
    finally:
        os._exit(0)  # never atexit functions: those are the model's


def _confine(options: dict[str, Any]) -> None:
    try:
        import resource
    except ImportError:  # Windows: no limits at all
        return
    ceilings = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: options["scratch"]}
    if sys.platform == "linux":
        with open("/proc/self/statm", "rb") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        ceilings[resource.RLIMIT_AS] = mapped + options["memory"]
    for what, most in ceilings.items():
        resource.setrlimit(what, (most, most))
