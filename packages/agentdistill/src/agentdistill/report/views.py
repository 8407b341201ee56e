"""A run in the terminal: its episodes, one of them step by step, and two runs compared.

Each view has a function that returns its facts as JSON values and one that prints them. Text from a model is made safe
for a terminal.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError
from agentdistill.report.comparisons import shared_families
from agentdistill.report.run import (
    ERROR_KINDS,
    Outcome,
    Part,
    StoredRun,
    error_kinds,
    outcome,
    read_part,
    read_run,
    step_error,
    tools_used,
    values_by_problem,
)
from agentdistill.report.stats import Paired, paired_difference, points
from agentdistill.store import to_dict
from agentdistill.types import Step, StopReason, Trace

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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
    run = read_run(run_dir, with_candidates=True)
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


def _check_names(run: StoredRun, filters: Filters) -> None:
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
    if (page := Path(run_dir) / "verify.html").exists():
        console.print(Text(f"What verification came to: {page}", style="dim"))


def _footer(found: dict[str, Any]) -> str:
    n_listed, n_matching, n_scored = len(found["traces"]), found["n_matching"], found["n_scored"]
    listed = f"{n_listed:,} of {n_matching:,} episodes" if n_listed < n_matching else f"{n_matching:,} episodes"
    if n_matching < found["n_total"]:
        listed += f" that match, of {found['n_total']:,}"
    right = f" · {found['n_right']:,} of {n_scored:,} scored are right" if n_scored else ""
    return f"{listed}{right} · show RUN ID prints one"


_TRAINED = "underline"
_GIVEN = "italic yellow"


def find_trace(run_dir: Path | str, trace_id: str, part: str | None = None) -> tuple[StoredRun, Part, Trace]:
    """The episode called ``trace_id``, or ``PART/ID``; ``part`` narrows it down by a part's name or a piece of it.

    Raises UserError for an id that the run does not hold (naming the nearest) or that several parts hold.
    """
    run = read_run(run_dir, with_candidates=True)
    parts = run.named(part)
    found = [(p, t) for p in parts for t in p.traces if trace_id in (t.id, f"{p.key}/{t.id}")]
    if not found:
        ids = sorted({t.id for p in parts for t in p.traces})
        near = difflib.get_close_matches(trace_id, ids, n=1)
        hint = f'; did you mean "{one_line(near[0])}"?' if near else "; agentdistill show RUN lists them"
        raise UserError(f'{run.path}: no trace is called "{one_line(trace_id)}"{hint}')
    if len(found) > 1:
        keys = ", ".join(p.key for p, _ in found)
        raise UserError(
            f'{run.path}: "{one_line(trace_id)}" is in {len(found)} parts; name one as PART/ID, where PART is: {keys}'
        )
    return run, *found[0]


def trace_facts(run_dir: Path | str, trace_id: str, part: str | None = None) -> dict[str, Any]:
    """One episode as JSON values: the trace as stored, with its part, outcome, errors and whether it was trained on."""
    run, where, trace = find_trace(run_dir, trace_id, part)
    return {
        "part": where.key,
        "outcome": outcome(trace).value,
        "errors": list(error_kinds(trace)),
        "tools": list(tools_used(trace)),
        "trained": _is_trained(run, where, trace),
        "trace": to_dict(trace),
    }


def _is_trained(run: StoredRun, part: Part, trace: Trace) -> bool:
    return part.stage == "collect" and trace.id in run.trained_ids(part.name)


def show_trace(run_dir: Path | str, trace_id: str, part: str | None = None, console: Console | None = None) -> None:
    """Print one episode in colour; what students were trained on is underlined, a given prefix yellow."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    run, where, trace = find_trace(run_dir, trace_id, part)
    trained = _is_trained(run, where, trace)
    _print_head(console, where, trace)
    for n, step in enumerate(trace.steps, 1):
        status = step.status.value.replace("_", " ")
        note = " · cut off at the length limit" if step.reply.stop is StopReason.LENGTH else ""
        style = "bold red" if step_error(step.status) else "bold"
        console.print(Text(f"\nStep {n} · {status}{note}", style))
        console.print(_reply(step, trained))
        if step.observation is not None:
            console.print(Text(plain(step.observation.content), "dim"))
        for call in step.tool_calls:
            console.print(Text(f"→ {call.name}({plain(call.arguments)}){'' if call.ok else ' failed'}", "cyan"))
        for c in step.candidates:
            text = f"not chosen ({c.status.value.replace('_', ' ')}): {one_line(c.content)} → {one_line(c.observation)}"
            console.print(Text(text, "dim italic"))
    legend = "underlined: what students were trained on" if trained else "no student was trained on this episode"
    console.print(Text(f"\n{legend}", "dim"))


