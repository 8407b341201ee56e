"""Where things lie in a run's folder."""

from __future__ import annotations

import re
from pathlib import Path

from agentdistill.methods import method
from agentdistill.recipe import Recipe, StudentSettings, student_name

TRACES = "traces.jsonl"


def collected(run: Path, name: str) -> Path:
    """The traces of a collection."""
    return run / "collect" / name / TRACES


def answered(run: Path, name: str) -> Path:
    """The traces of what the teacher was asked, where published ones join them in the collection."""
    return _round(run, 0) / "collect" / name / TRACES


def filtered(run: Path, name: str) -> Path:
    """The traces of a collection that passed the filter."""
    return run / "filter" / name / TRACES


def trained(run: Path, student: StudentSettings, method_name: str, number: int | None = None) -> Path:
    """The student trained for a method, in round ``number`` or, with None, in the last one.

    Methods that learn from the same collection share one.
    """
    return _round(run, number) / "train" / trained_name(student, method_name)


def trained_name(student: StudentSettings, method_name: str) -> str:
    """What the student trained for a method is called: after the first of the methods that share it."""
    learns = method(method_name).learns
    first = next(m for m in student.methods if method(m).learns == learns)
    return f"{student_name(student)}--{first}"


def trainings(recipe: Recipe) -> list[tuple[StudentSettings, str]]:
    """Every student that is trained with the method it is called after: one a student and collection."""
    pairs = [(s, m) for s in recipe.students for m in s.methods if method(m).distilled]
    return [(s, m) for s, m in pairs if trained_name(s, m) == f"{student_name(s)}--{m}"]


def sampled(run: Path, student: StudentSettings, method_name: str, number: int) -> Path:
    """The traces of round ``number``: the collection of the first, what the student before sampled for a later one."""
    if number == 1:
        return collected(run, method(method_name).learns or "")
    return _round(run, number) / "collect" / trained_name(student, method_name) / TRACES


def lessons(run: Path, student: StudentSettings, method_name: str, number: int) -> Path:
    """The traces that the student of round ``number`` learns from."""
    if number == 1:
        return filtered(run, method(method_name).learns or "")
    return _round(run, number) / "filter" / trained_name(student, method_name) / TRACES


def _round(run: Path, number: int | None) -> Path:
    return run if number is None else run / "rounds" / str(number)


def evaluated(run: Path, model: str, method_name: str, number: int | None = None) -> Path:
    """The folder of one evaluation, of a round's student as in :func:`trained`."""
    return _round(run, number) / "evaluate" / f"{model}--{method_name}"


def elsewhere(run: Path, folder: Path) -> list[Path]:
    """Where the results of other rounds lie that a folder ``STAGE/NAME`` of one round may be the same as."""
    found = (root.glob(f"{folder.parent.name}/{folder.name}*") for root in (run, *sorted(run.glob("rounds/*"))))
    ours = re.compile(rf"{re.escape(folder.name)}(\.old-\d+)?")
    return [path for paths in found for path in sorted(paths) if ours.fullmatch(path.name)]
