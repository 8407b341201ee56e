"""``serve`` and ``mcp``: a distilled student behind OpenAI's chat protocol, with a chat page, or as an MCP server."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from agentdistill.cli import ask
from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.serve import Agent


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _COMMANDS[verb][0](parser)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return _COMMANDS[args.verb][1](args)


_KEY = "AGENTDISTILL_API_KEY"


def _add_serve(parser: argparse.ArgumentParser) -> None:
    ask.add_student(parser)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1, this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (8000)")
    parser.add_argument("--api-key-env", metavar="NAME", help=f"the variable that holds the key to ask for ({_KEY})")
    parser.add_argument("--open", action="store_true", help="let other machines in without a key")
    parser.add_argument("--concurrency", type=int, default=32, metavar="N", help="answers at once (32)")
    parser.add_argument("--queue", type=int, default=256, metavar="N", help="how many may wait; more get 429 (256)")
    parser.add_argument("--max-body-kb", type=int, default=512, metavar="KIB", help="size of a request (512)")
    parser.add_argument("--keep", type=int, default=64, metavar="N", help="named conversations kept in mind (64)")
    parser.add_argument("--grace", type=float, default=30.0, metavar="S", help="for answers under way at the end (30)")
    parser.add_argument("--verify", type=int, metavar="N", help="offer NAME:verify, which chooses among N trajectories")
    parser.add_argument("--verifier", metavar="PATH", help="weights or adapter that check (the student's own)")
    parser.add_argument("--as", dest="called", metavar="NAME", help="the name to ask for (the student's own)")
    parser.add_argument(
        "--system", choices=("show", "ignore"), default="show", help="what becomes of system messages (show)"
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="pages that may ask from a browser, such as http://localhost:3000; * is every one",
    )
    parser.add_argument("--mcp", action="store_true", help="be an MCP server too, at /mcp")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")
    parser.add_argument(
        "--allow-markers", action="store_true", help="show control tokens in messages as text instead of refusing them"
    )


def _serve(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from agentdistill.serve import ServeSettings, bind, run_server
    from agentdistill.serve.conversation import Shelf

    ask.check_verify(args)
    check(args, concurrency=1, queue=0, keep=0, max_steps=1)
    settings = ServeSettings(
        host=args.host,
        port=args.port,
        api_key=_key(args.api_key_env),
        open_to_all=args.open,
        max_body_kb=args.max_body_kb,
        grace_s=args.grace,
        mcp=args.mcp,
        allow_origins=tuple(args.allow_origin),
    )
    more = {
        "n_running": args.concurrency,
        "n_waiting": args.queue,
        "shelf": Shelf(args.keep),
        "allow_markers": args.allow_markers,
        "ignore_system": args.system == "ignore",
        "name": _name(args.called),
    }
    with closing(bind(settings)) as address, loaded(args, **more) as agent:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
        run_server(agent, settings, address)
    return 0


def check(args: argparse.Namespace, **least: int) -> None:
    """Raise UserError for an option below what it has to be at least; None is none."""
    for name, n in least.items():
        value = getattr(args, name)
        if value is not None and value < n:
            raise UserError(f"--{name.replace('_', '-')} has to be at least {n}")


@contextmanager
def loaded(args: argparse.Namespace, **settings: Any) -> Iterator[Agent]:
    """The agent that the arguments name, in the run's surroundings, which are closed in the end."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from agentdistill.methods import method
    from agentdistill.serve import Agent

    run = ask.opened(args)
    load = ask.chosen(args, run)
    rollouts = run.rollout_settings(run.recipe.evaluate, method("agent"))
    if args.max_steps is not None:
        rollouts = dataclasses.replace(rollouts, max_steps=args.max_steps)
    n, vote = getattr(args, "verify", None), run.recipe.evaluate.consistency
    with ExitStack() as stack:
        environment = stack.enter_context(run.environment(run.recipe.evaluate))
        environment.open().close()  # a machine without a sandbox is told of now, not at the first question
        choosing = stack.enter_context(ask.choosing(run, n, args.verifier, args.device)) if n else None
        yield Agent(load(), environment, run.template, rollouts, vote=vote, choosing=choosing, **settings)


def _name(called: str | None) -> str | None:
    """The name to ask for. It goes into addresses and headers, and clients send it back."""
    if called is not None and not re.fullmatch(r"[\w./:@+-]{1,200}", called):
        raise UserError("--as: a name is up to 200 letters, digits and . _ - / : @ +")
    return called


def _key(variable: str | None) -> str | None:
    """The key from the environment. A variable that is named has to be there."""
    if variable is None:
        return os.environ.get(_KEY) or None
    if not os.environ.get(variable):
        raise UserError(f"--api-key-env: the environment has no {variable}")
    return os.environ[variable]


def _add_mcp(parser: argparse.ArgumentParser) -> None:
    ask.add_student(parser)
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="answers at once (8)")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")


def _mcp(args: argparse.Namespace) -> int:
    """Serve until the input ends. Nothing but the protocol goes to the standard output."""
    from agentdistill.serve import run_mcp

    check(args, concurrency=1, max_steps=1)
    with loaded(args, n_running=args.concurrency) as agent:
        run_mcp(agent)
    return 0


_COMMANDS = {
    "serve": (_add_serve, _serve),
    "mcp": (_add_mcp, _mcp),
}
