"""What the benchmarks share: where a split is found, and how its rows become problems.

A split is written ``SPLIT[:N][@PATH]``: the first ``N`` problems, from the file or folder ``PATH``. Without a path the
file is looked for in the folder that the environment variable ``AGENTDISTILL_DATA`` names, and then the hub is asked.
Files are in the form of the agent-distillation paper's own (``{"metadata", "examples": […]}``) or as the hub has them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError, UserError
from agentdistill.problems import Row, as_text, as_texts, open_source, supporting_titles
from agentdistill.retrieval import Passage, passages_of
from agentdistill.store import digest
from agentdistill.types import Problem

FOLDER_VARIABLE = "AGENTDISTILL_DATA"
_SPEC = re.compile(r"(?P<name>[\w-]*)(?::(?P<n>\d*))?(?:@(?P<path>.+))?", re.DOTALL)
_QUESTION = ("question", "problem", "Question", "input")
_ANSWER = ("answer", "Answer", "target")
_ALIASES = ("aliases", "answer_aliases", "answer_alias")
_ID = ("id", "_id", "question_id", "unique_id", "item_id", "ID")
_BESIDE = frozenset({"context", "paragraphs"})
_LABELS = ("level", "category", "subject", "type")

Values = Mapping[str, Any]
"""The columns of a row."""


@dataclass(frozen=True, slots=True)
class Part:
    """A split, or part of one: the names its file may have (globs), and its datasets on the hub, read in turn.

    ``label`` goes into the ids, where the files of one split number their problems alike. ``keep`` says which rows
    belong to it. ``family`` is that of its problems, where it is not the benchmark's name.
    """

    files: tuple[str, ...]
    hub: tuple[str, ...]
    label: str = ""
    keep: Callable[[Values], bool] = bool
    family: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a row says: a question, its gold answer first and its aliases after it. No answers: the row is left out."""

    question: str
    answers: tuple[str, ...]


Reader = Callable[[Values], Drawn]


def plain_row(values: Values) -> Drawn:
    """A row with the question, the answer and its aliases in columns of their own, under any of their usual names."""
    answers = _first(values, _ANSWER)
    return Drawn(question_of(values), (*answers, *_first(values, _ALIASES)) if answers else ())


def question_of(values: Values) -> str:
    """The question of a row, under any of its usual names; ``""`` where there is none."""
    return " ".join(_first(values, _QUESTION))


def labels_of(values: Values) -> tuple[tuple[str, str], ...]:
    """What a row says of its problem's level, category, subject and type, of those that it names.

    >>> labels_of({"level": 3, "subject": "Algebra", "question": "2x = 4"})
    (('level', '3'), ('subject', 'Algebra'))
    """
    return tuple((name, said) for name in _LABELS if (said := as_text(values.get(name))))


