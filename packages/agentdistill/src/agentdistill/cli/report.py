"""``report``, ``show`` and ``compare``: a run's report, its trajectories, and what changed from one run to another."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from agentdistill.recipe import Recipe


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _COMMANDS[verb][0](parser)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return _COMMANDS[args.verb][1](args)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", type=Path, nargs="+", help="a run's folder; several that differ in their seed alone are taken together"
    )
    parser.add_argument("--json", action="store_true", help="print report.json")
    parser.add_argument(
        "--table", type=Path, metavar="FILE.md", help="write the comparison as a page, the paper's table beside it"
    )


def _report(args: argparse.Namespace) -> int:
    """Write the report anew from the run's files; print what several runs say together."""
    if args.table is not None and args.table.suffix != ".md":
        raise UserError(f"--table {args.table}: a page of Markdown is written, so name a file that ends in .md")
    report = _written(args.run[0]) if len(args.run) == 1 else _together(args.run)
    if args.table is not None:
        _write_table(report, args.table)
    if args.json:
        from agentdistill.store import json_text

        print(json_text(report), end="")
    elif len(args.run) == 1:
        print_summary(args.run[0])
    else:
        print_report(report)
    return 0


def _written(folder: Path) -> dict[str, Any]:
    from agentdistill.pipeline import write_report
    from agentdistill.progress import Terminal

    with Terminal() as progress:
        write_report(folder, progress)
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def _together(folders: list[Path]) -> dict[str, Any]:
    from agentdistill.report import summarize_seeds

    return summarize_seeds(folders)


def _write_table(report: Mapping[str, Any], path: Path) -> None:
    """The page, and beside it the numbers that it is drawn from."""
    from agentdistill.report import markdown, table
    from agentdistill.store import write_atomic, write_json

    numbers = table(report)
    write_json(path.with_suffix(".json"), numbers)
    write_atomic(path, markdown(numbers))
    print(f"{path} and {path.with_suffix('.json')} written", file=sys.stderr)


def print_summary(folder: Path, recipe: Recipe | None = None) -> None:
    """The table, what it means in a sentence, and what to try next."""
    from rich.markup import escape

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    console = print_report(report)
    console.print()
    console.print(f"Next: open [bold]{escape(str(folder / 'report.html'))}[/]")
    student = next((e for e in report["evaluations"] if e["method"].startswith("agent-distill")), None)
    if student is not None:
        console.print(f'      [bold]agentdistill ask {escape(str(folder))} "..."[/]   talk to the student')
        console.print(f"      [bold]agentdistill show {escape(str(folder))}[/]   look at its trajectories")


def print_report(report: Mapping[str, Any]) -> Console:
    """Print the table and its sentence; returns the console they went to."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from agentdistill.problems.contamination import told

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        left = heading in ("model", "method", "95 %")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for e in report["evaluations"]:
        table.add_row(e["student"], e["method"], *_cells(e["average"]))
    console.print()
    console.print(table)
    console.print()
    console.print(escape(report["reading"]))
    for c in report["contamination"]:
        console.print(escape(f"Contamination: {c['part']}: {told(c)}."))
    return console


_HEADINGS = ("model", "method", "accuracy", "95 %", "n", "errors", "cut off", "faults", "steps", "tokens")


def _cells(average: dict[str, Any]) -> tuple[str, ...]:
    """The figures of one row, from accuracy to tokens written an answer."""
    accuracy = average["accuracy"]
    if accuracy is None:
        shown, interval = "–", ""
    else:
        shown, interval = f"{accuracy['estimate']:.1%}", f"{100 * accuracy['low']:.1f}–{100 * accuracy['high']:.1f}"
    means = ("–" if m is None else f"{m:.1f}" for m in (average["mean_steps"], average["new_tokens_per_answer"]))
    counts = (average["n"], sum(average["errors"].values()), average["truncations"], average["faults"])
    return (shown, interval, *(f"{n:,}" for n in counts), *means)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("id", nargs="?", help="a trajectory, as ID or PART/ID")
    parser.add_argument("--part", help="only this part, for example evaluate/0.3M--agent-distill")
    parser.add_argument("--family", help="only this family")
    parser.add_argument("--outcome", choices=("right", "wrong", "fault"), help="only this outcome")
    parser.add_argument("--tool", help="only trajectories that called this tool")
    parser.add_argument("--error", help="only trajectories with this kind of error")
    parser.add_argument("--text", help="only trajectories that contain this")
    parser.add_argument("--limit", type=int, default=40, help="how many to list (40)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _show(args: argparse.Namespace) -> int:
    """Print a list or one trajectory."""
    from agentdistill.report.views import Filters, list_traces, show_run, show_trace, trace_facts

    if args.id:
        if args.json:
            print(json.dumps(trace_facts(args.run, args.id, part=args.part), ensure_ascii=False, indent=2))
        else:
            show_trace(args.run, args.id, part=args.part)
        return 0
    wanted = Filters(
        part=args.part, family=args.family, outcome=args.outcome, error=args.error, tool=args.tool, text=args.text
    )
    if args.json:
        print(json.dumps(list_traces(args.run, wanted, limit=args.limit), ensure_ascii=False, indent=2))
    else:
        show_run(args.run, wanted, limit=args.limit)
    return 0


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, help="a run's folder, or one of its evaluate/... folders")
    parser.add_argument("b", type=Path, help="another; differences are the second minus the first")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _compare(args: argparse.Namespace) -> int:
    """Print the comparison."""
    from agentdistill.report.views import compare, compare_runs

    if args.json:
        print(json.dumps(compare(args.a, args.b), ensure_ascii=False, indent=2))
    else:
        compare_runs(args.a, args.b)
    return 0


_COMMANDS = {
    "report": (_add_report, _report),
    "show": (_add_show, _show),
    "compare": (_add_compare, _compare),
}
