"""``init`` and ``recipe``: write a recipe, print one with every default."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from agentdistill.errors import UserError


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


_COMMANDS = {
    "init": (_add_init, _init),
    "recipe": (_add_recipe, _recipe),
}
