"""``grade``: score stored predictions. No model is needed, unless one is asked to judge."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.scorers.rescore import Answered


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "file",
        type=Path,
        help='JSONL with "prediction" and "answer" (and "aliases", "question") in every row, or a run\'s traces.jsonl',
    )
    parser.add_argument("--kind", choices=("math", "short"), help="how answers are compared (the rows' own kind)")
    parser.add_argument("--judge", metavar="URL", help="also ask a language model at this endpoint, such as …/v1")
    parser.add_argument("--judge-model", metavar="NAME", help="the endpoint's name for that model")
    parser.add_argument("--judge-key-env", metavar="VARIABLE", help="the environment variable that holds its key")
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE", help="where the judge's verdicts are kept (beside FILE)"
    )


def main(args: argparse.Namespace) -> int:
    """Print every score and the totals as JSON."""
    from agentdistill.scorers.rescore import read_answered, rescore
    from agentdistill.store import json_text

    if args.judge and not args.judge_model:
        raise UserError("--judge needs --judge-model, the endpoint's name for the model")
    if not args.judge and (args.judge_model or args.judge_key_env or args.verdicts):
        raise UserError("--judge-model, --judge-key-env and --verdicts need --judge URL")
    answers = read_answered(args.file, args.kind)
    judged = _judged(args, answers) if args.judge else None
    print(json_text(rescore(answers, judged)), end="")
    return 0


def _judged(args: argparse.Namespace, answers: list[Answered]) -> list[bool | None]:
    from agentdistill.models import load_model
    from agentdistill.scorers.judge import Case, judge_cases

    model = load_model("endpoint", url=args.judge, name=args.judge_model, api_key_env=args.judge_key_env)
    path = args.verdicts or args.file.with_name(f"{args.file.stem}.verdicts.jsonl")
    return judge_cases(model, [Case(a.prediction or "", a.golds, a.question) for a in answers], path)
