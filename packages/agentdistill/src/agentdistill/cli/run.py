"""``run`` and its stages, ``collect``, ``filter``, ``train`` and ``evaluate``; ``on-policy``: rounds after a run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.progress import Terminal
    from agentdistill.recipe import Recipe


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    if verb == "on-policy":
        _add_on_policy(parser)
        return
    parser.add_argument("recipe", type=Path, help="a recipe, as `agentdistill init` writes it")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (runs/)")
    parser.add_argument("--name", help="name of the run's folder (the recipe's own)")
    parser.add_argument("--jobs", type=int, help="processes side by side (the recipe's own)")
    parser.add_argument(
        "--limit", type=int, metavar="N",
        help="a dry run: N problems, the trajectories shown, tokens, time and memory of the whole estimated",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
        help="a setting instead of the recipe's, such as train.epochs=1",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from the recipe's own (1)")
    parser.add_argument("--json", action="store_true", help="print what came out as JSON")


def main(args: argparse.Namespace) -> int:
    """Run the recipe up to the verb's stage."""
    if args.verb == "on-policy":
        return _on_policy(args)
    from agentdistill.progress import Terminal
    from agentdistill.recipe import A_NAME, is_name, load_recipe

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    recipe = load_recipe(args.recipe, args.changes)
    if args.jobs is not None:
        recipe = dataclasses.replace(recipe, jobs=args.jobs)
    if args.name is not None:
        if not is_name(args.name):
            raise UserError(f'--name "{args.name}" {A_NAME}')
        recipe = dataclasses.replace(recipe, name=args.name)
    if recipe.jobs < 1:
        raise UserError("--jobs has to be at least 1")
    if args.seeds < 1:
        raise UserError("--seeds has to be at least 1")
    if args.limit is not None:
        return _dry_run(args, recipe)
    folder = args.runs / recipe.name
    until = "report" if args.verb == "run" else args.verb
    if args.seeds > 1:
        return _seeds(args, recipe, folder, until)
    with Terminal() as progress:
        from agentdistill.pipeline import run_recipe

        run_recipe(recipe, folder, progress, until)
    if args.json:
        print(json.dumps(_facts(folder, until), indent=2))
    elif until == "report":
        from agentdistill.cli.report import print_summary

        print_summary(folder, recipe)
    return 0


def _seeds(args: argparse.Namespace, recipe: Recipe, folder: Path, until: str) -> int:
    """The recipe once a seed, each in a folder of its own below ``folder``, and what they say together."""
    from agentdistill.pipeline import run_recipe
    from agentdistill.progress import Terminal

    folders = [folder / f"seed-{recipe.seed + k}" for k in range(args.seeds)]
    with Terminal() as progress:
        for k, path in enumerate(folders):
            progress.say(f"{path}: seed {k + 1} of {args.seeds}")
            run_recipe(dataclasses.replace(recipe, seed=recipe.seed + k), path, progress, until)
    if until != "report":
        return 0
    from agentdistill.cli.report import print_report
    from agentdistill.report import summarize_seeds
    from agentdistill.store import json_text, write_json

    report = summarize_seeds(folders)
    write_json(folder / "report.json", report)
    if args.json:
        print(json_text(report), end="")
    else:
        print_report(report)
    return 0


def _facts(folder: Path, until: str) -> dict[str, Any]:
    if until == "report":
        facts: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return facts
    manifests = sorted((folder / until).glob("*/manifest.json")) + sorted((folder / until).glob("*/training.json"))
    return {m.parent.name: json.loads(m.read_text(encoding="utf-8")) for m in manifests if ".old-" not in m.parent.name}


def _dry_run(args: argparse.Namespace, recipe: Recipe) -> int:
    """Collect a few trajectories, show them, and say what the whole would take."""
    from agentdistill.pipeline import run_recipe
    from agentdistill.pipeline.run import Run
    from agentdistill.pipeline.training import estimate
    from agentdistill.progress import Terminal

    if args.limit < 1:
        raise UserError("--limit has to be at least 1")
    whole = len(Run(recipe, args.runs / recipe.name).problems("train"))
    limited = dataclasses.replace(
        recipe, problems=dataclasses.replace(recipe.problems, limit_train=args.limit, limit_test=args.limit)
    )
    folder = args.runs / f"{recipe.name}.dry-run"
    with Terminal() as progress:
        run_recipe(limited, folder, progress, "collect")
        _show(folder, progress)
        for line in estimate(folder, recipe, whole):
            progress.say(line)
    return 0


def _show(folder: Path, progress: Terminal) -> None:
    from agentdistill.report.views import show_trace
    from agentdistill.store import read_traces

    for traces in sorted(folder.glob("collect/*/traces.jsonl")):
        if ".old-" in traces.parent.name:
            continue
        for trace in read_traces(traces):
            show_trace(folder, trace.id, part=f"collect/{traces.parent.name}")


def _add_on_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=Path, help="a recipe; its [on_policy] table says how many rounds, and of what")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (runs/)")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (the recipe's own)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from the recipe's own (1)")
    parser.add_argument("--json", action="store_true", help="print what came out as JSON")


def _on_policy(args: argparse.Namespace) -> int:
    """Run the recipe and then its rounds, and print rounds against accuracy."""
    from agentdistill.progress import Terminal
    from agentdistill.recipe import load_recipe

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    recipe = load_recipe(args.recipe)
    if args.seeds < 1:
        raise UserError("--seeds has to be at least 1")
    if args.rounds is not None:
        if args.rounds < 1:
            raise UserError("--rounds has to be at least 1")
        recipe = dataclasses.replace(recipe, on_policy=dataclasses.replace(recipe.on_policy, rounds=args.rounds))
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
