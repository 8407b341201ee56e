"""``run`` and its stages, ``collect``, ``filter``, ``train``, ``evaluate``; ``on-policy``; ``init`` and ``recipe``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.progress import Terminal
    from agentdistill.recipe import Recipe


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _COMMANDS[verb][0](parser)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return _COMMANDS[args.verb][1](args)


def _add_run(parser: argparse.ArgumentParser) -> None:
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


def _run(args: argparse.Namespace) -> int:
    """Run the recipe up to the verb's stage."""
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
        from agentdistill.pipeline.on_policy import run_on_policy

        path = run_on_policy(recipe, args.runs / recipe.name, progress, args.seeds)
    facts = json.loads(path.read_text(encoding="utf-8"))
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        from agentdistill.pipeline.on_policy.rounds import print_table

        print_table(facts)
    return 0


# --- init and recipe: write a recipe, print one with every default ---


QUESTIONS = (
    ("problems", "Questions with answers (JSONL, JSON, CSV, Parquet or hub dataset)", "questions.jsonl"),
    ("teacher_url", "Teacher's OpenAI-compatible address", "http://localhost:8000/v1"),
    ("teacher_name", "Teacher's name there", "Qwen2.5-32B-Instruct"),
    ("search", "Documents to search (file, folder or glob; empty for none)", ""),
    ("student", "Student to train", "Qwen/Qwen2.5-0.5B-Instruct"),
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
    answers = {name: getattr(args, name) if getattr(args, name) is not None else _asked(about, default)
               for name, about, default in QUESTIONS}  # fmt: skip
    args.recipe.write_text(recipe_text(answers), encoding="utf-8")
    print(f"{args.recipe} written. Try five problems first: agentdistill run {args.recipe} --limit 5")
    return 0


def _asked(about: str, default: str) -> str:
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
    about = "show: print it with every default; keys: print what every key means, as Markdown"
    parser.add_argument("what", choices=("show", "keys"), help=about)
    parser.add_argument("recipe", type=Path, nargs="?", help="a recipe, for show")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _recipe(args: argparse.Namespace) -> int:
    """Print the resolved recipe, or what every key means."""
    from agentdistill.recipe import load_recipe

    if args.what == "keys":
        print(_keys_page(), end="")
        return 0
    if args.recipe is None:
        raise UserError("recipe show needs a recipe: agentdistill recipe show recipe.toml")
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


def _keys_page() -> str:
    """Every key with its default and meaning, a Markdown table for each table of a recipe."""
    from agentdistill.recipe import meanings, tables

    page = [
        "# Every key of a recipe",
        "Printed by `agentdistill recipe keys`. How they work together: [recipes](recipes.md).",
    ]
    settings = tables()
    for table, keys in meanings().items():
        fields = {f.name: f for f in dataclasses.fields(settings[table])}
        defaults = {"name": "not set"} if table == "top level" else {}  # it is the file's name
        rows = [f"| `{n}` | {defaults.get(n) or _default(fields[n])} | {meaning} |" for n, meaning in keys.items()]
        heading = "Top level" if table == "top level" else f"[{table}]"
        page.append("\n".join([f"## {heading}", "", "| key | default | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(page) + "\n"


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if value is dataclasses.MISSING:
        return "needed"
    if dataclasses.is_dataclass(value):
        return "a table"
    return "not set" if value in (None, "") else f"`{json.dumps(value)}`"


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
    **dict.fromkeys(("run", "collect", "filter", "train", "evaluate"), (_add_run, _run)),
    "on-policy": (_add_on_policy, _on_policy),
    "init": (_add_init, _init),
    "recipe": (_add_recipe, _recipe),
}
