"""Lessons: what a student wrote behind a prompt, and what a teacher makes of it, as a file keeps them.

A lesson is a line of JSON: it was asked of a teacher and may have been paid for. Beside the lines lies the class of
every token of the student (:mod:`agentdistill.models.alignment`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentdistill.models.alignment import Unit
from agentdistill.store import from_dict, read_jsonl, write_jsonl

LESSONS, CLASSES = "lessons.jsonl", "classes.json"


@dataclass(frozen=True, slots=True)
class Lesson:
    """The ids of a prompt and, from ``n_prompt`` on, of what the student wrote; ``n_read`` tokens were the teacher's
    to read. What is in no unit was left out."""

    id: str
    ids: tuple[int, ...]
    n_prompt: int
    units: tuple[Unit, ...]
    n_read: int = 0

    @property
    def n_written(self) -> int:
        """Tokens that the student wrote."""
        return len(self.ids) - self.n_prompt

    @property
    def n_merged(self) -> int:
        """Those of them in spans that both cut, and only one of them cuts further."""
        return sum(u.stop - u.start for u in self.units if u.stop - u.start > 1 or not u.classes)

    @property
    def n_left_out(self) -> int:
        """Those that the teacher's text has no counterpart for."""
        return self.n_written - sum(u.stop - u.start for u in self.units)


@dataclass(frozen=True, slots=True)
class Classes:
    """The class of every id of the student's, -1 for none; there are ``n``."""

    n: int
    of: tuple[int, ...]


def read_lessons(path: Path) -> list[Lesson]:
    """The lessons of a file, in order. Raises DataError."""
    return [from_dict(Lesson, row) for _, row in read_jsonl(path)]


def write_lessons(folder: Path, lessons: Sequence[Lesson]) -> None:
    """Write the lessons of a folder."""
    write_jsonl(folder / LESSONS, lessons)


def read_classes(folder: Path) -> Classes:
    """The classes that the lessons of a folder speak of. Raises DataError."""
    [(_, row)] = read_jsonl(folder / CLASSES)
    return from_dict(Classes, row)


def write_classes(folder: Path, classes: Classes) -> None:
    """Write the classes beside the lessons of a folder."""
    write_jsonl(folder / CLASSES, [classes])
