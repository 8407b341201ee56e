"""The sandbox for agents and trainers of others: smolagents, TRL, verifiers.

Each name is imported when it is first used, and with it the package that it is for. Raises UserError where that is
not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from agentdistill.errors import UserError

_NAMES = {
    "SandboxEnvironment": "_trl",
    "SandboxExecutor": "_smolagents",
    "SandboxToolset": "_verifiers",
    "SandboxToolsetConfig": "_verifiers",
}
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    except ModuleNotFoundError as e:
        raise UserError(f"{name} needs {e.name}, which is not installed (docs/sandbox.md)") from e
