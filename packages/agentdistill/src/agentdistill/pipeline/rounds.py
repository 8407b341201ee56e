"""Rounds: a student solves the training problems by itself, to learn from what it gets right."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from agentdistill.executors import Work
from agentdistill.filters import question_key
from agentdistill.methods import Method, method
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.layout import sampled, trained, trained_name
from agentdistill.pipeline.rollouts import run_rollouts
from agentdistill.pipeline.run import Run, episode, load_student, weights_digest
from agentdistill.progress import Progress
from agentdistill.recipe import StudentSettings
from agentdistill.store import digest, read_traces
from agentdistill.types import Problem, Trace


def folder_of(run: Run, student: StudentSettings, method_name: str, number: int) -> StageFolder:
    """The folder of what a student samples in round ``number``, trained in the round before by now."""
    m, collection = _as_tested(method_name)
    inputs = {
        **run.rollout_inputs("train", trained=True),
        "asked": digest([i for _, i in asked(run, student, method_name, number)]),
        "weights": weights_digest(trained(run.folder, student, method_name, number - 1)),
    }
    key = {"name": collection, "round": number, **run.rollout_key(run.recipe.collect, m)}
    return StageFolder(sampled(run.folder, student, method_name, number).parent, "collect", key, inputs, m.ignores)


def sample(run: Run, student: StudentSettings, method_name: str, number: int, progress: Progress) -> Path:
    """Let the student of the round before solve the training problems; returns the traces' file.

    It is prompted as in evaluation, without worked examples, and sampled as ``[collect]`` says. Does nothing where that
    is done.
    """
    folder = folder_of(run, student, method_name, number)
    if not folder.is_done:
        pairs = asked(run, student, method_name, number)
        name = trained_name(student, method_name)
        about: dict[str, object] = {"student": name.rpartition("--")[0], "method": method_name, "role": "student"}
        what = f"{name} · round {number} · {len(pairs)} samples"
        work = partial(_sampling, run, student, method_name, number)
        run_rollouts(folder, pairs, work, progress, what, about, run.recipe.on_ray)
    return sampled(run.folder, student, method_name, number)


def asked(run: Run, student: StudentSettings, method_name: str, number: int) -> list[tuple[Problem, str]]:
    """Every training problem with the id of its trace, once a sample; once only where enough samples were right."""
    n, rounds = run.recipe.collect.samples, run.recipe.rounds
    assert rounds is not None, "rounds are asked for by the recipe"
    right: Counter[str] = Counter()
    for earlier in range(1, number):
        traces = read_traces(sampled(run.folder, student, method_name, earlier))
        right.update(question_key(t.problem) for t in traces if t.correct)
    out = []
    for p in run.problems("train"):
        n_now = 1 if right[question_key(p)] >= rounds.enough else n
        out += [(p, f"{p.id}/r{number}/{k}" if n > 1 else f"{p.id}/r{number}") for k in range(n_now)]
    return out


@asynccontextmanager
async def _sampling(run: Run, student: StudentSettings, method_name: str, number: int) -> AsyncIterator[Work[Trace]]:
    """The student of the round before, and an episode for every problem and id that is asked."""
    settings, (m, collection) = run.recipe.collect, _as_tested(method_name)
    rollouts = run.rollout_settings(settings, m)
    with run.environment(settings) as environment:
        model = load_student(run, trained(run.folder, student, method_name, number - 1))
        try:
            pairs = asked(run, student, method_name, number)
            yield Work(model, [episode(run, m, environment, rollouts, p, i, True, collection) for p, i in pairs])
        finally:
            await model.aclose()


def _as_tested(method_name: str) -> tuple[Method, str]:
    """How a student samples: as it is tested, by one action a step; and its collection, by which traces go."""
    m = replace(method(method_name), consistency=False)
    return m, m.learns or ""
