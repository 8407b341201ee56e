"""``verify``: sample many solutions, judge them with tools, choose one, and see what that buys."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.verify import Pool, ScoreSettings


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (declare, _, about) in _COMMANDS.items():
        declare(commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + "."), name)


def main(args: argparse.Namespace) -> int:
    """Run one command."""
    return _COMMANDS[args.command][1](args)


def _add_stage(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument("recipe", type=Path, help="a recipe with a [verify] table, such as recipes/verify/gsm8k.toml")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (runs/)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N problems, in a run of its own")
    if command == "run":
        parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, one after another (1)")
        return
    parser.add_argument("--seed", type=int, help="another seed than the recipe's, in a run of its own")
    split = "train" if command == "train" else "test"
    if command == "sample":
        parser.add_argument("--split", choices=("test", "train"), default=split, help=f"whose problems ({split})")
    else:
        parser.add_argument("--split", default=split, metavar="NAME", help=f"whose candidates ({split})")
        about = "candidates from elsewhere, as a split called by the file's name"
        parser.add_argument("--candidates", type=Path, metavar="FILE", help=about)
    if command == "train":
        parser.add_argument("--role", action="append", default=[], metavar="NAME", help="only this role (all)")
    if command == "judge":
        parser.add_argument("--verifier", action="append", default=[], metavar="NAME", help="only this verifier (all)")


def _stage(args: argparse.Namespace) -> int:
    """Run the stage and print where its result lies."""
    import dataclasses

    from agentdistill.pipeline import verifying
    from agentdistill.pipeline.run import Run
    from agentdistill.progress import Terminal
    from agentdistill.recipe import load_recipe
    from agentdistill.store import json_text, locked, write_json
    from agentdistill.verify import read_pools

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    recipe = load_recipe(args.recipe)
    folder, settings = args.runs / recipe.name, verifying.verify_of(Run(recipe, args.runs))
    if args.limit is not None:
        if args.limit < 1:
            raise UserError("--limit has to be at least 1")
        recipe = dataclasses.replace(recipe, verify=dataclasses.replace(settings, limit=args.limit))
        folder = args.runs / f"{recipe.name}.first-{args.limit}"
    run = Run(recipe, folder)
    if getattr(args, "seed", None) is not None:
        run = verifying.with_seed(run, args.seed)
    folder = run.folder
    with locked(folder / ".lock", folder), Terminal() as progress:
        write_json(folder / "verify-recipe.json", dataclasses.asdict(run.recipe))  # an agent run may share the folder
        if args.command == "run":
            if args.seeds < 1:
                raise UserError("--seeds has to be at least 1")
            print(verifying.verify(run, progress, args.seeds))
            return 0
        given = getattr(args, "candidates", None)
        split = args.split if given is None else given.stem
        if given is not None:
            verifying.bring_in(folder, split, read_pools(given))
        if args.command == "sample":
            print(verifying.sample(run, split, progress))
        elif args.command == "judge":
            print(verifying.judge(run, split, progress, args.verifier))
        else:
            print(json_text(verifying.train(run, progress, args.role, split)), end="")
    return 0


def _add_files(parser: argparse.ArgumentParser, command: str) -> None:
    if command == "theory":
        parser.add_argument("--p", type=float, nargs="+", default=[0.6, 0.8, 0.95], help="P(reject | wrong)")
        parser.add_argument("--q", type=float, nargs="+", default=[0.9, 0.75], help="P(accept | right)")
        parser.add_argument("--n", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="candidates")
        parser.add_argument("--prior", type=float, default=0.5, help="share of right candidates (0.5)")
        return
    _add_file(parser, many=command == "curve")
    _add_selection(parser)
    if command in ("select", "stop"):
        about = "how to choose (verifier-weighted where there are verdicts and scores, verifier without scores, …)"
        parser.add_argument("--method", metavar="NAME", help=about)
    if command == "stop":
        parser.add_argument("--batch", type=int, default=4, metavar="N", help="candidates between two looks (4)")
        about = "greatest probability that the answer of all candidates is another; several are compared (0)"
        parser.add_argument("--bound", type=float, nargs="+", default=[0.0], metavar="P", help=about)
        parser.add_argument("--orders", type=int, default=8, metavar="N", help="random orders of a problem (8)")
    elif command != "select":
        _add_scores(parser)
        about = "what results are shown by: family, or a label such as level (families, else the first that differs)"
        parser.add_argument("--by", default="", metavar="NAME", help=about)
    if command == "curve":
        about = "a page (.html, .md), its picture (.svg), or .json (JSON is printed)"
        parser.add_argument("--out", type=Path, metavar="FILE", help=about)


def _score_settings(args: argparse.Namespace) -> ScoreSettings:
    from agentdistill.verify import Listen, ScoreSettings, SelectionPolicy

    if getattr(args, "subsets", 1) < 1 or getattr(args, "resamples", 1) < 1:
        raise UserError("--subsets and --resamples have to be at least 1")
    policy = SelectionPolicy(args.passes, args.unsettled, args.missing, args.filtered, args.steps, args.claims)
    listen = Listen(args.verifier, args.plain, args.reward)
    if args.command in ("select", "stop"):
        return ScoreSettings(listen=listen, policy=policy, seed=args.seed)
    return ScoreSettings(args.methods, args.budgets, listen, policy, args.subsets, args.resamples, args.seed, args.by)


def _read(path: Path, args: argparse.Namespace) -> list[Pool]:
    from agentdistill.verify import read_pools
    from agentdistill.verify.verifiers import with_calculations

    if args.limit is not None and args.limit < 1:
        raise UserError("--limit has to be at least 1")
    pools = read_pools(path, args.kind, args.limit)
    return with_calculations(pools) if "calculations" in args.check else pools


def _select(args: argparse.Namespace) -> int:
    from agentdistill.verify.scores import select_rows

    for row in select_rows(_read(args.file, args), args.method, _score_settings(args)):
        print(json.dumps(row, ensure_ascii=False))
    return 0


def _stop(args: argparse.Namespace) -> int:
    from agentdistill.store import json_text
    from agentdistill.verify.scores import read_costs, stopping
    from agentdistill.verify.stopping import StopSettings

    if args.orders < 1:
        raise UserError("--orders has to be at least 1")
    looks = [StopSettings(batch=args.batch, bound=bound) for bound in args.bound]
    pools, settings, costs = _read(args.file, args), _score_settings(args), read_costs(args.file)
    print(json_text(stopping(pools, args.method, settings, looks, costs, args.orders)), end="")
    return 0


def _rescore(args: argparse.Namespace) -> int:
    from agentdistill.store import json_text
    from agentdistill.verify import rescore

    print(json_text(rescore(_read(args.file, args), _score_settings(args))), end="")
    return 0


def _curve(args: argparse.Namespace) -> int:
    from agentdistill.store import json_text, write_atomic
    from agentdistill.verify.page import markdown, picture, render
    from agentdistill.verify.scores import curve, read_costs

    kind = ".json" if args.out is None else args.out.suffix
    writers = {".html": render, ".md": markdown, ".svg": picture}
    if kind not in (*writers, ".json"):
        raise UserError(f"--out {args.out}: give a name that ends in .html, .md, .svg or .json")
    settings = _score_settings(args)
    curves = [curve(_name(f, args.files), _read(f, args), settings, read_costs(f)) for f in args.files]
    text = writers[kind](curves) if kind in writers else json_text({"curves": curves})
    if args.out is None:
        print(text, end="")
    else:
        write_atomic(args.out, text)
        print(args.out)
    return 0


def _theory(args: argparse.Namespace) -> int:
    from agentdistill.store import json_text
    from agentdistill.verify.scores import chance_right

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
    if path.stem in ("traces", "candidates") and run:
        return " · ".join(run)
    return path.stem if sum(p.stem == path.stem for p in others) == 1 else str(path.parent)


def _add_selection(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--claims",
        choices=("supported", "uncontradicted", "share", "last"),
        default="supported",
        help="how a solution's claims become one verdict: all supported, none contradicted, the share, or the last",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random subsets and of intervals (0)")


def _add_scores(parser: argparse.ArgumentParser) -> None:
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


def _add_file(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """The file or files of candidates."""
    about = "candidates: our own, traces, plain rows, search-and-learn's completions or GSM8K's model solutions (JSONL)"
    parser.add_argument("files" if many else "file", type=Path, nargs="+" if many else None, metavar="FILE", help=about)


_COMMANDS = {
    "run": (_add_stage, _stage, "run a recipe: sample, judge, train, judge, and write a page"),
    "sample": (_add_stage, _stage, "sample the candidates of a recipe"),
    "judge": (_add_stage, _stage, "let a recipe's verifiers judge them"),
    "train": (_add_stage, _stage, "train verifiers and reward models on judged candidates"),
    "select": (_add_files, _select, "choose among stored candidates and say why"),
    "stop": (_add_files, _stop, "what sampling would have spared that stops once the answer is settled"),
    "rescore": (_add_files, _rescore, "accuracy of every method and budget over stored candidates; no model"),
    "curve": (_add_files, _curve, "accuracy against candidates, tokens, FLOPs and time, as a page or as JSON"),
    "theory": (_add_files, _theory, "the chance that a verified choice is right, by formula"),
}
