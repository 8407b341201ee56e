"""``show``: list a run's traces, or print one turn by turn."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("id", nargs="?", help="a trace, as ID or PART/ID")
    parser.add_argument("--part", help="only this part, for example evaluate/0.3M--agent-distill")
    parser.add_argument("--family", help="only this family")
    parser.add_argument("--outcome", choices=("right", "wrong", "fault"), help="only this outcome")
    parser.add_argument("--tool", help="only traces that called this tool")
    parser.add_argument("--error", help="only traces with this kind of error")
    parser.add_argument("--text", help="only traces that contain this")
    parser.add_argument("--limit", type=int, default=40, help="how many to list (40)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print a list or a trace."""
    from agentdistill.report.views import Filters, list_traces, show_run, show_trace, trace_facts

    if args.id:
        if args.json:
            print(json.dumps(trace_facts(args.run, args.id, part=args.part), ensure_ascii=False, indent=2))
        else:
            show_trace(args.run, args.id, part=args.part)
        return 0
    wanted = Filters(
        part=args.part, family=args.family, outcome=args.outcome, error=args.error, tool=args.tool, text=args.text
    )
    if args.json:
        print(json.dumps(list_traces(args.run, wanted, limit=args.limit), ensure_ascii=False, indent=2))
    else:
        show_run(args.run, wanted, limit=args.limit)
    return 0
