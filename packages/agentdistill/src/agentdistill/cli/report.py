"""``report``: write the report of a run, the table that ends a run, and the table that is published."""

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
    parser.add_argument(
        "run", type=Path, nargs="+", help="a run's folder; several that differ in their seed alone are taken together"
    )
    parser.add_argument("--json", action="store_true", help="print report.json")
    parser.add_argument(
        "--table", type=Path, metavar="FILE.md", help="write the comparison as a page, the paper's table beside it"
    )


def main(args: argparse.Namespace) -> int:
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
    from agentdistill.pipeline.reporting import write_report
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
