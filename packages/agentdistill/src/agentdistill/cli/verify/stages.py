"""``verify run`` and its stages ``sample``, ``judge`` and ``train``: a recipe of verification, each stage resumable."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare the arguments."""
    parser.add_argument("recipe", type=Path, help="a recipe of verification, such as recipes/verify/gsm8k.toml")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (runs/)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N problems, in a run of its own")
    if command == "run":
        parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, one after another (1)")
        return
    parser.add_argument("--seed", type=int, help="another seed than the recipe's, in a run of its own")
    split = "train" if command == "train" else "test"
    if command == "sample":
        parser.add_argument("--split", choices=("test", "train"), default=split, help=f"whose problems ({split})")
    else:
        parser.add_argument("--split", default=split, metavar="NAME", help=f"whose candidates ({split})")
        about = "candidates from elsewhere, as a split called by the file's name"
        parser.add_argument("--candidates", type=Path, metavar="FILE", help=about)
    if command == "train":
        parser.add_argument("--role", action="append", default=[], metavar="NAME", help="only this role (all)")
    if command == "judge":
        parser.add_argument("--verifier", action="append", default=[], metavar="NAME", help="only this verifier (all)")


def main(args: argparse.Namespace) -> int:
    """Run the stage and print where its result lies."""
    import dataclasses

    from agentdistill.errors import UserError
    from agentdistill.progress import Terminal
    from agentdistill.store import json_text, locked, write_json
    from agentdistill.verify import runs
    from agentdistill.verify.candidates import read_pools
    from agentdistill.verify.recipe import load_verify_recipe

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    recipe = load_verify_recipe(args.recipe)
    folder = args.runs / recipe.name
    if args.limit is not None:
        if args.limit < 1:
            raise UserError("--limit has to be at least 1")
        some = dataclasses.replace(recipe.problems, limit_test=args.limit, limit_train=args.limit)
        recipe, folder = dataclasses.replace(recipe, problems=some), args.runs / f"{recipe.name}.first-{args.limit}"
    if getattr(args, "seed", None) is not None:
        recipe, folder = runs.with_seed(recipe, folder, args.seed)
    with locked(folder / ".lock", folder), Terminal() as progress:
        write_json(folder / "verify-recipe.json", dataclasses.asdict(recipe))  # an agent run may share the folder
        if args.command == "run":
            if args.seeds < 1:
                raise UserError("--seeds has to be at least 1")
            print(runs.run_all(recipe, folder, args.seeds, progress))
            return 0
        given = getattr(args, "candidates", None)
        split = args.split if given is None else given.stem
        if given is not None:
            runs.bring_in(folder, split, read_pools(given))
        if args.command == "sample":
            print(runs.sample(recipe, folder, split, progress))
        elif args.command == "judge":
            print(runs.judge(recipe, folder, split, progress, args.verifier))
        else:
            print(json_text(runs.train(recipe, folder, progress, args.role, split)), end="")
    return 0
