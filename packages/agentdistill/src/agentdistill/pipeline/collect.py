"""Collect: the teacher solves the training problems, as an agent and by chain of thought."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from agentdistill.executors import Work
from agentdistill.methods import method
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.layout import answered, collected, elsewhere
from agentdistill.pipeline.rollouts import facts, run_rollouts
from agentdistill.pipeline.run import Run, episode
from agentdistill.progress import Progress
from agentdistill.readers import find_reader, read_sources
from agentdistill.recipe import asks_teacher, sources_of
from agentdistill.store import file_digest, read_traces, write_jsonl
from agentdistill.types import Problem, Trace


def asked_of_teacher(run: Run) -> tuple[str, ...]:
    """The collections that the teacher is asked for."""
    return tuple(name for name in run.collections if asks_teacher(run.recipe.collect, name))


def folder_of(run: Run, name: str) -> StageFolder:
    """The folder of one collection."""
    sources = sources_of(run.recipe.collect, name)
    if not sources:
        return _asking_folder(run, name)
    settings = _settings(run, name) | {"from": list(sources)}
    if run.recipe.collect.offer != "all":
        settings["offer"] = run.recipe.collect.offer
    inputs = {k: v for source in sources for k, v in _contents(source, name).items()}
    inputs["style"] = run.recipe.prompt
    if method(name).retrieval and run.retriever is not None:
        inputs["corpus"] = run.retriever.corpus
    if asks_teacher(run.recipe.collect, name):
        inputs["asked"] = _asking_folder(run, name).key
    return StageFolder(collected(run.folder, name).parent, "collect", settings, inputs)


def _asking_folder(run: Run, name: str) -> StageFolder:
    """The folder of what the teacher is asked: the collection's own, another where published trajectories join it."""
    out = answered(run.folder, name) if sources_of(run.recipe.collect, name) else collected(run.folder, name)
    settings = _settings(run, name) | {"samples": run.recipe.collect.samples}
    return StageFolder(out.parent, "collect", settings, run.rollout_inputs("train"), method(name).ignores)


def _settings(run: Run, name: str) -> dict[str, Any]:
    rollout = run.rollout_key(run.recipe.collect, method(name))
    return {"name": name, **rollout, "teacher": run.teacher_key}


def _contents(source: str, name: str) -> dict[str, str]:
    """The hashes of the files that a source is read from; its name where it is on the hub."""
    reader = find_reader(source, name)
    if reader is not None:
        return reader.digests()
    return {source: file_digest(Path(source)) if Path(source).is_file() else source}


def collect(run: Run, name: str, progress: Progress) -> Path:
    """Collect one of :func:`collections` and return its traces' file. Does nothing where it is there already."""
    folder, asking_folder = folder_of(run, name), _asking_folder(run, name)
    if not folder.is_done and asks_teacher(run.recipe.collect, name) and not asking_folder.is_done:
        asked, others = _asked(run), elsewhere(run.folder, asking_folder.path)
        what = f"teacher · {len(asked)} questions · {_WORDS[name]}"
        work = partial(asking, run, name)
        run_rollouts(asking_folder, asked, work, progress, what, ray=run.recipe.on_ray, others=others)
    if (
        sources_of(run.recipe.collect, name) and not folder.is_done
    ):  # what the teacher was asked has a folder of its own by now
        _import(run, name, folder, progress)
    return collected(run.folder, name)


def _asked(run: Run) -> list[tuple[Problem, str]]:
    """Every problem with the id of its trace, once a sample."""
    n = run.recipe.collect.samples
    return [(p, f"{p.id}/{k}" if n > 1 else p.id) for p in run.problems("train") for k in range(n)]


@asynccontextmanager
async def asking(run: Run, name: str, asked: Sequence[tuple[Problem, str]] | None = None) -> AsyncIterator[Work[Trace]]:
    """The teacher, and an episode of collection ``name`` for every problem and id; the recipe's own without any."""
    settings, m = run.recipe.collect, method(name)
    rollouts = run.rollout_settings(settings, m)
    with run.environment(settings) as environment:
        model = run.teacher()
        try:
            yield Work(model, [episode(run, m, environment, rollouts, p, i, False) for p, i in asked or _asked(run)])
        finally:
            await model.aclose()


def _import(run: Run, name: str, folder: StageFolder, progress: Progress) -> None:
    """Read a collection that others made, in the prompts that its student will see; the teacher's answers follow."""
    out, sources = collected(run.folder, name), sources_of(run.recipe.collect, name)
    with folder.claimed(progress.say):
        task = progress.task("collect", f"{', '.join(sources)} · {_WORDS[name]}", 1)
        passages = run.passages if method(name).retrieval else None
        with run.environment(run.recipe.collect, tools=()) as environment:
            read = read_sources(sources, name, run.template, run.tools, environment, passages)
        traces = [_offered(run, name, t) for t in read.traces]
        if asks_teacher(run.recipe.collect, name):
            traces += read_traces(answered(run.folder, name))
        write_jsonl(out, traces)
        counts = {"n_skipped": len(read.skipped), "left_out": read.left_out}
        folder.finish({**facts(traces), **counts}, 0.0)
    for line in read.skipped[:_SHOWN]:
        progress.say(f"{line}; row skipped")
    for reason, n in read.left_out.items():
        progress.say(f"{n:,} rows left out: {reason}")
    n_skipped = len(read.skipped) + sum(read.left_out.values())
    task.done(f"{len(read.traces):,} read" + (f" · {n_skipped:,} skipped" if n_skipped else ""))


def _offered(run: Run, name: str, trace: Trace) -> Trace:
    """The trace with the tools in its prompt that its students will be offered."""
    if not method(name).agent or run.recipe.collect.offer != "used":
        return trace
    code = "\n".join(step.code or "" for step in trace.steps)
    used = [tool for tool in run.tools if re.search(rf"\b{tool.name}\(", code)]
    return dataclasses.replace(trace, prompt=run.template.agent(trace.problem.question, used))


_SHOWN = 5
_WORDS = {
    "agent": "agent", "agent-prefix": "agent, first-thought prefix", "cot": "chain of thought",
    "cot-rag": "chain of thought with passages",
}  # fmt: skip
