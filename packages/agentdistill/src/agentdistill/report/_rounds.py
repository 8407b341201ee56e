"""What each round of learning from one's own successes brought, student by student."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from agentdistill.filters import RoundCounts
from agentdistill.methods import METHODS
from agentdistill.report._cells import average
from agentdistill.report.run import Part, Run


def rounds(run: Run) -> list[dict[str, Any]]:
    """One row a student and round, the first round's from the recipe's own collection; none for a run without rounds.

    ``n_new`` are the distinct successes that joined the training set of the round, ``n_lessons`` its size; ``accuracy``
    that of the round's student on the test problems, None where it was not evaluated.
    """
    later = {(p.name, p.round): p for p in run.rounds if p.stage == "collect"}
    names = [p.name for p in run.training if any(name == p.name for name, _ in later)]
    out = []
    for name in names:
        learns = METHODS[name.rpartition("--")[2]].learns
        last = max(number or 0 for n, number in later if n == name)
        first = next((p for p in run.collections if p.name == learns), None)
        parts = [(1, first), *((number, later.get((name, number))) for number in range(2, last + 1))]
        out += [_row(run, name, number, part, last) for number, part in parts if part is not None]
    return out


def _row(run: Run, name: str, number: int, part: Part, last: int) -> dict[str, Any]:
    filters = run.filters if number == 1 else run.rounds
    where = (None, part.name) if number == 1 else (number, name)
    kept = next((p for p in filters if p.stage == "filter" and (p.round, p.name) == where), None)
    tested = run.evaluations if number == last else run.rounds
    test = next((p for p in tested if p.stage == "evaluate" and p.name == name and p.round in (None, number)), None)
    student, _, method = name.rpartition("--")
    counts = kept.fact("counts") if kept is not None else None
    return {
        "student": student,
        "method": method,
        "round": number,
        "sampled_from": part.traces[0].model if part.traces else part.student,
        **asdict(RoundCounts.of(part.traces)),
        "n_new": counts.get("kept") if isinstance(counts, dict) else None,
        "n_lessons": kept.fact("n") if kept is not None else None,
        "accuracy": None if test is None else average(test.traces)["accuracy"],
    }
