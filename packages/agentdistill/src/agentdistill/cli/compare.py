"""``compare``: paired differences between two runs, or two parts of runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("a", type=Path, help="a run's folder, or one of its evaluate/... folders")
    parser.add_argument("b", type=Path, help="another; differences are the second minus the first")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print the comparison."""
    from agentdistill.report.views import compare, compare_runs

    if args.json:
        print(json.dumps(compare(args.a, args.b), ensure_ascii=False, indent=2))
    else:
        compare_runs(args.a, args.b)
    return 0
