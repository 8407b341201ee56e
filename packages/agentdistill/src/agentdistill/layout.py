"""Where things lie in a run's folder."""

from __future__ import annotations

from pathlib import Path

from agentdistill.methods import method
from agentdistill.recipe import StudentSettings, student_name

TRACES = "traces.jsonl"


def collected(run: Path, name: str) -> Path:
    """The traces of a collection."""
    return run / "collect" / name / TRACES


def filtered(run: Path, name: str) -> Path:
    """The traces of a collection that passed the filter."""
    return run / "filter" / name / TRACES


def trained(run: Path, student: StudentSettings, method_name: str) -> Path:
    """The student trained for a method. Methods that learn from the same collection share one."""
    learns = method(method_name).learns
    first = next(m for m in student.methods if method(m).learns == learns)
    return run / "train" / f"{student_name(student)}--{first}"


def evaluated(run: Path, model: str, method_name: str) -> Path:
    """The folder of one evaluation."""
    return run / "evaluate" / f"{model}--{method_name}"
