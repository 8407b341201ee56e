"""``on-policy``: rounds in which the student acts, the teacher corrects it, and it learns from that."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("recipe", type=Path, help="a recipe; its [on_policy] table says how many rounds, and of what")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (runs/)")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (the recipe's own)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from the recipe's own (1)")
    parser.add_argument("--json", action="store_true", help="print what came out as JSON")


def main(args: argparse.Namespace) -> int:
    """Run the recipe and then its rounds, and print rounds against accuracy."""
    from agentdistill.errors import UserError
    from agentdistill.progress import Terminal
    from agentdistill.recipe import load_recipe

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    recipe = load_recipe(args.recipe)
    if args.seeds < 1:
        raise UserError("--seeds has to be at least 1")
    if args.rounds is not None:
        if args.rounds < 1:
            raise UserError("--rounds has to be at least 1")
        recipe = replace(recipe, on_policy=replace(recipe.on_policy, rounds=args.rounds))
    with Terminal() as progress:
        from agentdistill.on_policy import run_on_policy

        path = run_on_policy(recipe, args.runs / recipe.name, progress, args.seeds)
    facts = json.loads(path.read_text(encoding="utf-8"))
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        from agentdistill.on_policy.table import print_table

        print_table(facts)
    return 0
