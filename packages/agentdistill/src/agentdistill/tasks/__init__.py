"""Built-in tasks: one file each, found by its name, and named in recipes as ``NAME`` or ``NAME:SPLIT``.

A task module has ``problems(split) -> list[Problem]`` and, where it brings its own encyclopaedia, ``corpus() ->
list[Passage]``. The benchmarks also take ``NAME:SPLIT@PATH`` (see :mod:`agentdistill.tasks._benchmark`).
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType

_SOURCE = re.compile(r"(?P<name>\w+)(?::(?P<split>.*)|(?P<path>@.*))?", re.DOTALL)


def tasks() -> tuple[str, ...]:
    """The names of the tasks there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def find_task(source: str) -> tuple[ModuleType, str] | None:
    """The task module and split that ``source`` names; None where it names no task (a file or a hub dataset then)."""
    match = _SOURCE.fullmatch(source)
    if match is None or match["name"] not in tasks():
        return None
    split = match["split"] or f"test{match['path'] or ''}"
    return importlib.import_module(f"{__name__}.{match['name']}"), split
