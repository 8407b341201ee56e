"""``init``, ``recipe`` and ``rehearse``: write a recipe, print it, see whether it fits this machine."""

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
    _COMMANDS[verb][0](parser)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return _COMMANDS[args.verb][1](args)


QUESTIONS = (
    ("problems", "Questions with answers (JSONL, JSON, CSV, Parquet or hub dataset)", "questions.jsonl"),
    ("teacher_url", "Teacher's OpenAI-compatible address", "http://localhost:8000/v1"),
    ("teacher_name", "Teacher's name there", "Qwen2.5-32B-Instruct"),
    ("search", "Documents to search (file, folder or glob; empty for none)", ""),
    ("student", "Student to teach", "Qwen/Qwen2.5-0.5B-Instruct"),
)


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", type=Path, default=Path("recipe.toml"), help="file to write (recipe.toml)")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    for name, about, default in QUESTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="X", help=f"{about} ({default or 'none'})")


def _init(args: argparse.Namespace) -> int:
    """Ask what was not given, and write the recipe. Without a terminal the defaults stand."""
    if args.recipe.exists() and not args.force:
        raise UserError(f"{args.recipe} is there already; give another name or --force")
    answers = {name: getattr(args, name) if getattr(args, name) is not None else _ask(about, default)
               for name, about, default in QUESTIONS}  # fmt: skip
    args.recipe.write_text(recipe_text(answers), encoding="utf-8")
    print(f"{args.recipe} written. Try five problems first: agentdistill run {args.recipe} --limit 5")
    return 0


def _ask(about: str, default: str) -> str:
    if not sys.stdin.isatty():
        return default
    try:
        return input(f"{about} [{default or 'none'}]: ").strip() or default
    except EOFError:
        return default


def recipe_text(answers: dict[str, str]) -> str:
    """The recipe that the answers make."""
    quoted = {k: json.dumps(v, ensure_ascii=False).replace("\x7f", "\\u007f") for k, v in answers.items()}
    search = f"search = {quoted['search']}\n" if answers["search"] else '# search = "docs/*.md"\n'
    return f"""\
# Every other setting has a default: agentdistill recipe show FILE prints them all.
[problems]
train = {quoted["problems"]}
# test = "test.jsonl"

[teacher]
model = "endpoint"
url = {quoted["teacher_url"]}
name = {quoted["teacher_name"]}
# api_key_env = "MY_KEY"              # the environment variable that holds the key

[tools]
{search}# functions = "my_tools.py"           # typed Python functions with docstrings

[student]
base = {quoted["student"]}
"""


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("show",), help="what to do with it")
    parser.add_argument("recipe", type=Path, help="a recipe")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _recipe(args: argparse.Namespace) -> int:
    """Print the resolved recipe."""
    from agentdistill.recipe import load_recipe

    resolved = dataclasses.asdict(load_recipe(args.recipe))
    if args.json:
        print(json.dumps(resolved, indent=2, ensure_ascii=False))
        return 0
    for key, value in resolved.items():
        if not isinstance(value, (dict, tuple, type(None))):
            print(f"{key} = {_toml(value)}")
    for key, value in resolved.items():
        for table, header in _tables(key, value):
            print(f"\n{header}")
            for name, item in table.items():
                print(f"# {name} = not set" if item is None else f"{_key(name)} = {_toml(item)}")
    return 0


def _tables(key: str, value: object) -> list[tuple[dict[str, object], str]]:
    if isinstance(value, tuple):
        return [(dict(item), f"[[{key}]]") for item in value]
    if not isinstance(value, dict):
        return []
    if key == "teacher":
        return [({"model": value["model"], **value["settings"]}, "[teacher]")]
    return [(value, "[train.cot]" if key == "train_cot" else f"[{key}]")]


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _toml(name)


def _add_rehearse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=Path, help="a recipe")
    parser.add_argument("--device", choices=("auto", "cpu"), default="auto", help="auto: the GPU if there is one")
    parser.add_argument("--seconds", type=float, default=20.0, help="for one measurement at most (default 20)")
    told = "what episodes are taken to be like, such as steps=4 or price_hour=2.5; a wrong name lists them all"
    parser.add_argument("--assume", metavar="NAME=VALUE", nargs="+", default=[], help=told)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _rehearse(args: argparse.Namespace) -> int:
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


_COMMANDS = {
    "init": (_add_init, _init),
    "recipe": (_add_recipe, _recipe),
    "rehearse": (_add_rehearse, _rehearse),
}
