"""What the template takes on itself, in order, before it serves: everything is inherited by every fork."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import kernel, landlock, seccomp

N_DESCRIPTORS = 128


@dataclass
class Layers:
    """What holds and what does not, for the doctor and for `Capabilities`."""

    on: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)

    def attempt(self, name: str, work: Callable[[], Any]) -> bool:
        """Do `work` and note the outcome under `name`."""
        try:
            work()
        except (OSError, ValueError, KeyError) as problem:
            self.off.append(f"{name} ({problem})")
            return False
        self.on.append(name)
        return True


def spare_host(proc: int) -> None:
    """Make this process and its forks the first that the kernel ends when memory runs out."""
    with contextlib.suppress(OSError):
        fd = os.open("self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        os.write(fd, b"1000")
        os.close(fd)


def mapped_bytes(proc: int) -> int:
    """Address space in use. `proc` is a descriptor of /proc, which may be out of reach by now."""
    fd = os.open("self/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return int(os.read(fd, 100).split()[0]) * resource.getpagesize()
    finally:
        os.close(fd)


def limit(mapped: int, memory: int, scratch: int, session_cpu: float | None) -> None:
    """Resource limits, soft and hard."""
    ceilings = {
        resource.RLIMIT_AS: mapped + memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: scratch,
        resource.RLIMIT_NOFILE: N_DESCRIPTORS,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if session_cpu is not None:
        ceilings[resource.RLIMIT_CPU] = int(session_cpu) + 1
    for what, most in ceilings.items():
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(what, (most, most))


def pick_user() -> int | None:
    """A random high user number, nobody's where high ones are not mapped, None where nothing but root is mapped."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/uid_map") as file:
        most = max(int(line.split()[2]) for line in file)
        return None if most <= 65534 else 65534 if most < 2**31 else 2**30 + secrets.randbelow(2**29)
    return 65534


def change_user(uid: int) -> None:
    """As root, become a user that owns nothing else. Raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _limit_forks() -> None:
    """Without a listener, forks are held by a process limit that the broker lifts for one order at a time."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
    try:
        if kernel.sibling() == 0:
            os._exit(0)
    except BlockingIOError:
        return
    raise OSError("process limits do not hold for root")


def seal(layers: Layers, scratch: str, readable: list[str], hand_over: Callable[[int], None], *, weak: bool) -> None:
    """Give up every privilege, then Landlock, then seccomp, which comes last because it forbids the rest.

    `hand_over` takes the listener of the fork gate. Failures are noted in `layers`; the caller decides if enough holds.
    """
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # no debugger of the same user, no readable /proc/<pid>
    if weak:
        return
    layers.attempt("no capabilities", kernel.drop_capabilities)
    layers.attempt("no new privileges", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    layers.attempt(f"landlock {landlock.abi()}", lambda: landlock.restrict(readable, [scratch]))

    def gate() -> None:
        listener = seccomp.install(seccomp.gate(), listen=True)
        hand_over(listener)
        os.close(listener)

    gated = layers.attempt("fork gate", gate)
    if not gated:
        layers.attempt("fork limit", _limit_forks)
    layers.attempt("seccomp", lambda: seccomp.install(seccomp.program()))
