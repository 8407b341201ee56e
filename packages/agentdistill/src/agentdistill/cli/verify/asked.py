"""``ask --verify``: several trajectories, each judged by code or documents, and why one won."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.environment import Environment
    from agentdistill.models import Model
    from agentdistill.pipeline.run import Run
    from agentdistill.types import Trace
    from agentdistill.verify.judging import Answered, Choosing


def check(args: argparse.Namespace) -> None:
    """Raise UserError for arguments that do not go together."""
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
    style = run.recipe.style if can_verify(run.style) else "standard"
    on = device or run.recipe.evaluate.device
    checker = None if verifier is None else load_model("local", path=runnable(verifier), device=on)
    with Environment(mode=sandbox.mode, limits=Limits(wall_s=sandbox.wall_s, memory_mb=sandbox.memory_mb)) as box:
        yield Choosing(n, Kit(box, run.retriever, style), checker, run.recipe.problems.kind)  # type: ignore[arg-type]


async def answer_verified(
    run: Run, model: Model, choosing: Choosing, environment: Environment, question: str
) -> Answered:
    """Sample, judge and choose."""
    from agentdistill.loop import rollout
    from agentdistill.methods import method
    from agentdistill.types import Problem

    problem = Problem("ask", question, "")
    settings = choosing.settings(run.rollout_settings(run.recipe.evaluate, method("agent")))

    async def solve(m: Model, name: str) -> Trace:
        return await rollout(m, problem, environment, run.style, settings, method="ask", trace_id=name)

    return await choosing.answer(model, problem, solve, settings, run.recipe.seed)


def facts(found: Answered) -> dict[str, Any]:
    """The choice and every candidate as JSON values, the winner's whole trace with them."""
    from agentdistill.store import to_dict
    from agentdistill.verify.judging import facts

    return {**facts(found), "trace": to_dict(dataclasses.replace(found.trace, score=None))}


def show(found: Answered) -> None:
    """The steps of the one that won, and why it did."""
    from rich.console import Console
    from rich.text import Text

    from agentdistill.verify.judging import explain

    console = Console(highlight=False)
    for line in explain(found):
        console.print(Text(line, style="bold" if line.startswith("*") else "dim"))
