"""``verify select``, ``rescore``, ``curve`` and ``theory``: what needs no model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentdistill.cli.verify import a_file, add_scores, add_selection
from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.verify import Asked, Pool


def add(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare the arguments."""
    if command == "theory":
        parser.add_argument("--p", type=float, nargs="+", default=[0.6, 0.8, 0.95], help="P(reject | wrong)")
        parser.add_argument("--q", type=float, nargs="+", default=[0.9, 0.75], help="P(accept | right)")
        parser.add_argument("--n", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="candidates")
        parser.add_argument("--prior", type=float, default=0.5, help="share of right candidates (0.5)")
        return
    a_file(parser, many=command == "curve")
    add_selection(parser)
    if command == "select":
        about = "how to choose (verifier-weighted where there are verdicts and scores, verifier without scores, …)"
        parser.add_argument("--method", metavar="NAME", help=about)
    else:
        add_scores(parser)
        about = "what results are shown by: family, or a label such as level (families, else the first that differs)"
        parser.add_argument("--by", default="", metavar="NAME", help=about)
    if command == "curve":
        about = "a page (.html, .md), its picture (.svg), or .json (JSON is printed)"
        parser.add_argument("--out", type=Path, metavar="FILE", help=about)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return {"select": _select, "rescore": _rescore, "curve": _curve, "theory": _theory}[args.command](args)


def _asked(args: argparse.Namespace) -> Asked:
    from agentdistill.verify import Asked, Listen, Policy

    if getattr(args, "subsets", 1) < 1 or getattr(args, "resamples", 1) < 1:
        raise UserError("--subsets and --resamples have to be at least 1")
    policy = Policy(args.passes, args.unsettled, args.missing, args.filtered, args.steps)
    listen = Listen(args.verifier, args.plain, args.reward)
    if args.command == "select":
        return Asked(listen=listen, policy=policy, seed=args.seed)
    return Asked(args.methods, args.budgets, listen, policy, args.subsets, args.resamples, args.seed, args.by)


def _read(path: Path, args: argparse.Namespace) -> list[Pool]:
    from agentdistill.verify import read_pools
    from agentdistill.verify.calculations import with_calculations

    if args.limit is not None and args.limit < 1:
        raise UserError("--limit has to be at least 1")
    pools = read_pools(path, args.kind, args.limit)
    return with_calculations(pools) if "calculations" in args.check else pools


def _select(args: argparse.Namespace) -> int:
    from agentdistill.verify.scores import select_rows

    for row in select_rows(_read(args.file, args), args.method, _asked(args)):
        print(json.dumps(row, ensure_ascii=False))
    return 0


def _rescore(args: argparse.Namespace) -> int:
    from agentdistill.store import json_text
    from agentdistill.verify import rescore

    print(json_text(rescore(_read(args.file, args), _asked(args))), end="")
    return 0


def _curve(args: argparse.Namespace) -> int:
    from agentdistill.store import json_text, write_atomic
    from agentdistill.verify.page import markdown, picture, render
    from agentdistill.verify.scores import curve, read_costs

    kind = ".json" if args.out is None else args.out.suffix
    writers = {".html": render, ".md": markdown, ".svg": picture}
    if kind not in (*writers, ".json"):
        raise UserError(f"--out {args.out}: give a name that ends in .html, .md, .svg or .json")
    asked = _asked(args)
    curves = [curve(_name(f, args.files), _read(f, args), asked, read_costs(f)) for f in args.files]
    text = writers[kind](curves) if kind in writers else json_text({"curves": curves})
    if args.out is None:
        print(text, end="")
    else:
        write_atomic(args.out, text)
        print(args.out)
    return 0


def _theory(args: argparse.Namespace) -> int:
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


def _name(path: Path, others: Sequence[Path]) -> str:
    """What a file is called on the page: its own name, or its folder's where several, or those of all runs, have that
    name."""
    run = [part for part in path.parent.parts[-2:] if part.strip("./")]
    if path.stem == "candidates" and run:
        return " · ".join(run)
    return path.stem if sum(p.stem == path.stem for p in others) == 1 else str(path.parent)
