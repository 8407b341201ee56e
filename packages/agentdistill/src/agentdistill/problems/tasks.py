"""Tasks: sets of problems, named in recipes as ``NAME`` or ``NAME:SPLIT``; other tasks are plug-ins.

A task has ``problems(split) -> list[Problem]`` and, where it brings passages to search, ``corpus(split) ->
list[Passage]``. The benchmarks also take ``NAME:SPLIT@PATH`` (see :mod:`agentdistill.problems.benchmarks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agentdistill import registry
from agentdistill.errors import DataError, UserError
from agentdistill.progress import Progress
from agentdistill.retrieval import MappedCorpus, Passage, map_corpus, open_corpus, read_corpus
from agentdistill.types import Problem


def find_task(source: str) -> tuple[Any, str] | None:
    """The task and the split that ``source`` names; None where it names no task (a file or a hub dataset then).

    A plug-in that is a function ``(split) -> problems`` is a task without a corpus.
    """
    named = registry.split_source("tasks", source)
    if named is None:
        return None
    task, rest = registry.load("tasks", named[0]), named[1]
    if not hasattr(task, "problems"):
        task = SimpleNamespace(problems=task)
    return task, f"test{rest}" if rest[:1] in ("", "@") else rest


def task_problems(source: str) -> list[Problem] | None:
    """The problems of a task's split; None where ``source`` names no task. Raises UserError for a task that fails, has
    none, or gives anything else."""
    found, named = find_task(source), registry.split_source("tasks", source)
    if found is None or named is None:
        return None
    given = registry.call("tasks", named[0], found[0].problems, found[1])
    problems = registry.all_of("tasks", named[0], Problem, given)
    if not problems:
        raise DataError(f'task "{source}": gave no problems')
    return problems


def open_search(search: str | Sequence[str], cache: Path, progress: Progress | None = None) -> MappedCorpus:
    """The corpus that ``search`` in a recipe names: files, globs, folders and tasks, each passage once.

    It is mapped from a folder below ``cache``; files alone are never whole in memory. Raises UserError for a task
    without a corpus, and as reading the sources does.
    """
    sources = [search] if isinstance(search, str) else search
    if not any(map(find_task, sources)):
        return open_corpus(sources, cache, progress)
    return map_corpus(
        [p for source in sources for p in passages_of_source(source)], ", ".join(sources), cache, progress
    )


def passages_of_source(source: str) -> Iterator[Passage]:
    """The passages of a task, a file, a glob or a folder, in order. Raises UserError for a task that brings none."""
    task, named = find_task(source), registry.split_source("tasks", source)
    if task is None or named is None:
        yield from read_corpus(source)
        return
    module, split = task
    if not hasattr(module, "corpus"):
        raise UserError(f'task "{source}" brings no corpus to search')
    yield from registry.all_of("tasks", named[0], Passage, registry.call("tasks", named[0], module.corpus, split))
