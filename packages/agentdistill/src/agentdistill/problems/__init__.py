"""Questions with known answers, from a file or a hub dataset, as :class:`~agentdistill.types.Problem` values."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentdistill import registry
from agentdistill.errors import DataError
from agentdistill.problems.answers import answer_kind, golds, too_long_to_answer
from agentdistill.problems.sources import (
    Row,
    RowSource,
    as_text,
    as_texts,
    join_sentences,
    open_source,
    passages_beside,
    plain_text,
    printed,
    share_shown,
    supporting_passages,
    supporting_titles,
)
from agentdistill.store import digest
from agentdistill.types import Problem

__all__ = [
    "Loaded", "Row", "RowSource", "answer_kind", "as_text", "as_texts", "golds", "join_sentences", "joined",
    "load_problems", "open_source", "passages_beside", "plain_text", "share_shown", "supporting_passages",
    "supporting_titles",
]  # fmt: skip

FIELDS = ("id", "question", "answer", "kind", "family", "aliases")
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """The problems of a source, in its order, one ``"file:line: reason"`` for each row that was left out, and what a
    reader should know of the others."""

    problems: tuple[Problem, ...]
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.problems)


class _BadRow(Exception):
    """Why a row cannot be a problem."""


def load_problems(
    source: str | Path,
    *,
    fields: Mapping[str, str] | None = None,
    kind: str | None = None,
    family: str | None = None,
    limit: int | None = None,
    strict: bool = False,
) -> Loaded:
    """Read problems from JSONL, JSON (a list or ``{"examples": [...]}``), CSV, Parquet or a hub dataset.

    A hub dataset is written ``"owner/name:split"`` or ``"owner/name/config:split"``. ``fields`` says which column
    holds ``id``, ``question``, ``answer``, ``kind``, ``family`` or ``aliases``; by default the column of that name.
    ``kind`` and ``family`` override the row's own. Without either, the family is the source's name, and the kind is
    ``math`` where nine in ten of the answers are numbers or formulas, else ``short``: of all its rows, as far as ten
    thousand go, whatever ``limit`` keeps of them. Rows without an id get one from their content. An answer may be a
    list, an object with ``value`` and ``aliases``, or a worked solution that ends in ``#### 6`` or ``\\boxed{6}``.
    ``limit`` keeps the first so many good rows.

    Raises DataError for a source that is missing, malformed or without one good row, for a field or kind that does not
    exist, and, if ``strict``, for the first bad row.

    >>> load_problems("questions.jsonl", fields={"question": "prompt"}).problems[0].question  # doctest: +SKIP
    'Which river flows through Velmora?'
    """
    columns = _columns(fields or {})
    if kind is not None:
        registry.check("scorers", kind, DataError)
    opened = open_source(str(source))
    problems, skipped = _collect(opened, columns, kind, family or opened.name, limit, strict)
    if not problems:
        raise _nothing(opened, skipped)
    warning = too_long_to_answer(problems, opened.label)
    return Loaded(tuple(problems), tuple(skipped), (warning,) if warning else ())


def joined(sources: Mapping[str, Sequence[Problem]]) -> tuple[Problem, ...]:
    """The problems of several sources, in order, with ids that differ: an id that an earlier source has gets the
    family before it. Raises DataError for a problem of two sources, and for an id that is not free even so."""
    found: dict[str, tuple[Problem, str]] = {}
    for source, problems in sources.items():
        ours = dict(found)
        for p in problems:
            before, where = ours.get(p.id, (None, ""))
            if before is not None and (before.question, before.answer) == (p.question, p.answer):
                raise DataError(f"{source}: problem {p.id!r} is one of {where} already; leave one of the sources out")
            identity = p.id if before is None else f"{p.family}-{p.id}"
            if identity in found:
                raise DataError(f"{source}: {found[identity][1]} has a problem with id {identity!r} too; rename one")
            found[identity] = (replace(p, id=identity), source)
    return tuple(p for p, _ in found.values())


def _columns(fields: Mapping[str, str]) -> dict[str, str]:
    for name in fields:
        if name not in FIELDS:
            raise DataError(f'no problem field is called "{name}"; there are: {", ".join(FIELDS)}')
    return {name: fields.get(name, name) for name in FIELDS}


def _collect(
    opened: RowSource, columns: dict[str, str], kind: str | None, family: str, limit: int | None, strict: bool
) -> tuple[list[Problem], list[str]]:
    drafts: dict[str, tuple[Problem, bool]] = {}
    skipped: list[str] = []
    while (limit is None or len(drafts) < limit) and (row := next(opened.rows, None)) is not None:
        try:
            problem, has_kind = _problem(row, columns, kind, family)
            if problem.id in drafts:
                raise _BadRow(f"id {problem.id!r} was there before")
        except _BadRow as e:
            if strict:
                raise DataError(f"{row.where}: {e}") from None
            skipped.append(f"{row.where}: {e}")
            continue
        drafts[problem.id] = (problem, has_kind)
    unknown = [p.answer for p, known in drafts.values() if not known]
    if unknown and kind is None and limit is not None:
        unknown += _answers_left(opened, columns, _MANY - len(unknown))
    found = answer_kind(unknown[:_MANY])
    return [p if known else replace(p, kind=found) for p, known in drafts.values()], skipped


def _answers_left(opened: RowSource, columns: dict[str, str], most: int) -> list[str]:
    """The gold answers of rows that no limit lets through: the kind is the source's, however much of it is taken."""
    out: list[str] = []
    while len(out) < most and (row := next(opened.rows, None)) is not None:
        try:
            problem, has_kind = _problem(row, columns, None, "")
        except _BadRow:
            continue
        if not has_kind:
            out.append(problem.answer)
    return out