def _print_head(console: Console, part: Part, trace: Trace) -> None:
    from rich.text import Text

    mark, colour = MARKS[outcome(trace)]
    console.print(Text(f"{part.key} · {trace.problem.family} · {plain(trace.id)}", "dim"))
    console.print(Text(plain(trace.problem.question), "bold"))
    said = trace.answer if trace.answer is not None else f"({trace.end.value.replace('_', ' ')})"
    console.print(Text(f"{mark} {outcome(trace).value}: {plain(said)}", colour))
    console.print(Text("gold: " + "  or  ".join(map(plain, (trace.problem.answer, *trace.problem.aliases)))))
    if trace.score is not None and trace.score.reason:
        console.print(Text(f"{trace.score.grader}: {plain(trace.score.reason)}", "dim"))
    if trace.fault is not None:
        console.print(Text(f"fault: {plain(trace.fault)}", "yellow"))
    usage = trace.usage
    cut = f" · replies cut off: {usage.n_truncated:,}" if usage.n_truncated else ""
    tokens = f"prompt tokens: {usage.n_prompt_tokens:,} · new tokens: {usage.n_new_tokens:,}{cut}"
    console.print(Text(f"requests: {usage.n_requests:,} · {tokens}", "dim"))


def _reply(step: Step, trained: bool) -> Text:
    """What the model wrote, exactly, with its code coloured and its given beginning marked."""
    from rich.syntax import Syntax
    from rich.text import Text

    content = plain(step.reply.content)
    text = Text(content)
    code = plain(step.code) if step.code else ""
    if code and code in content:
        start = content.rindex(code)
        coloured = Syntax("", "python", theme="ansi_dark", background_color="default").highlight(code)
        # The highlighter may add a line end of its own; spans beyond the code are cut off.
        text = Text.assemble(content[:start], coloured[: len(code)], content[start + len(code) :])
    if step.reply.prefix and step.reply.content.startswith(step.reply.prefix):
        text.stylize(_GIVEN, 0, len(step.reply.prefix))
    if trained:
        text.stylize(_TRAINED)
    return text


def compare(a: Path | str, b: Path | str) -> dict[str, Any]:
    """Run ``b`` minus run ``a`` for every part that both hold, as JSON values, overall and by family.

    Either may also be one part's folder (``runs/NAME/evaluate/MODEL--METHOD``): two parts are compared whatever they
    are called. The overall figure is the mean over families; intervals are 95 %, paired by problem. Raises UserError
    where there is nothing to compare, naming what each side holds.
    """
    ours, theirs = _parts(Path(a)), _parts(Path(b))
    if len(ours) == len(theirs) == 1:
        pairs = [(next(iter(ours.values())), next(iter(theirs.values())))]
    else:
        pairs = [(ours[key], theirs[key]) for key in ours if key in theirs]
    if not pairs:
        raise UserError(
            f"{a} and {b} have no part in common; the first has {', '.join(ours)}, the second {', '.join(theirs)}"
        )
    compared = [c for x, y in pairs if (c := _compare(x, y)) is not None]
    if not compared:
        raise UserError(f"{a} and {b} share no scored problem; were they run on the same problems?")
    return {"a": str(a), "b": str(b), "parts": compared}


def _parts(path: Path) -> dict[str, Part]:
    if (path / "traces.jsonl").is_file():
        part = read_part(path)
        return {part.key: part}
    return {p.key: p for p in read_run(path, with_candidates=True).traced}


def _compare(a: Part, b: Part) -> dict[str, Any] | None:
    ours, theirs = values_by_problem(a.traces), values_by_problem(b.traces)
    families = shared_families(ours, theirs)
    if not families:
        return None
    by_family = {f: _facts(paired_difference({f: theirs[f]}, {f: ours[f]})) for f in families}
    overall = _facts(paired_difference(theirs, ours))
    return {"a": a.key, "b": b.key, "overall": overall, "families": by_family}


def _facts(paired: Paired) -> dict[str, Any]:
    d = paired.difference
    return {
        "a": round(paired.b, 6),
        "b": round(paired.a, 6),
        "difference": round(d.estimate, 6),
        "low": round(d.low, 6),
        "high": round(d.high, 6),
        "n": d.n,
        "n_better": paired.n_better,
        "n_worse": paired.n_worse,
    }


def compare_runs(a: Path | str, b: Path | str, console: Console | None = None) -> None:
    """Print :func:`compare` as tables, in points of accuracy; a difference that excludes zero is coloured."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    for part in compare(a, b)["parts"]:
        name = part["a"] if part["a"] == part["b"] else f"{part['a']} → {part['b']}"
        table = Table(title=Text(one_line(name), "bold"), title_justify="left", box=None, header_style="dim")
        table.add_column("family")
        for heading in ("before", "after", "difference", "95 % interval", "better", "worse", "n"):
            table.add_column(heading, justify="right")
        for family, f in [*part["families"].items(), ("average", part["overall"])]:
            style = "green" if f["low"] > 0 else "red" if f["high"] < 0 else ""
            limits = f"{points(f['low'])} to {points(f['high'])}"
            before_after = [f"{f['a']:.1%}", f"{f['b']:.1%}"]
            rest = [limits, *(str(f[key]) for key in ("n_better", "n_worse", "n"))]
            difference = Text(points(f["difference"]), style)
            bold = "bold" if family == "average" else None
            table.add_row(Text(one_line(family)), *before_after, difference, *rest, style=bold)
        console.print(table)
        console.print()


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """``text`` with every character that could steer a terminal made visible, one for one.

    Controls become their Unicode pictures; what has none (C1 controls, direction overrides, lone surrogates) becomes
    the replacement character.

    >>> plain("\\x1b[31mred")
    '␛[31mred'
    """
    return _CONTROL.sub(lambda m: _picture(ord(m.group())), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def one_line(text: str) -> str:
    """:func:`plain` on one line, runs of white space as one blank."""
    return plain(" ".join(text.split()))
