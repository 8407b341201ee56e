"""Which student answers, as ``ask``, ``serve`` and ``mcp`` are told: the run's own, weights from elsewhere, a server's.

Whichever it is, its tools, prompts and settings are the run's.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.models import Model
    from agentdistill.pipeline.run import Run


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--student", help="which student, as NAME--METHOD (the first that was distilled as an agent)")
    parser.add_argument("--weights", type=Path, metavar="PATH", help="weights from elsewhere: a folder or a .gguf file")
    parser.add_argument("--url", help="the student is behind an OpenAI-compatible server: its address, ending in /v1")
    parser.add_argument("--name", help="of --url: the server's name for the student")
    parser.add_argument("--url-key-env", metavar="NAME", help="of --url: the variable that holds the key to send")
    parser.add_argument(
        "--search", action="append", metavar="CORPUS", help="what to search instead of the run's corpus: 'docs/*.md'"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (the recipe's own)")


def opened(args: argparse.Namespace) -> Run:
    """The run that ``args`` names, with the corpus that they give, whose index goes into the cache, not the run."""
    from agentdistill.gguf_bases import cache_folder
    from agentdistill.pipeline.run import open_run

    run = open_run(args.run)
    if not args.search:
        return run
    tools = dataclasses.replace(run.recipe.tools, search=tuple(args.search), index=str(cache_folder().parent / "index"))
    return type(run)(dataclasses.replace(run.recipe, tools=tools), run.folder)


def chosen(args: argparse.Namespace, run: Run) -> Callable[[], Model]:
    """What loads the student. Raises UserError for arguments that do not go together, or name what is not there."""
    from agentdistill.models import load_model
    from agentdistill.pipeline.run import find_student, load_student

    _check(args)
    if args.url is not None:
        return partial(load_model, "endpoint", url=args.url, name=args.name, api_key_env=args.url_key_env)
    if args.weights is not None and not args.weights.exists():
        raise UserError(f"--weights: {args.weights}: no such folder or file")
    return partial(load_student, run, args.weights or find_student(run, args.student), args.device)


def _check(args: argparse.Namespace) -> None:
    given = [f"--{o}" for o in ("student", "weights", "url") if getattr(args, o) is not None]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} each say which student answers; give one of them")
    if (args.url is None) != (args.name is None):
        raise UserError("--url and --name go together: a server's address, and its name for the student")
    if args.url is None and args.url_key_env is not None:
        raise UserError("--url-key-env needs --url")
    if args.url is not None and args.device is not None and getattr(args, "verifier", None) is None:
        raise UserError("--device is for weights in this process, --url for a server's; give one of them")
