"""``ask``: a conversation with a distilled student, its steps shown as they happen; and which student answers."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import ModelError, UserError

if TYPE_CHECKING:
    from agentdistill.environment import Environment
    from agentdistill.models import Model
    from agentdistill.pipeline.run import Run
    from agentdistill.types import Trace
    from agentdistill.verify.judging import Answered, Choosing


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    add_student(parser)
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

    check_verify(args)
    run = opened(args)
    if args.max_steps is not None:
        if args.max_steps < 1:
            raise UserError("--max-steps has to be at least 1")
        evaluate = dataclasses.replace(run.recipe.evaluate, max_steps=args.max_steps)
        run = type(run)(dataclasses.replace(run.recipe, evaluate=evaluate), run.folder)
    load = chosen(args, run)
    questions = [args.question] if args.question else _typed()
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())  # one loop for all questions: connections belong to it
        model = load()
        stack.callback(lambda: runner.run(model.aclose()))
        environment = stack.enter_context(run.environment(run.recipe.evaluate))
        n, verifier = args.verify, args.verifier
        by = stack.enter_context(choosing(run, n, verifier, args.device)) if n else None
        failed = False
        for question in filter(None, map(str.strip, questions)):
            if by is not None:
                found = runner.run(_answer_verified(run, model, by, environment, question))
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
    trace = await rollout(model, problem, environment, run.template, settings, method="ask", on_step=watch)
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
    from agentdistill.store import dumps

    if as_json:
        print(dumps(_choice_facts(found)))
        return
    for step in found.trace.steps:
        _show_step(step)
    _show_choice(found)
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


def check_verify(args: argparse.Namespace) -> None:
    """Raise UserError for arguments of ``--verify`` that do not go together."""
    if args.verify is None:
        if args.verifier is not None:
            raise UserError("--verifier needs --verify N, the number of trajectories to choose from")
        return
    if args.verify < 1:
        raise UserError("--verify has to be at least 1")
    if getattr(args, "vote", False):
        raise UserError("--verify chooses among whole trajectories, --vote among steps; give one of them")


@contextmanager
def choosing(run: Run, n: int, verifier: str | None, device: str | None = None) -> Iterator[Choosing]:
    """How answers are chosen: among ``n``, checked by the weights named, else by the student itself, with the run's own
    corpus where it has one. Closed in the end: the sandbox of the checks, which has no tools."""
    from agentdistill.checkpoints import runnable
    from agentdistill.environment import Environment
    from agentdistill.models import load_model
    from agentdistill.prompts import can_verify
    from agentdistill.sandbox import Limits
    from agentdistill.verify.judging import Choosing
    from agentdistill.verify.verifiers import Kit

    sandbox = run.recipe.sandbox
    prompt = run.recipe.prompt if can_verify(run.template) else "standard"
    on = device or run.recipe.evaluate.device
    checker = None if verifier is None else load_model("local", path=runnable(verifier), device=on)
    with Environment(mode=sandbox.mode, limits=Limits(wall_s=sandbox.wall_s, memory_mb=sandbox.memory_mb)) as box:
        yield Choosing(n, Kit(box, run.retriever, prompt), checker, run.recipe.problems.kind)  # type: ignore[arg-type]


async def _answer_verified(
    run: Run, model: Model, choosing: Choosing, environment: Environment, question: str
) -> Answered:
    """Sample, judge and choose."""
    from agentdistill.loop import rollout
    from agentdistill.methods import method
    from agentdistill.types import Problem

    problem = Problem("ask", question, "")
    settings = choosing.settings(run.rollout_settings(run.recipe.evaluate, method("agent")))

    async def solve(m: Model, name: str) -> Trace:
        return await rollout(m, problem, environment, run.template, settings, method="ask", trace_id=name)

    return await choosing.answer(model, problem, solve, settings, run.recipe.seed)


def _choice_facts(found: Answered) -> dict[str, Any]:
    """The choice and every candidate as JSON values, the winner's whole trace with them."""
    from agentdistill.store import to_dict
    from agentdistill.verify.judging import facts

    return {**facts(found), "trace": to_dict(dataclasses.replace(found.trace, score=None))}


def _show_choice(found: Answered) -> None:
    """The steps of the one that won, and why it did."""
    from rich.console import Console
    from rich.text import Text

    from agentdistill.verify.judging import explain

    console = Console(highlight=False)
    for line in explain(found):
        console.print(Text(line, style="bold" if line.startswith("*") else "dim"))


def add_student(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which student answers: the run's own, weights from elsewhere, or a server's.

    Its tools, prompts and settings are the run's in each case.
    """
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

    _check_student(args)
    if args.url is not None:
        return partial(load_model, "endpoint", url=args.url, name=args.name, api_key_env=args.url_key_env)
    if args.weights is not None and not args.weights.exists():
        raise UserError(f"--weights: {args.weights}: no such folder or file")
    return partial(load_student, run, args.weights or find_student(run, args.student), args.device)


def _check_student(args: argparse.Namespace) -> None:
    given = [f"--{o}" for o in ("student", "weights", "url") if getattr(args, o) is not None]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} each say which student answers; give one of them")
    if (args.url is None) != (args.name is None):
        raise UserError("--url and --name go together: a server's address, and its name for the student")
    if args.url is None and args.url_key_env is not None:
        raise UserError("--url-key-env needs --url")
    if args.url is not None and args.device is not None and getattr(args, "verifier", None) is None:
        raise UserError("--device is for weights in this process, --url for a server's; give one of them")
