"""``rehearse``: does a recipe fit this machine, and how long would it take? Random weights, nothing fetched."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.rehearsal import Assumptions, Rehearsal
    from agentdistill.rehearsal.plan import StagePlan


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("recipe", type=Path, help="a recipe")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto", help="auto: the GPU if there is one")
    parser.add_argument("--seconds", type=float, default=20.0, help="for one measurement at most (default 20)")
    told = "what episodes are taken to be like, such as steps=4 or price_hour=2.5; a wrong name lists them all"
    parser.add_argument("--assume", metavar="NAME=VALUE", nargs="+", default=[], help=told)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Measure, project, print."""
    from agentdistill.recipe import load_recipe
    from agentdistill.rehearsal import rehearse

    if not args.seconds > 0:
        raise UserError("--seconds has to be above 0")
    assumed = _assumptions(args.assume)
    recipe = load_recipe(args.recipe)
    plan = rehearse(recipe, assumed, args.device, args.seconds, lambda line: print(line, file=sys.stderr, flush=True))
    if args.json:
        print(json.dumps({**_facts(plan), "assumed": dataclasses.asdict(assumed)}))
    else:
        _print(plan)
    return 0


def _assumptions(given: list[str]) -> Assumptions:
    from agentdistill.registry import unknown
    from agentdistill.rehearsal import Assumptions

    kinds: dict[str, Any] = {name: type(value) for name, value in dataclasses.asdict(Assumptions()).items()}
    values: dict[str, Any] = {}
    for pair in given:
        name, _, text = pair.partition("=")
        if name not in kinds:
            raise UserError(unknown("assumption", name, kinds))
        try:
            values[name] = kinds[name](text)
        except ValueError:
            raise UserError(f"--assume {name} takes a number, got {text!r}") from None
        if values[name] < 0 or (name == "kept" and values[name] > 1):
            raise UserError(f"--assume {pair}: out of range")
    return Assumptions(**values)


def _facts(plan: Rehearsal) -> dict[str, Any]:
    return {**dataclasses.asdict(plan), "hours": plan.hours, "cost": plan.cost}


def _print(plan: Rehearsal) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{plan.device.name}, {plan.device.memory_gb:.0f} GB", title_justify="left")
    for heading in ("stage", "what", "tokens", "tokens/s", "memory", "hours", "cost"):
        table.add_column(heading, justify="left" if heading in ("stage", "what") else "right")
    for p in plan.parts:
        table.add_row(p.stage, p.what, f"{p.tokens / 1e6:.2f}M", *_speed(p), f"{p.cost:.2f}")
    table.add_row("", "all", "", "", "", f"{plan.hours:.2f}", f"{plan.cost:.2f}")
    console.print(table)
    for name, n in plan.n_parameters.items():
        console.print(f"{name}: {n / 1e6:,.1f}M parameters, random weights", highlight=False)
    if any(p.speed and p.speed.extrapolated for p in plan.parts):
        console.print("~ extrapolated from one and two layers: too large or too slow to be built whole here")
    for line in plan.too_large:
        console.print(f"does not fit into {plan.device.memory_gb:.0f} GB: {line}", style="bold red", highlight=False)


def _speed(p: StagePlan) -> tuple[str, str, str]:
    if p.speed is None or p.hours is None:
        return "server", "-", "-"
    mark = "~" if p.speed.extrapolated else ""
    return f"{mark}{p.speed.tokens_per_s:,.0f}", f"{p.speed.memory_gb:.1f} GB", f"{p.hours:.2f}"
