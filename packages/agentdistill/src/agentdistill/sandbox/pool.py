"""The Sandbox: one broker and one warm template, from which any number of sessions are forked."""

from __future__ import annotations

import asyncio
import platform
import sys
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from types import TracebackType
from typing import Literal, Protocol

from .portable import PortableBackend
from .session import Session
from .step import Node
from .toolbox import Tools, checked
from .types import Capabilities, Limits, SandboxBroken, SandboxClosed, SandboxUnavailable

Mode = Literal["auto", "strict", "container", "process"]
_STANDARD = "math random statistics itertools functools collections fractions decimal re json datetime"
MODULES = (*_STANDARD.split(), "numpy", "sympy")


def has_linux_layers() -> bool:
    """True where the system calls are known that everything but the portable weak mode is made of."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


class Backend(Protocol):
    """Where nodes come from."""

    capabilities: Capabilities

    @property
    def broken(self) -> bool:
        """True once it can make no more nodes."""
        ...

    def spawn(self) -> Node:
        """A fresh state; raises SandboxBroken."""
        ...

    def close(self) -> None:
        """End everything it started."""
        ...


class Sandbox:
    """Where untrusted, model-written Python runs, in sessions whose state can be forked.

    mode: "auto" takes the strongest of "strict" (own namespaces and file system, Landlock, seccomp) and "container"
        (Landlock and seccomp) that this machine offers, and raises SandboxUnavailable where it offers neither.
        "process" is WEAK, an ordinary child process with resource limits, and is had only by asking for it by name
        or by `allow_weak=True`.
    limits: what a step and a session may use; a session may be given tighter ones.
    tools: functions of the host that model code may call; JSON in, JSON out, on a thread of their own.
    modules: imported once in the template, so that sessions find them warm. Names not installed are skipped.
    seed: of `random`, of numpy's generators and of string hashing in every fresh session.

    What is not promised: a hole in the kernel is not contained, and code can forge its own reply, so nothing that a
    Result says may be used to grade the code that wrote it.
    """

    def __init__(
        self,
        mode: Mode = "auto",
        *,
        limits: Limits | None = None,
        tools: Tools | None = None,
        modules: tuple[str, ...] = MODULES,
        allow_weak: bool = False,
        seed: int = 0,
    ) -> None:
        if mode not in ("auto", "strict", "container", "process"):
            raise ValueError(f"mode must be auto, strict, container or process, not {mode!r}")
        self.limits = limits or Limits()
        self._mode: Mode = mode
        self._tools = checked(tools or {})
        self._modules, self._allow_weak, self._seed = modules, allow_weak, seed
        self._lock = threading.Lock()
        self._backend: Backend | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False

    def start(self) -> Capabilities:
        """Start broker and template, once; `session()` does it when needed.

        Raises SandboxUnavailable where the mode cannot be had, SandboxBroken when the template did not start.
        """
        with self._lock:
            if self._closed:
                raise SandboxClosed("this Sandbox was closed")
            if self._backend is None:
                self._backend = self._open()
            return self._backend.capabilities

    def session(self, *, limits: Limits | None = None, tools: Tools | None = None) -> Session:
        """A session with a fresh state, whose process starts with its first cell. `tools` replaces the Sandbox's."""
        self.start()
        return Session(self, limits or self.limits, self._tools if tools is None else tools)

    def close(self) -> None:
        """End every session and the broker. Harmless twice."""
        with self._lock:
            backend, self._backend, self._closed = self._backend, None, True
            threads, self._threads = self._threads, None
        if backend is not None:
            backend.close()
        if threads is not None:
            threads.shutdown(wait=False)

    @property
    def capabilities(self) -> Capabilities:
        """Which layers hold; starts the Sandbox if need be."""
        return self.start()

    def spawn(self) -> Node:
        """For sessions: a fresh node."""
        with self._lock:
            if self._backend is None:
                raise SandboxClosed("this Sandbox was closed")
            if self._backend.broken:  # the broker was killed from outside: a new one, and sessions replay their logs
                self._backend.close()
                try:
                    self._backend = self._open()
                except SandboxUnavailable as problem:
                    raise SandboxBroken(str(problem)) from None
            backend = self._backend
        return backend.spawn()

    @property
    def threads(self) -> Executor:
        """For sessions: where async calls wait; each waiting cell holds one thread."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(min(self.limits.n_states, 256), thread_name_prefix="sandbox")
            return self._threads

    def _open(self) -> Backend:
        wanted = ["strict", "container"] if self._mode == "auto" else [self._mode]
        if self._mode == "auto" and self._allow_weak:
            wanted.append("process")
        problems = []
        for mode in wanted:
            if not has_linux_layers():
                if mode == "process":
                    return PortableBackend(self.limits, self._modules, self._seed)
                problems.append(f"{mode}: needs Linux on x86-64 or aarch64")
                continue
            from .forked import ForkedBackend  # late: on other systems it cannot even be imported

            try:
                return ForkedBackend(mode, self.limits, self._modules, self._seed)
            except SandboxUnavailable as problem:
                problems.append(str(problem))
        raise SandboxUnavailable(
            f"no {self._mode} sandbox on this machine ({'; '.join(problems)}); "
            "`agentdistill sandbox doctor` says more, mode='process' gives a weak one"
        )

    async def astart(self) -> Capabilities:
        """As `start`, without blocking the event loop."""
        return await asyncio.to_thread(self.start)

    async def aclose(self) -> None:
        """As `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Sandbox:
        await self.astart()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
