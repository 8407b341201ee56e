"""Built-in tasks: one file each, found by its name, and named in recipes as ``NAME`` or ``NAME:SPLIT``.

A task module has ``problems(split) -> list[Problem]`` and, where it brings passages to search, ``corpus(split) ->
list[Passage]``. The benchmarks also take ``NAME:SPLIT@PATH`` (see :mod:`agentdistill.tasks._benchmark`).
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from agentdistill.errors import UserError
from agentdistill.progress import Progress
from agentdistill.retrieval import MappedCorpus, Passage, map_corpus, open_corpus, read_corpus

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


def open_search(search: str | Sequence[str], cache: Path, progress: Progress | None = None) -> MappedCorpus:
    """The corpus that ``search`` in a recipe names: files, globs, folders and tasks, each passage once.

    It is mapped from a folder below ``cache``; files alone are never whole in memory. Raises UserError for a task
    without a corpus, and as reading the sources does.
    """
    sources = [search] if isinstance(search, str) else search
    if not any(map(find_task, sources)):
        return open_corpus(sources, cache, progress)
    return map_corpus([p for source in sources for p in _passages(source)], ", ".join(sources), cache, progress)


def _passages(source: str) -> Iterator[Passage]:
    task = find_task(source)
    if task is None:
        yield from read_corpus(source)
        return
    module, split = task
    if not hasattr(module, "corpus"):
        raise UserError(f'task "{source}" brings no corpus to search')
    yield from module.corpus(split)
