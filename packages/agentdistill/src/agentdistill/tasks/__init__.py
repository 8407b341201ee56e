"""Built-in tasks: one file each, found by its name, and named in recipes as ``NAME`` or ``NAME:SPLIT``.

A task module has ``problems(split) -> list[Problem]`` and, where it brings its own encyclopaedia, ``corpus() ->
list[Passage]``.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def tasks() -> tuple[str, ...]:
    """The names of the tasks there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def find_task(source: str) -> tuple[ModuleType, str] | None:
    """The task module and split that ``source`` names; None where it names no task (a file or a hub dataset then)."""
    name, _, split = source.partition(":")
    if name not in tasks():
        return None
    return importlib.import_module(f"{__name__}.{name}"), split or "test"
