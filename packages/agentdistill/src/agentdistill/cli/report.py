"""``report``: write the report of a run, and the table that ends a run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentdistill.recipe import Recipe


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--json", action="store_true", help="print report.json")


def main(args: argparse.Namespace) -> int:
    """Write the report anew from the run's files."""
    from agentdistill.progress import Terminal
    from agentdistill.stages.reporting import write_report

    with Terminal() as progress:
        write_report(args.run, progress)
    if args.json:
        print((args.run / "report.json").read_text(encoding="utf-8"), end="")
    else:
        print_summary(args.run)
    return 0


def print_summary(folder: Path, recipe: Recipe | None = None) -> None:
    """The table, what it means in a sentence, and what to try next."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
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
    console.print()
    console.print(f"Next: open [bold]{escape(str(folder / 'report.html'))}[/]")
    student = next((e for e in report["evaluations"] if e["method"].startswith("agent-distill")), None)
    if student is not None:
        console.print(f'      [bold]agentdistill ask {escape(str(folder))} "..."[/]   talk to the student')
        console.print(f"      [bold]agentdistill show {escape(str(folder))}[/]   look at its trajectories")


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
