"""``show RUN ID``: one episode, turn by turn."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError
from agentdistill.report.outcome import error_kinds, outcome, step_error, tools_used
from agentdistill.report.run import Part, Run, read_run
from agentdistill.store import to_dict
from agentdistill.types import Step, StopReason, Trace
from agentdistill.views._text import one_line, plain
from agentdistill.views.listing import MARKS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_TRAINED = "underline"
_GIVEN = "italic yellow"


def find_trace(run_dir: Path | str, trace_id: str, part: str | None = None) -> tuple[Run, Part, Trace]:
    """The episode called ``trace_id``, or ``PART/ID``; ``part`` narrows it down by a part's name or a piece of it.

    Raises UserError for an id that the run does not hold (naming the nearest) or that several parts hold.
    """
    run = read_run(run_dir)
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


def _is_trained(run: Run, part: Part, trace: Trace) -> bool:
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
