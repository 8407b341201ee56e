"""The WEAK mode's nodes where the Linux layers are not to be had: one child interpreter each, forked by replay."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time

from .channel import Channel, Gone, Late, Oversize, PipeChannel
from .inside import wire
from .inside.boot import command, environment
from .step import Death
from .types import Capabilities, Limits, SandboxBroken

START_S = 60.0


class PortableNode:
    """A child interpreter with a folder of its own for scratch."""

    def __init__(self, limits: Limits, modules: tuple[str, ...], seed: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="sandbox-")
        options = {"modules": modules, "seed": seed}
        options |= {"memory": limits.memory_mb << 20, "scratch": limits.scratch_mb << 20}
        self._process = subprocess.Popen(
            command("worker", json.dumps(options)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(seed),
            cwd=self._folder,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        most = 24 * limits.output_chars + (8 << 20)
        self.channel: Channel = PipeChannel(self._process.stdout, self._process.stdin, most)
        try:
            self.channel.receive(time.monotonic() + START_S, 1 << 16)
        except (Gone, Late, Oversize, wire.Malformed) as problem:
            self.kill()
            raise SandboxBroken(f"the worker did not start: {problem!r}") from None

    def wake(self) -> None:
        """Nothing to do: a portable node is never stopped."""

    def rest(self) -> None:
        """Nothing to do."""

    def cpu(self) -> float | None:
        """Not known."""
        return None

    def cut_memory(self, by: int) -> None:
        """Not done: a portable node keeps the Sandbox's limit."""

    def scratch(self) -> int:
        """Not counted."""
        return 0

    def fork(self, n: int) -> list[None]:
        """Not possible; the session replays its log instead."""
        return [None] * n

    def drop(self) -> None:
        """As `kill`: a child process has to be waited for."""
        self.kill()

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
    """Makes portable nodes; there is no template, so every session pays for an interpreter."""

    def __init__(self, limits: Limits, modules: tuple[str, ...], seed: int) -> None:
        self._limits, self._modules, self._seed = limits, modules, seed
        missing = ("fork", "namespaces", "landlock", "seccomp")
        self.capabilities = Capabilities("process", ("rlimits",), missing, "WEAK: model code can do what the user can")

    @property
    def broken(self) -> bool:
        """Never: each node stands alone."""
        return False

    def spawn(self) -> PortableNode:
        """A fresh state; raises SandboxBroken."""
        return PortableNode(self._limits, self._modules, self._seed)

    def close(self) -> None:
        """Nothing is shared between portable nodes."""
