"""``verify theory``: the chance that a verified choice is right, by formula."""

from __future__ import annotations

import argparse

from agentdistill.errors import UserError


def add(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare the arguments."""
    parser.add_argument("--p", type=float, nargs="+", default=[0.6, 0.8, 0.95], help="P(reject | wrong)")
    parser.add_argument("--q", type=float, nargs="+", default=[0.9, 0.75], help="P(accept | right)")
    parser.add_argument("--n", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="candidates")
    parser.add_argument("--prior", type=float, default=0.5, help="share of right candidates (0.5)")


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    from agentdistill.store import json_text
    from agentdistill.verify.confusion import chance_right

    rows = []
    try:
        for q, p, n in ((q, p, n) for q in args.q for p in args.p for n in args.n):
            o = chance_right(p, q, n, args.prior)
            row = {"p": p, "q": q, "prior": args.prior, "n": n, "formula": o.right, "all_rejected": o.all_rejected}
            rows.append(row | {"thrown_away": o.thrown_away})
    except ValueError as e:
        raise UserError(str(e)) from e
    print(json_text(rows), end="")
    return 0
