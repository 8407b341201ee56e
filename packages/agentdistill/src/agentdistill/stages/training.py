"""Train: a student learns from the filtered trajectories of one collection."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from agentdistill.checkpoints import locate
from agentdistill.errors import DataError
from agentdistill.layout import collected, filtered, trained
from agentdistill.methods import method
from agentdistill.progress import Progress
from agentdistill.recipe import StudentSettings, student_name
from agentdistill.run import Run
from agentdistill.store import read_traces


def train_student(run: Run, student: StudentSettings, method_name: str, progress: Progress) -> Path:
    """Train one student for one method and return its folder. Does nothing where it is there already."""
    from agentdistill.training import train
    from agentdistill.training.trainer import read_result

    learns = method(method_name).learns
    assert learns is not None, f"{method_name} is not trained"
    out = trained(run.folder, student, method_name)
    traces = read_traces(filtered(run.folder, learns))
    if not traces:
        raise DataError(
            f"nothing to train on: no trajectory of {collected(run.folder, learns)} passed the filter; look at them "
            f"with: agentdistill show {run.folder}"
        )
    cot = run.recipe.train_cot
    settings = cot if cot is not None and method(method_name).loop == "cot" else run.recipe.train
    settings = dataclasses.replace(settings, seed=run.recipe.seed)
    before = read_result(out)
    task = None

    def on_progress(step: int, n_steps: int, loss: float, tokens_per_s: float) -> None:
        nonlocal task, told
        if task is None:
            task = progress.task("train", what, n_steps)
        task.advance(step - told, f"loss {loss:.3f}  {tokens_per_s / 1000:.1f}k tok/s")
        told = step

    told = 0
    what = f"{student_name(student)} · {method_name} · {len(traces)} trajectories · {settings.epochs} epochs"
    result = train(traces, locate(student.base), out, settings, on_progress=on_progress)
    if before != result:
        dropped = f"  {result.n_too_long} too long" if result.n_too_long else ""
        task = task or progress.task("train", what, result.n_steps)
        task.done(f"loss {result.final_loss:.3f}  {result.tokens_per_s / 1000:.1f}k tok/s{dropped}")
    return out
