"""Collect: the teacher solves the training problems, as an agent and by chain of thought."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from agentdistill.episodes import episode
from agentdistill.layout import collected
from agentdistill.methods import METHODS, method
from agentdistill.progress import Progress
from agentdistill.run import Run
from agentdistill.stages.folder import StageFolder
from agentdistill.stages.rollouts import Plan, run_rollouts


def collections(run: Run) -> tuple[str, ...]:
    """What has to be collected for the recipe's students, in a fixed order."""
    needed = {METHODS[m].learns for s in run.recipe.students for m in s.methods}
    if run.recipe.collect.compare_prefix and needed & {"agent", "agent-prefix"}:
        needed |= {"agent", "agent-prefix"}
    if "cot-rag" in needed and run.retriever is None:
        needed.discard("cot-rag")
    return tuple(n for n in ("agent", "agent-prefix", "cot", "cot-rag") if n in needed)


def folder_of(run: Run, name: str) -> StageFolder:
    """The folder of one collection."""
    rollout = run.rollout_key(run.recipe.collect, method(name))
    settings = {"name": name, **rollout, "teacher": dataclasses.asdict(run.recipe.teacher)}
    return StageFolder(collected(run.folder, name).parent, "collect", settings, run.rollout_inputs("train"))


def collect(run: Run, name: str, progress: Progress) -> Path:
    """Collect one of :func:`collections` and return its traces' file. Does nothing where it is there already."""
    settings, m, folder = run.recipe.collect, method(name), folder_of(run, name)
    if folder.is_done:
        return collected(run.folder, name)
    with run.environment(settings) as environment:
        rollout_settings = run.rollout_settings(settings, m)
        ids = [
            (p, f"{p.id}/{k}" if settings.samples > 1 else p.id)
            for p in run.problems("train")
            for k in range(settings.samples)
        ]
        plans = [Plan(i, episode(run, m, environment, rollout_settings, p, i)) for p, i in ids]
        what = f"teacher · {len(plans)} questions · {_WORDS[name]}"
        run_rollouts(folder, plans, run.teacher, progress, what)
    return collected(run.folder, name)


_WORDS = {
    "agent": "agent", "agent-prefix": "agent, first-thought prefix", "cot": "chain of thought",
    "cot-rag": "chain of thought with passages",
}  # fmt: skip
