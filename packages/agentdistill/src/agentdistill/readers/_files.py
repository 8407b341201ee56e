"""The rows of a published file, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agentdistill.errors import DataError
from agentdistill.problems import open_source
from agentdistill.store import digest
from agentdistill.tasks.benchmarks import FOLDER_VARIABLE, Part, Values, sources


def located(name: str, part: Part, path: str | None) -> tuple[str, ...]:
    """Where a part of ``name`` is read from: the file ``path``, below the folder ``path``, or where
    :func:`~agentdistill.tasks.benchmarks.sources` finds it. Raises DataError where that is nowhere."""
    given = Path(path).expanduser() if path is not None else None
    if given is not None and not given.is_dir():
        return (str(given),)
    found = sources(name, part, given)
    if not found:
        wanted = ", ".join(part.files)
        raise DataError(
            f"{name}: no file given; write {name}:SPLIT@FOLDER, or name the folder of {wanted} in {FOLDER_VARIABLE}"
        )
    return found


def rows(name: str, part: Part, path: str | None) -> Iterator[tuple[int, Values]]:
    """Every row of a part of ``name``, :func:`located` so, with its number from 1. Raises DataError for a file that is
    missing or malformed."""
    for source in located(name, part, path):
        for n, row in enumerate(open_source(source).rows, 1):
            if not isinstance(row.values, dict):
                raise DataError(f"{row.where}: {row.fault or 'expected an object'}")
            yield n, row.values


def text_of(values: Values, column: str) -> str:
    """A column's text; ``""`` where there is none."""
    value = values.get(column)
    return value if isinstance(value, str) else ""


def question_digest(question: str) -> str:
    """What is the same for the same question, whoever asks it: no regard to case, blanks and punctuation."""
    return digest("".join(c for c in question.lower() if c.isalnum()))
