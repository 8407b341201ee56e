"""``ask --verify``: several trajectories, each judged by code, and why one won."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.environment import Environment
    from agentdistill.models import Model
    from agentdistill.run import Run
    from agentdistill.types import Trace
    from agentdistill.verify.asking import Answered

TEMPERATURE = 0.8
"""Of the trajectories where the recipe samples greedily: they would all be the same."""


def check(args: argparse.Namespace) -> None:
    """Raise UserError for arguments that do not go together."""
    if args.verify is None:
        if args.verifier is not None:
            raise UserError("--verifier needs --verify N, the number of trajectories to choose from")
        return
    if args.verify < 1:
        raise UserError("--verify has to be at least 1")
    if args.vote:
        raise UserError("--verify chooses among whole trajectories, --vote among steps; give one of them")


def load_verifier(run: Run, path: str | None, student: Model) -> Model:
    """The model that judges: the one named, else the student itself."""
    from agentdistill.checkpoints import locate
    from agentdistill.models import load_model

    if path is None:
        return student
    return load_model("local", path=locate(path), device=run.recipe.evaluate.device)


def answer_verified(
    run: Run, model: Model, verifier: Model, environment: Environment, question: str, n: int
) -> Answered:
    """Sample, judge and choose."""
    from agentdistill.environment import Environment
    from agentdistill.methods import method
    from agentdistill.rollout import rollout
    from agentdistill.sandbox import Limits
    from agentdistill.types import Problem
    from agentdistill.verify.asking import answer
    from agentdistill.verify.judges import JudgeSettings, Kit
    from agentdistill.verify.styles import styles

    problem = Problem("ask", question, "")
    settings = run.rollout_settings(run.recipe.evaluate, method("agent"))
    if settings.sampling.temperature == 0:
        settings = dataclasses.replace(
            settings, sampling=dataclasses.replace(settings.sampling, temperature=TEMPERATURE)
        )

    async def solve(m: Model, name: str) -> Trace:
        return await rollout(m, problem, environment, run.style, settings, method="ask", trace_id=name)

    sandbox = run.recipe.sandbox
    style = run.recipe.style if run.recipe.style in styles() else "standard"
    table = {"model": "local"}  # is loaded already
    judge = JudgeSettings(name="code", role="code", model=table, max_new_tokens=settings.sampling.max_new_tokens)
    with Environment(mode=sandbox.mode, limits=Limits(wall_s=sandbox.wall_s, memory_mb=sandbox.memory_mb)) as box:
        kit = Kit(box, style=style)
        return asyncio.run(answer(model, problem, solve, n, judge, kit, verifier=verifier, seed=run.recipe.seed))


def facts(found: Answered) -> dict[str, Any]:
    """The choice and every candidate as JSON values, the winner's whole trace with them."""
    from agentdistill.store import to_dict

    chosen = found.choice
    return {
        "answer": None if chosen.index is None else found.pool.candidates[chosen.index].answer,
        "chosen": chosen.index,
        "reason": chosen.reason,
        "fallback": chosen.fallback,
        "candidates": [
            {"answer": c.answer, "verdicts": [k.verdict for k in checks], "weight": w, "trace": t.id}
            for c, checks, w, t in zip(found.pool.candidates, found.checks, chosen.weights, found.traces, strict=True)
        ],
        "trace": to_dict(dataclasses.replace(found.trace, score=None)),
    }


def show(found: Answered) -> None:
    """The steps of the one that won, and why it did."""
    from rich.console import Console
    from rich.text import Text

    from agentdistill.verify.asking import explain

    console = Console(highlight=False)
    for line in explain(found):
        console.print(Text(line, style="bold" if line.startswith("*") else "dim"))
