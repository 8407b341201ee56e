"""``init``: five questions, one recipe."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from agentdistill.errors import UserError

QUESTIONS = (
    ("problems", "Questions with answers (JSONL, JSON, CSV, Parquet or hub dataset)", "questions.jsonl"),
    ("teacher_url", "Teacher's OpenAI-compatible address", "http://localhost:8000/v1"),
    ("teacher_name", "Teacher's name there", "Qwen2.5-32B-Instruct"),
    ("search", "Documents to search (file, folder or glob; empty for none)", ""),
    ("student", "Student to teach", "Qwen/Qwen2.5-0.5B-Instruct"),
)


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("recipe", nargs="?", type=Path, default=Path("recipe.toml"), help="file to write (recipe.toml)")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    for name, about, default in QUESTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="X", help=f"{about} ({default or 'none'})")


def main(args: argparse.Namespace) -> int:
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
