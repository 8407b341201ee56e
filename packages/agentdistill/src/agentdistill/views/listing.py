"""``show RUN``: the episodes of a run with what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError
from agentdistill.report.outcome import ERROR_KINDS, Outcome, error_kinds, outcome, tools_used
from agentdistill.report.run import Part, Run, read_run
from agentdistill.types import Trace
from agentdistill.views._text import one_line

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {
    Outcome.RIGHT: ("✓", "green"),
    Outcome.WRONG: ("✗", "red"),
    Outcome.UNSCORED: ("?", "yellow"),
    Outcome.FAULT: ("!", "yellow"),
}


_COLUMNS = {"id": 4, "answer": 3, "gold": 3, "errors": 3}
"""The texts of a line and how they share its width."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which episodes to list; None lets all pass.

    ``part`` is a part's name or a piece of it, ``family`` a piece of a family's name, ``text`` is sought anywhere.
    """

    part: str | None = None
    family: str | None = None
    outcome: str | None = None
    error: str | None = None
    tool: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("outcome", self.outcome, [o.value for o in Outcome]),
            ("error", self.error, [*ERROR_KINDS, "none"]),
        ):
            if value is not None and value not in known:
                raise UserError(f'no {name} is called "{value}"; there are: {", ".join(known)}')

    def keeps(self, trace: Trace) -> bool:
        """Whether an episode passes, its part apart."""
        kinds = error_kinds(trace)
        return (
            (self.family is None or self.family in trace.problem.family)
            and (self.outcome is None or outcome(trace) == self.outcome)
            and (self.error is None or (not kinds if self.error == "none" else self.error in kinds))
            and (self.tool is None or self.tool in tools_used(trace))
            and (self.text is None or self.text.casefold() in _haystack(trace))
        )


def _haystack(trace: Trace) -> str:
    """All text of an episode but its instructions, folded for a search."""
    texts = [trace.id, trace.problem.question, trace.problem.answer, trace.answer or "", trace.fault or ""]
    for step in trace.steps:
        texts += [step.reply.content, step.observation.content if step.observation else ""]
        texts += [t for c in step.tool_calls for t in (c.name, c.arguments, c.result)]
    return "\n".join(texts).casefold()


def list_traces(run_dir: Path | str, filters: Filters = Filters(), limit: int | None = None) -> dict[str, Any]:
    """The episodes that pass, as JSON values: the first ``limit`` of them (None: all), with how many there are.

    Raises UserError for a folder without traces, and for a part, family or tool that no episode of the run has.
    """
    run = read_run(run_dir)
    _check_names(run, filters)
    rows = [_row(p, t) for p in run.named(filters.part) for t in p.traces if filters.keeps(t)]
    return {
        "run": str(run.path),
        "n_total": sum(len(p.traces) for p in run.traced),
        "n_matching": len(rows),
        "n_right": sum(r["outcome"] == Outcome.RIGHT for r in rows),
        "n_scored": sum(r["outcome"] in (Outcome.RIGHT, Outcome.WRONG) for r in rows),
        "traces": rows if limit is None else rows[:limit],
    }


def _check_names(run: Run, filters: Filters) -> None:
    """A name that nothing in the run has is a slip: say so instead of listing nothing."""
    traces = [t for p in run.traced for t in p.traces]
    families = sorted({t.problem.family for t in traces})
    tools = sorted({name for t in traces for name in tools_used(t)})
    for what, wanted, known in (("family", filters.family, families), ("tool", filters.tool, tools)):
        if wanted is not None and not any(wanted in name for name in known):
            raise UserError(f'{run.path}: no {what} is called "{wanted}"; there are: {", ".join(known) or "none"}')


def _row(part: Part, trace: Trace) -> dict[str, Any]:
    return {
        "part": part.key,
        "id": trace.id,
        "outcome": outcome(trace).value,
        "family": trace.problem.family,
        "question": trace.problem.question,
        "answer": trace.answer,
        "gold": trace.problem.answer,
        "end": trace.end.value,
        "n_steps": len(trace.steps),
        "errors": list(error_kinds(trace)),
        "tools": list(tools_used(trace)),
        "fault": trace.fault,
    }


def show_run(
    run_dir: Path | str, filters: Filters = Filters(), limit: int | None = 40, console: Console | None = None
) -> None:
    """Print :func:`list_traces`, one line an episode, below the name of its part."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    found = list_traces(run_dir, filters, limit)
    for part, rows in groupby(found["traces"], key=lambda row: str(row["part"])):
        console.print(Text(part, style="bold"))
        table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        table.add_column("", width=1)
        for name, ratio in _COLUMNS.items():
            table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
        table.add_column("steps", justify="right", width=5)
        for row in rows:
            mark, colour = MARKS[Outcome(row["outcome"])]
            said = row["fault"] if row["fault"] else row["answer"] or f"({row['end'].replace('_', ' ')})"
            cells = row | {"answer": said, "errors": ", ".join(row["errors"])}
            table.add_row(
                Text(mark, style=colour), *[Text(one_line(cells[name])) for name in _COLUMNS], str(row["n_steps"])
            )
        console.print(table)
    console.print(Text(_footer(found), style="dim"))


def _footer(found: dict[str, Any]) -> str:
    n_listed, n_matching, n_scored = len(found["traces"]), found["n_matching"], found["n_scored"]
    listed = f"{n_listed:,} of {n_matching:,} episodes" if n_listed < n_matching else f"{n_matching:,} episodes"
    if n_matching < found["n_total"]:
        listed += f" that match, of {found['n_total']:,}"
    right = f" · {found['n_right']:,} of {n_scored:,} scored are right" if n_scored else ""
    return f"{listed}{right} · show RUN ID prints one"
