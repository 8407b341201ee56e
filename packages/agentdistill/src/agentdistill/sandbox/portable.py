"""The WEAK mode without the Linux layers: one child interpreter per state, forked by replay."""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from typing import IO

from .inside import command, environment, wire
from .step import ChannelTimeout, Death, Gone, NodeHandle, Oversize
from .types import Capabilities, Limits, SandboxBroken

START_S = 60.0


class PipeChannel:
    """A channel over the two pipes of a child process, with a reading thread: works on every platform."""

    def __init__(self, source: IO[bytes], sink: IO[bytes], most: int) -> None:
        self._source, self._sink, self._most = source, sink, most
        self._frames: queue.SimpleQueue[tuple[int, bytes] | Exception] = queue.SimpleQueue()
        self._next: tuple[int, bytes] | Exception | None = None
        threading.Thread(target=self._read, name="sandbox-pipe", daemon=True).start()

    def _read(self) -> None:
        try:
            while True:
                head = self._source.read(wire.HEADER.size)
                if len(head) < wire.HEADER.size:
                    raise Gone
                kind, size = wire.HEADER.unpack(head)
                if size > self._most:
                    raise Oversize(size)
                payload = self._source.read(size)
                if len(payload) < size:
                    raise Gone
                self._frames.put((kind, payload))
        except (Gone, Oversize) as problem:
            self._frames.put(problem)
        except (OSError, ValueError):
            self._frames.put(Gone())

    def send(self, frame: bytes, deadline: float) -> None:
        """See Channel. The deadline is not used: a pipe takes the small orders at once."""
        try:
            self._sink.write(frame)
            self._sink.flush()
        except (OSError, ValueError):
            raise Gone from None

    def wait(self, deadline: float) -> bool:
        """See Channel."""
        if self._next is None:
            with contextlib.suppress(queue.Empty):
                self._next = self._frames.get(timeout=max(0.0, deadline - time.monotonic()))
        return self._next is not None

    def receive(self, deadline: float, most: int) -> tuple[int, list[bytes]]:
        """See Channel."""
        if not self.wait(deadline) or self._next is None:
            raise ChannelTimeout
        found, self._next = self._next, None
        if isinstance(found, Exception):
            self._frames.put(found)  # the next caller learns it too
            raise found
        kind, payload = found
        if len(payload) > most:
            raise Oversize(len(payload))
        return kind, wire.unpack(payload)

    def ended(self) -> bool:
        """See Channel."""
        return self.wait(0.0) and isinstance(self._next, Gone)

    def close(self) -> None:
        """See Channel."""
        for file in (self._sink, self._source):
            with contextlib.suppress(OSError):
                file.close()


class PortableNode(NodeHandle):
    """A child interpreter with a scratch folder of its own. It keeps the Sandbox's limits, whatever the session's."""

    def __init__(self, limits: Limits, modules: tuple[str, ...], seed: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="sandbox-")
        options = {"modules": modules, "seed": seed}
        options |= {"memory": limits.memory_mb << 20, "scratch": limits.scratch_mb << 20}
        self._process = subprocess.Popen(
            command("node", json.dumps(options)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(seed),
            cwd=self._folder,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        most = 24 * limits.output_chars + (8 << 20)
        self.channel = PipeChannel(self._process.stdout, self._process.stdin, most)
        try:
            self.channel.receive(time.monotonic() + START_S, 1 << 16)
        except (Gone, ChannelTimeout, Oversize, wire.Malformed) as problem:
            self.kill()
            raise SandboxBroken(f"the worker did not start: {problem!r}") from None

    def kill(self) -> Death:
        """End the process and remove its folder."""
        status = self._process.poll()
        if status is None:
            with contextlib.suppress(OSError):
                self._process.kill()
        self._process.wait()
        self.channel.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return Death(f"the process ended with status {status}" if status is not None else "the process was killed")


class PortableBackend:
    """Starts portable nodes: there is no template, so each session costs the start of an interpreter."""

    broken = False  # each node stands alone

    def __init__(self, limits: Limits, modules: tuple[str, ...], seed: int) -> None:
        self._limits, self._modules, self._seed = limits, modules, seed
        missing = ("fork", "namespaces", "landlock", "seccomp")
        self.capabilities = Capabilities("process", ("rlimits",), missing, "WEAK: model code can do what the user can")

    def spawn(self) -> PortableNode:
        """A fresh state; raises SandboxBroken."""
        return PortableNode(self._limits, self._modules, self._seed)

    def close(self) -> None:
        """Nothing is shared between portable nodes."""
