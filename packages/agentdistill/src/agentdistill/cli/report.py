"""``report``: write the report of a run, and the table that ends a run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

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
    from rich.table import Table

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in (("model", "left"), ("method", "left"), ("accuracy", "right"), ("95 %", "left"), ("n", "right"),
                          ("errors", "right"), ("cut off", "right"), ("faults", "right"), ("steps", "right"), ("tokens", "right")):  # fmt: skip
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for e in report["evaluations"]:
        table.add_row(e["student"], e["method"], *_cells(e["average"]))
    console.print()
    console.print(table)
    console.print()
    console.print(report["reading"])
    console.print()
    console.print(f"Next: open [bold]{folder / 'report.html'}[/]")
    student = next((e for e in report["evaluations"] if e["method"].startswith("agent-distill")), None)
    if student is not None:
        console.print(f'      [bold]agentdistill ask {folder} "..."[/]   talk to the student')
        console.print(f"      [bold]agentdistill show {folder}[/]   look at its trajectories")
