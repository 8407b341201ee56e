"""The command line. A module here holds a group of verbs, with ``add(parser, verb)`` and ``main(args) -> int``.

Nothing heavy is imported before a verb runs, so that ``--help`` and completion stay quick.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill import __version__, registry
from agentdistill.errors import InfrastructureError, UserError

VERBS = {
    "init": "write a recipe by answering five questions",
    "run": "run a recipe: collect, filter, train, evaluate, report",
    "collect": "let the teacher solve the training problems",
    "filter": "keep the trajectories worth learning from",
    "train": "train the students",
    "evaluate": "test students and teacher",
    "report": "write report.json and report.html of a run",
    "on-policy": "rounds in which the student acts and the teacher corrects it",
    "ask": "talk to a distilled student, its steps shown live",
    "serve": "a distilled student behind an OpenAI endpoint, with a chat page",
    "mcp": "a distilled student as an MCP server on the standard streams",
    "record": "stand between an agent and its model, and write their conversations",
    "export": "a student, or trajectories, as a folder for the hub",
    "show": "list a run's trajectories, or print one",
    "compare": "paired differences between two runs",
    "recipe": "print a recipe with every default",
    "grade": "score stored predictions",
    "contamination": "find training questions that are test questions too",
    "verify": "sample many solutions, judge them with tools, choose one",
    "retrieve-eval": "how much of what questions need a retriever finds",
    "plugins": "list the tasks, tools, models, filters … that are installed",
    "sandbox": "what the sandbox holds on this machine",
    "completion": "print a script for tab completion",
}


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole parser; with ``only``, the arguments of just that verb, which is quicker to build."""
    parser = _Parser(
        prog="agentdistill", description="Distil a strong model's tool-using behaviour into small language models."
    )
    parser.add_argument("--version", action="version", version=f"agentdistill {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Verb)
    for name, about in VERBS.items():
        sub = verbs.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if only in (None, name):
            importlib.import_module(f"{__name__}.{_MODULES[name]}").add(sub, name)
    return parser


class _Parser(argparse.ArgumentParser):
    """Names the nearest command, value or option where one is misspelt."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as e:
            e.message = registry.unknown("choice", value, map(str, action.choices or ()))
            raise

    def refuse(self, left: Sequence[str]) -> None:
        """End the command for arguments that nothing took, if there are any."""
        if left:
            given = (arg.partition("=")[0] for arg in left if arg.startswith("--"))
            near = [m for g in given for m in difflib.get_close_matches(g, self._option_string_actions, n=1)]
            self.error(f"unrecognized arguments: {' '.join(left)}{f'; did you mean {near[0]}?' if near else ''}")


class _Verb(_Parser):
    """One verb's arguments. Options may stand anywhere: argparse alone takes an optional positional for left out where
    an option stands before it, as in ``ask RUN --max-steps 3 QUESTION``.
    """

    _inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._inside:
            return super().parse_known_args(args, namespace)
        whole = {argparse.PARSER, argparse.REMAINDER}  # these take all that follows, options too
        mixed = not any(action.nargs in whole for action in self._actions)
        self._inside = True
        try:
            found, left = (self.parse_known_intermixed_args if mixed else super().parse_known_args)(args, namespace)
        finally:
            self._inside = False
        self.refuse(left)
        return found, left


_MODULES = {
    **dict.fromkeys(("init", "recipe", "run", "collect", "filter", "train", "evaluate", "on-policy"), "run"),
    **dict.fromkeys(("ask", "serve", "mcp", "record", "export"), "student"),
    **dict.fromkeys(("report", "show", "compare"), "report"),
    **dict.fromkeys(("grade", "contamination", "retrieve-eval", "plugins", "sandbox", "completion"), "tools"),
    "verify": "verify",
}
"""Verb -> the module of its group."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0 done, 1 the world failed, 2 the user's mistake, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    for old, new in _MOVED.items():
        if f"{' '.join(argv)} ".startswith(f"{old} "):
            print(f"agentdistill: there is no {old} any more; {new}", file=sys.stderr)
            return 2
    verb = next((a for a in argv if a in VERBS), None)
    args = build_parser(only=verb or "").parse_args(argv)
    try:
        registry.look_in(Path.cwd())
        return int(importlib.import_module(f"{__name__}.{_MODULES[args.verb]}").main(args))
    except (UserError, InfrastructureError) as e:
        if _from_interrupt(e):
            return _interrupted(args.verb)
        print(f"agentdistill: {e}", file=sys.stderr)
        return 2 if isinstance(e, UserError) else 1
    except KeyboardInterrupt:
        return _interrupted(args.verb)
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        print(f"agentdistill: {where}{e.strerror or e}", file=sys.stderr)
        return 1


def _from_interrupt(e: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: libraries that were just being imported report it as one of theirs."""
    while e is not None and not isinstance(e, KeyboardInterrupt):
        e = e.__cause__ or e.__context__
    return e is not None


def _interrupted(verb: str) -> int:
    kept = "; what was done is kept; the same command goes on from there" if verb in _RESUMABLE else ""
    print(f"\nagentdistill: interrupted{kept}", file=sys.stderr)
    return 130


_MOVED = {
    "bench": "run python -m benchmarks NAME in a clone of the repository",
    "sandbox attack": "run python -m benchmarks attack in a clone of the repository",
    "rehearse": "agentdistill run RECIPE --limit N estimates tokens and memory",
    "verify toy": "agentdistill verify run recipes/verify/tinyworld.toml is a small one to start with",
}
"""Former commands, and what to use instead."""
_RESUMABLE = ("run", "collect", "filter", "train", "evaluate", "report", "on-policy")
