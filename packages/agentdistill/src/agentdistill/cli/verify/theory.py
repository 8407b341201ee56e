"""``verify theory`` and ``toy``: the lemma in numbers, and the task of its appendix."""

from __future__ import annotations

import argparse
from pathlib import Path

from agentdistill.errors import UserError


def add(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare the arguments."""
    if command == "toy":
        parser.add_argument("out", type=Path, help="the file of candidates to write (JSONL)")
        parser.add_argument("--terms", type=int, nargs="+", default=list(range(3, 11)), help="terms of a sum (3 … 10)")
        parser.add_argument("--n", type=int, default=500, help="right ones, and as many wrong ones, for each (500)")
        parser.add_argument("--seed", type=int, default=0, help="of the sums (0)")
        return
    parser.add_argument("--p", type=float, nargs="+", default=[0.6, 0.8, 0.95], help="P(reject | wrong)")
    parser.add_argument("--q", type=float, nargs="+", default=[0.9, 0.75], help="P(accept | right)")
    parser.add_argument("--n", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="candidates")
    parser.add_argument("--prior", type=float, default=0.5, help="share of right candidates (0.5)")
    parser.add_argument("--trials", type=int, default=100_000, help="of the simulation (100000)")


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    from agentdistill.store import json_text
    from agentdistill.verify.candidates import write_pools
    from agentdistill.verify.theory import table, toy_pools

    try:
        if args.command == "toy":
            pools = toy_pools(args.terms, args.n, args.seed)
            write_pools(args.out, pools)
            print(f"{args.out}: {len(pools)} equations")
            return 0
        if args.trials < 1:
            raise ValueError("--trials has to be at least 1")
        verifiers = [(f"p={p:g} q={q:g}", p, q) for q in args.q for p in args.p]
        print(json_text(table(verifiers, args.n, args.prior, args.trials)), end="")
    except ValueError as e:
        raise UserError(str(e)) from e
    return 0
