"""The portable, WEAK node: an ordinary child interpreter on two pipes, held by resource limits alone.

It exists for machines without the Linux layers. Model code here can read files and open sockets as the user can.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

from . import cell, node, wire


class _Files:
    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sink.flush()


def main(argv: list[str]) -> None:
    """Serve cells on stdin and stdout until stdin closes. `argv[0]`: JSON of modules, seed and limits."""
    options: dict[str, Any] = json.loads(argv[0])
    pipe = _Files(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(quiet, fd)
    os.close(quiet)
    absent = cell.preload(tuple(options["modules"]))
    cell.seeded(options["seed"])()
    _confine(options)
    pipe.write(wire.pack(wire.HELLO, [json.dumps(absent).encode()]))
    try:
        node.Node(pipe).serve()
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
