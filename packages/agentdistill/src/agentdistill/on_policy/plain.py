"""Plain collection that stops when a number of teacher tokens is spent: what correction is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agentdistill.methods import method
from agentdistill.pipeline.collect import asking
from agentdistill.pipeline.folder import StageFolder, run_rollouts
from agentdistill.pipeline.run import Run
from agentdistill.progress import Progress
from agentdistill.store import digest
from agentdistill.types import Problem, Trace

_PART = 64


def collect_until(
    run: Run,
    name: str,
    problems: Sequence[Problem],
    budget: int,
    tokens: Callable[[Trace], int],
    folder: Path,
    progress: Progress,
    again: bool = False,
) -> list[Trace]:
    """The teacher's trajectories on ``problems`` in order, up to the first that brings it to ``budget`` tokens.

    They lie below ``folder`` in parts of fixed size, collected only as far as they are needed and shared by all
    budgets. Where the problems are at their end they begin again if the recipe samples; else less is spent. ``again``
    says that the recipe's own collection has had these problems already.
    """
    used: list[Trace] = []
    spent, place = 0, 0
    first = len(problems) if again else 0
    size = int(run.recipe.teacher.settings.get("batch_size", _PART))
    while spent < budget and (asked := _asked(run, problems, first + place, size)):
        for trace in _part(run, name, asked, folder / f"part-{place // size + 1:03}", progress):
            if spent < budget:
                used.append(trace)
                spent += tokens(trace)
        place += size
    return used


def _asked(run: Run, problems: Sequence[Problem], start: int, n: int) -> list[tuple[Problem, str]]:
    samples = run.recipe.collect.temperature > 0
    end = start + n if samples else min(start + n, len(problems))
    return [(problems[i % len(problems)], _id(problems, i)) for i in range(start, end)]


def _id(problems: Sequence[Problem], place: int) -> str:
    lap, i = divmod(place, len(problems))
    return f"{problems[i].id}/again-{lap}" if lap else problems[i].id


def _part(run: Run, name: str, asked: list[tuple[Problem, str]], folder: Path, progress: Progress) -> list[Trace]:
    m = method(name)
    settings = {**run.rollout_key(run.recipe.collect, m), "teacher": run.teacher_key}
    inputs = {**run.rollout_inputs("train"), "problems": digest([[p, i] for p, i in asked])}
    stage = StageFolder(folder, "collect", {"name": name, **settings}, inputs)
    what = f"teacher · plain · {folder.name}"
    work = partial(asking, run, name, asked)
    return run_rollouts(stage, asked, work, progress, what, ray=run.recipe.on_ray)
