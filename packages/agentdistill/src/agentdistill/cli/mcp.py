"""``mcp``: a distilled student as an MCP server on the standard streams, for programs that start their servers."""

from __future__ import annotations

import argparse

from agentdistill.cli import _student


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _student.add(parser)
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="answers at once (8)")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")


def main(args: argparse.Namespace) -> int:
    """Serve until the input ends. Nothing but the protocol goes to the standard output."""
    from agentdistill.cli.serve import check, loaded
    from agentdistill.serve import run_mcp

    check(args, concurrency=1, max_steps=1)
    with loaded(args, n_running=args.concurrency) as agent:
        run_mcp(agent)
    return 0
