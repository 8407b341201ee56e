"""A forkable sandbox for model-written Python: `Sandbox`, its `Session`s, and what they return.

    with Sandbox() as box, box.session() as s:
        r = s.exec("x = 20 + 1")
        a, b = s.fork(2)
        a.exec("x *= 2"); b.exec("x = None")
        s.commit(a); b.drop()
        assert s.exec("x").value == "42"

Usable alone: it imports nothing of the rest of the package and nothing outside the standard library.
"""

from .session import MODULES, Mode, Sandbox, Session
from .types import (
    Capabilities,
    Error,
    Limits,
    Result,
    SandboxBroken,
    SandboxClosed,
    SandboxError,
    SandboxUnavailable,
    SavedStateError,
    Stop,
)

__all__ = [
    "MODULES",
    "Capabilities",
    "Error",
    "Limits",
    "Mode",
    "Result",
    "Sandbox",
    "SandboxBroken",
    "SandboxClosed",
    "SandboxError",
    "SandboxUnavailable",
    "SavedStateError",
    "Session",
    "Stop",
]
