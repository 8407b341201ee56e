"""``recipe show``: a recipe as it will be run, every default filled in."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=("show",), help="what to do with it")
    parser.add_argument("recipe", type=Path, help="a recipe")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
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