def _first(values: Values, names: tuple[str, ...]) -> list[str]:
    """The texts of the first column there is; none where there is none."""
    for name in names:
        if values.get(name) is not None:
            return as_texts(values[name]) or []
    return []


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A public benchmark: its splits by name, how its answers are graded and its rows read."""

    name: str
    kind: str
    parts: Mapping[str, tuple[Part, ...]]
    read: Reader = plain_row

    def problems(self, spec: str) -> list[Problem]:
        """The problems of ``SPLIT[:N][@PATH]``; their family is the part's or the benchmark's name, their labels what
        rows say.

        A row without an answer is left out (the paper's MATH files have four). Raises UserError for a split that does
        not exist, DataError for a missing or malformed file, InfrastructureError where the hub cannot be reached.
        """
        name, n, path = self._split(spec)
        found: dict[str, Problem] = {}
        for part, row in _rows(self, name, path):
            if n is not None and len(found) >= n:
                break
            problem = self._problem(row, part)
            if problem is None:
                continue
            if found.setdefault(problem.id, problem) != problem:
                raise DataError(f"{row.where}: id {problem.id!r} was there before")
        if not found:
            raise DataError(f"{self.name}:{spec}: no problem with an answer in it")
        return list(found.values())

    def _split(self, spec: str) -> tuple[str, int | None, str | None]:
        name, n, path = parse_spec(spec)
        if name not in self.parts:
            raise UserError(f'{self.name} has no split "{name}"; there are: {", ".join(self.parts)}')
        return name, n, path

    def corpus(self, spec: str) -> list[Passage]:
        """The passages that the questions of ``SPLIT[:N][@PATH]`` bring along, in order, duplicates included.

        Raises as ``problems`` does, and DataError where the questions bring none.
        """
        name, n, path = self._split(spec)
        found: list[Passage] = []
        for _, row in islice(_rows(self, name, path), n):
            if not isinstance(row.values, Mapping) or _BESIDE.isdisjoint(row.values):
                raise DataError(f"{row.where}: no passages beside the question; name a corpus of its own")
            found += passages_of(row.values, row.where)
        return found

    def _problem(self, row: Row, part: Part) -> Problem | None:
        if not isinstance(row.values, Mapping):
            raise DataError(f"{row.where}: {row.fault or f'expected an object, got {type(row.values).__name__}'}")
        drawn = self.read(row.values)
        if not drawn.question:
            raise DataError(f"{row.where}: no question (the row has: {', '.join(map(str, list(row.values)[:6]))})")
        if not drawn.answers:
            return None
        answer, *more = drawn.answers
        own = next((as_text(row.values[k]) for k in _ID if row.values.get(k) is not None), "")
        identity = "-".join(filter(None, (self.name, part.label, own or digest([drawn.question, answer]))))
        aliases = tuple(a for a in dict.fromkeys(more) if a != answer)
        labels, supporting = labels_of(row.values), supporting_titles(row.values)
        family = part.family or self.name
        return Problem(identity, drawn.question, answer, self.kind, family, aliases, labels, supporting)


def parse_spec(spec: str, default: str = "test") -> tuple[str, int | None, str | None]:
    """``SPLIT[:N][@PATH]`` taken apart. Raises UserError where it is not of that form.

    >>> parse_spec("test:50@/data/hotpotqa.json")
    ('test', 50, '/data/hotpotqa.json')
    """
    match = _SPEC.fullmatch(spec)
    if match is None or match["n"] == "0":
        raise UserError(f'"{spec}" is no split of a benchmark; write SPLIT, SPLIT:N, SPLIT@PATH or SPLIT:N@PATH')
    return match["name"] or default, int(match["n"]) if match["n"] else None, match["path"]


def _rows(benchmark: Benchmark, split: str, path: str | None) -> Iterator[tuple[Part, Row]]:
    """Every row of a split, each with its part; a file that is named is one part."""
    given = Path(path).expanduser() if path is not None else None
    if given is not None and not given.is_dir():
        whole = replace(benchmark.parts[split][0], label="")
        yield from ((whole, row) for row in open_source(str(given)).rows)
        return
    for part in benchmark.parts[split]:
        found = sources(benchmark.name, part, given)
        if not found:
            way_out = f"write {benchmark.name}:{split}@FOLDER, or name the folder in {FOLDER_VARIABLE}"
            raise DataError(f"{benchmark.name}:{split}: no file of it given ({', '.join(part.files)}); {way_out}")
        for source in found:
            rows = open_source(source).rows
            yield from ((part, row) for row in rows if not isinstance(row.values, Mapping) or part.keep(row.values))


def sources(name: str, part: Part, given: Path | None) -> tuple[str, ...]:
    """Where a part is read from: the folder given, else the folder of the environment, else the hub."""
    from_environment = os.environ.get(FOLDER_VARIABLE)
    folder = given or (Path(from_environment).expanduser() if from_environment else None)
    if folder is not None:
        for pattern in part.files:
            for depth in ("", "*/", "*/*/"):
                found = sorted(folder.glob(depth + pattern))
                if found:
                    return (str(found[0]),)
        if given is not None or not folder.is_dir():
            raise DataError(f"{folder}: no file of {name} in it (looked for {', '.join(part.files)})")
    return part.hub
