"""``mcp``: a distilled student as an MCP server on the standard streams, for programs that start their servers."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--student", help="which student, as NAME--METHOD (the first that was distilled as an agent)")
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="answers at once (8)")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (the recipe's own)")


def main(args: argparse.Namespace) -> int:
    """Serve until the input ends. Nothing but the protocol goes to the standard output."""
    from agentdistill.cli.serve import check, loaded
    from agentdistill.serve import run_mcp

    check(args, concurrency=1, max_steps=1)
    with loaded(args, n_running=args.concurrency) as agent:
        run_mcp(agent)
    return 0