def _problem(row: Row, columns: dict[str, str], kind: str | None, family: str) -> tuple[Problem, bool]:
    """One problem, and whether its kind was given rather than still to be found."""
    if not isinstance(row.values, Mapping):
        raise _BadRow(row.fault or f"expected an object, got {type(row.values).__name__}")
    value = {name: row.values.get(column) for name, column in columns.items()}
    question = as_text(value["question"])
    found = golds(value["answer"])
    if found is None:
        raise _BadRow(f'"{columns["answer"]}" holds {type(value["answer"]).__name__}, not text')
    answer, *more = found or [""]
    if not question or not answer:
        missing = columns["answer" if question else "question"]
        why = "is empty" if missing in row.values else _near(missing, row.values)
        raise _BadRow(f'"{missing}" {why}' if missing in row.values else f'no "{missing}"{why}')
    given = kind or as_text(value["kind"]) or None
    if given is not None and given not in registry.names("scorers") and given != kind:
        raise _BadRow(registry.unknown(f'scorer in "{columns["kind"]}":', given, registry.names("scorers")))
    aliases = dict.fromkeys([*more, *_texts(value["aliases"], "aliases", columns)])
    identity = as_text(value["id"]) or digest([question, answer])
    problem = Problem(
        identity,
        question,
        answer,
        given or "short",
        as_text(value["family"]) or family,
        tuple(a for a in aliases if a != answer),
        supporting=supporting_titles(row.values),
    )
    return problem, given is not None


def _texts(value: Any, name: str, columns: dict[str, str]) -> list[str]:
    with contextlib.suppress(ValueError):  # a cell of a table, as PopQA's
        value = printed(value) if isinstance(value, str) and value.lstrip()[:1] == "[" else value
    texts = as_texts(value)
    if texts is None:
        raise _BadRow(f'"{columns[name]}" holds {type(value).__name__}, not text')
    return texts


def _near(missing: str, values: Mapping[str, Any]) -> str:
    shown = ", ".join(map(str, list(values)[:6]))
    return f" (the row has: {shown})" if values else ""


def _nothing(opened: RowSource, skipped: list[str]) -> DataError:
    if not skipped:
        return DataError(f"{opened.label}: no problems in it")
    more = f"; and {len(skipped) - 1} more" if len(skipped) > 1 else ""
    return DataError(f"{opened.label}: none of its {len(skipped)} rows is a problem; {skipped[0]}{more}")
