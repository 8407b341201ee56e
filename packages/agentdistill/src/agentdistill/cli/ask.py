"""``ask``: a conversation with a distilled student, its steps shown as they happen."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from agentdistill.cli import _student
from agentdistill.errors import ModelError, UserError

if TYPE_CHECKING:
    from agentdistill.models import Model
    from agentdistill.pipeline.run import Run
    from agentdistill.types import Trace
    from agentdistill.verify.judging import Answered


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _student.add(parser)
    parser.add_argument("question", nargs="?", help="a question; without one, questions are read line by line")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")
    parser.add_argument("--vote", action="store_true", help="take every step by a vote among several candidates")
    parser.add_argument("--verify", type=int, metavar="N", help="sample N trajectories, check each, choose one")
    parser.add_argument("--verifier", metavar="PATH", help="weights or adapter that check (the student's own)")
    parser.add_argument("--json", action="store_true", help="print the trace as JSON instead of the steps")


def main(args: argparse.Namespace) -> int:
    """Answer one question, or one a line until the input ends. 1 where the world failed at one of them."""
    import os

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from agentdistill.cli.verify import asked

    asked.check(args)
    run = _student.opened(args)
    if args.max_steps is not None:
        if args.max_steps < 1:
            raise UserError("--max-steps has to be at least 1")
        evaluate = dataclasses.replace(run.recipe.evaluate, max_steps=args.max_steps)
        run = type(run)(dataclasses.replace(run.recipe, evaluate=evaluate), run.folder)
    load = _student.chosen(args, run)
    questions = [args.question] if args.question else _typed()
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())  # one loop for all questions: connections belong to it
        model = load()
        stack.callback(lambda: runner.run(model.aclose()))
        environment = stack.enter_context(run.environment(run.recipe.evaluate))
        n, verifier = args.verify, args.verifier
        choosing = stack.enter_context(asked.choosing(run, n, verifier, args.device)) if n else None
        failed = False
        for question in filter(None, map(str.strip, questions)):
            if choosing is not None:
                found = runner.run(asked.answer_verified(run, model, choosing, environment, question))
                trace = found.trace
                _print_verified(found, as_json=args.json)
            else:
                trace = runner.run(_answer(run, model, environment, question, args.vote, live=not args.json))
                _print(trace, as_json=args.json)
            failed |= _tell_fault(trace)
    return int(failed)


def _tell_fault(trace: Trace) -> bool:
    """Whether the world failed, and not the student; the reason goes to the standard error."""
    import sys

    if trace.fault is not None:
        print(f"agentdistill: {trace.fault}", file=sys.stderr, flush=True)
    return trace.fault is not None


def _typed() -> Any:
    import sys

    while True:
        if sys.stdin.isatty():
            print("\n? ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line


async def _answer(run: Run, model: Model, environment: Any, question: str, vote: bool, live: bool) -> Trace:
    from agentdistill.loop import rollout
    from agentdistill.methods import method
    from agentdistill.types import Problem

    problem = Problem("ask", question, "")
    settings = run.rollout_settings(run.recipe.evaluate, method("agent-sag" if vote else "agent"))
    watch = _show_step if live else None
    trace = await rollout(model, problem, environment, run.style, settings, method="ask", on_step=watch)
    if trace.refused:
        raise ModelError(trace.fault or "")
    return trace


def _show_step(step: Any) -> None:
    from rich.console import Console
    from rich.syntax import Syntax
    from rich.text import Text

    console = Console(highlight=False)
    thought = step.reply.content.split("Code:")[0].split("```")[0].strip()
    console.print(Text(thought or "(no thought)", style="bold"))
    if step.code is not None:
        console.print(Syntax(step.code, "python", background_color="default", word_wrap=True))
    if step.observation is not None:
        console.print(Text(step.observation.content, style="dim"))


def _print_verified(found: Answered, as_json: bool) -> None:
    from agentdistill.cli.verify import asked
    from agentdistill.store import dumps

    if as_json:
        print(dumps(asked.facts(found)))
        return
    for step in found.trace.steps:
        _show_step(step)
    asked.show(found)
    if found.choice.index is not None:
        _print(found.trace, as_json=False)


def _print(trace: Trace, as_json: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from agentdistill.store import dumps

    if as_json:
        print(dumps(dataclasses.replace(trace, score=None)))
        return
    if trace.fault is not None:
        return
    answer = trace.answer if trace.answer is not None else f"no answer ({trace.end.value.replace('_', ' ')})"
    Console(highlight=False).print(Text(f"→ {answer}", style="bold green" if trace.answer is not None else "bold red"))
