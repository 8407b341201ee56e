"""Collect: the teacher solves the training problems, in later rounds a student, to learn from what it gets right."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from agentdistill.batching import Work
from agentdistill.errors import named_by
from agentdistill.exchange.readers import find_reader, read_sources
from agentdistill.filters import question_key
from agentdistill.pipeline.folder import StageFolder, facts, run_rollouts
from agentdistill.pipeline.run import (
    Run,
    answered,
    collected,
    elsewhere,
    episode,
    load_student,
    sampled,
    trained,
    trained_name,
    weights_digest,
)
from agentdistill.progress import Progress
from agentdistill.recipe import StudentSettings, asks_teacher, sources_of
from agentdistill.recipe.methods import Method, method
from agentdistill.registry import fingerprint
from agentdistill.store import digest, file_digest, read_traces, write_jsonl
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
    inputs["style"] = fingerprint("prompts", run.recipe.prompt)
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
        with (
            run.environment(run.recipe.collect, tools=()) as environment,
            named_by(f"{name} of [collect.trajectories]"),
        ):
            read = read_sources(sources, name, run.template, run.tools, environment, passages)
        traces = [_offered(run, name, t) for t in read.traces]
        if asks_teacher(run.recipe.collect, name):
            traces += read_traces(answered(run.folder, name))
        write_jsonl(out, traces)
        counts = {"n_skipped": len(read.skipped), "left_out": read.left_out, "not_converted": read.not_converted}
        folder.finish({**facts(traces), **counts}, 0.0)
    for line in read.skipped[:_SHOWN]:
        progress.say(f"{line}; row skipped")
    for reason, n in read.left_out.items():
        progress.say(f"{n:,} rows left out: {reason}")
    for what, n in read.not_converted.items():
        progress.say(f"{n:,} × {what} not converted")
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


# --- later rounds: a student samples ---


def sample_folder(run: Run, student: StudentSettings, method_name: str, number: int) -> StageFolder:
    """The folder of what a student samples in round ``number``, trained in the round before by now."""
    m, collection = _as_tested(method_name)
    inputs = {
        **run.rollout_inputs("train", trained=True),
        "asked": digest([i for _, i in asked_again(run, student, method_name, number)]),
        "weights": weights_digest(trained(run.folder, student, method_name, number - 1)),
    }
    key = {"name": collection, "round": number, **run.rollout_key(run.recipe.collect, m)}
    return StageFolder(sampled(run.folder, student, method_name, number).parent, "collect", key, inputs, m.ignores)


def sample(run: Run, student: StudentSettings, method_name: str, number: int, progress: Progress) -> Path:
    """Let the student of the round before solve the training problems; returns the traces' file.

    It is prompted as in evaluation, without worked examples, and sampled as ``[collect]`` says. Does nothing where that
    is done.
    """
    folder = sample_folder(run, student, method_name, number)
    if not folder.is_done:
        pairs = asked_again(run, student, method_name, number)
        name = trained_name(student, method_name)
        about: dict[str, object] = {"student": name.rpartition("--")[0], "method": method_name, "role": "student"}
        what = f"{name} · round {number} · {len(pairs)} samples"
        work = partial(_sampling, run, student, method_name, number)
        run_rollouts(folder, pairs, work, progress, what, about, run.recipe.on_ray)
    return sampled(run.folder, student, method_name, number)


def asked_again(run: Run, student: StudentSettings, method_name: str, number: int) -> list[tuple[Problem, str]]:
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
            pairs = asked_again(run, student, method_name, number)
            yield Work(model, [episode(run, m, environment, rollouts, p, i, True, collection) for p, i in pairs])
        finally:
            await model.aclose()


def _as_tested(method_name: str) -> tuple[Method, str]:
    """How a student samples: as it is tested, by one action a step; and its collection, by which traces go."""
    m = replace(method(method_name), consistency=False)
    return m, m.learns or ""
