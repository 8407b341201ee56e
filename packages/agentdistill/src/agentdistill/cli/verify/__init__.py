"""``verify``: sample many solutions, judge them with tools, choose one, and see what that buys."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

COMMANDS = {
    "run": ("stages", "run a recipe: sample, judge, train, judge, and write a page"),
    "sample": ("stages", "sample the candidates of a recipe"),
    "judge": ("stages", "let a recipe's verifiers judge them"),
    "train": ("stages", "train verifiers and reward models on judged candidates"),
    "select": ("files", "choose among stored candidates and say why"),
    "rescore": ("files", "accuracy of every method and budget over stored candidates; no model"),
    "curve": ("files", "accuracy against candidates, tokens, FLOPs and time, as a page or as JSON"),
    "theory": ("files", "the chance that a verified choice is right, by formula"),
}


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, about) in COMMANDS.items():
        sub = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        importlib.import_module(f"{__name__}.{module}").add(sub, name)


def main(args: argparse.Namespace) -> int:
    """Run one command."""
    module, _ = COMMANDS[args.command]
    return int(importlib.import_module(f"{__name__}.{module}").main(args))


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The arguments that say how stored candidates are read and chosen from."""
    parser.add_argument("--kind", choices=("math", "short"), help="how answers are compared (the rows' own, or seen)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N problems")
    parser.add_argument(
        "--check",
        action="append",
        choices=("calculations",),
        default=[],
        help="first judge them without a model: do every calculation that a solution writes again in the sandbox",
    )
    parser.add_argument("--verifier", metavar="NAME", help="the verifier to filter by (the first with a tool)")
    parser.add_argument("--plain", metavar="NAME", help="the verifier without a tool (the first)")
    parser.add_argument("--reward", metavar="NAME", help="the verifier to weigh by (the first that scores)")
    parser.add_argument("--passes", choices=("any", "all", "majority", "soft"), help="how k verdicts become one")
    parser.add_argument(
        "--unsettled",
        choices=("reject", "ignore", "accept"),
        default="reject",
        help="what errors, timeouts, missing and malformed code count as (reject)",
    )
    parser.add_argument(
        "--missing", choices=("reject", "accept"), default="reject", help="candidates without a verdict (reject)"
    )
    parser.add_argument(
        "--filtered",
        choices=("reward", "majority", "abstain"),
        default="reward",
        help="what to do where no candidate passes (reward)",
    )
    parser.add_argument(
        "--steps", choices=("last", "min", "product", "mean"), default="last", help="how step scores become one (last)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of random subsets and of intervals (0)")


def add_scores(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what is computed."""
    parser.add_argument("--methods", type=_names, default=(), metavar="A,B,…", help="selections (all there can be)")
    parser.add_argument("--budgets", type=_numbers, default=(), metavar="1,2,…", help="candidates (1, 2, 4, … all)")
    parser.add_argument("--subsets", type=int, default=256, metavar="N", help="random subsets of a size (256)")
    parser.add_argument("--resamples", type=int, default=2000, metavar="N", help="bootstrap resamples (2000)")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.replace(",", " ").split())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers") from None


def a_file(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """The file or files of candidates."""
    about = "candidates: our own, traces, plain rows, search-and-learn's completions or GSM8K's model solutions (JSONL)"
    parser.add_argument("files" if many else "file", type=Path, nargs="+" if many else None, metavar="FILE", help=about)
