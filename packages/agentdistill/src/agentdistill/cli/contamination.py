"""``contamination``: training questions that are test questions too, pair by pair."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from agentdistill.errors import DataError, UserError

if TYPE_CHECKING:
    from agentdistill.types import Problem

_SHOWN = 10


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    what = "a file of questions or trajectories, a hub dataset, or a built-in task such as gsm8k:train"
    parser.add_argument("train", help=what)
    parser.add_argument("test", nargs="+", help="what to compare it with, one source or several")
    parser.add_argument("--show", type=int, default=_SHOWN, metavar="N", help=f"pairs of each level to show ({_SHOWN})")
    parser.add_argument("--json", action="store_true", help="print counts and every pair as JSON")


def main(args: argparse.Namespace) -> int:
    """Print counts by family, and the pairs."""
    from agentdistill.problems.contamination import screen, told

    if args.show < 0:
        raise UserError("--show has to be at least 0")
    found = screen(_problems(args.train), [p for source in args.test for p in _problems(source)])
    facts = found.facts()
    del facts["dropped"]  # nothing is, here
    if args.json:
        print(json.dumps({**facts, "examples": found.pairs()}, ensure_ascii=False, indent=2))
        return 0
    print(told(facts))
    for group in facts["groups"]:
        print(f"  {group['train']} in {group['test']}: {group['equal']:,} equal, {group['near']:,} near")
    for pair in found.pairs(args.show):
        print(f"\n{pair['level']}, overlap {pair['overlap']:.2f}")
        for split in ("train", "test"):
            print(f"  {split:<5} {pair[split]['id']}: {' '.join(pair[split]['question'].split())}")
    return 0


def _problems(source: str) -> list[Problem]:
    """The questions of a task, of a file of problems or of a file of trajectories."""
    from agentdistill.exchange import read_trajectories
    from agentdistill.problems import load_problems
    from agentdistill.tasks import find_task

    task = find_task(source)
    if task is not None:
        return list(task[0].problems(task[1]))
    try:
        return list(load_problems(source).problems)
    except DataError as e:
        try:
            return [t.problem for t in read_trajectories(source).traces]
        except DataError:
            raise e from None
