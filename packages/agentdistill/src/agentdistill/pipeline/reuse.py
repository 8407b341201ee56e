"""Trajectories taken over from earlier folders of the same stage: the same question asked in the same way."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from agentdistill import scorers
from agentdistill.pipeline.folder import StageFolder
from agentdistill.store import read_traces, repair_jsonl
from agentdistill.types import End, Problem, Trace

Asked = tuple[Problem, str]
"""A problem, and the id of the trace that answers it."""


def taken_over(
    folder: StageFolder,
    asked: Sequence[Asked],
    have: Collection[str],
    names: Sequence[str],
    others: Sequence[Path] = (),
) -> list[Trace]:
    """Traces for what is asked and not in ``have``, out of the folders that were moved aside for another set of
    questions, and ``others``, as far as their ``episode_key`` is this one's. ``names`` are the files of traces in one.

    A trace answers the very same question. It gets the id and the problem that it is asked for now, and where the gold
    answer or the kind is another, a new score. A trace of the same id is preferred; none is used twice.
    """
    pool = _pool([*_aside(folder), *(p for p in others if p != folder.path)], folder, names)
    missing = [(p, i) for p, i in asked if i not in have and p.question in pool]
    found: dict[str, Trace] = {}
    for same_id in (True, False):
        for problem, i in missing:
            if i not in found and (trace := _drawn(pool[problem.question], problem, i, same_id)) is not None:
                found[i] = _asked_now(trace, problem, i)
    return [found[i] for _, i in missing if i in found]


def _pool(paths: Sequence[Path], folder: StageFolder, names: Iterable[str]) -> dict[str, list[Trace]]:
    """The traces of the same episodes by question, in the order of the folders."""
    pool: dict[str, list[Trace]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        if not replace(folder, path=path).has_same_episodes:
            continue
        kept: dict[str, Trace] = {}
        for file in (path / name for name in names):
            if file.exists():
                repair_jsonl(file)
                kept |= {t.id: t for t in read_traces(file) if t.end is not End.FAULT}
        for trace in kept.values():
            pool[trace.problem.question].append(trace)
    return pool


def _aside(folder: StageFolder) -> list[Path]:
    ours = re.compile(rf"{re.escape(folder.path.name)}\.old-(\d+)")
    found = [(int(m[1]), p) for p in folder.path.parent.iterdir() if (m := ours.fullmatch(p.name))]
    return [p for _, p in sorted(found, reverse=True)]


def _drawn(traces: list[Trace], problem: Problem, i: str, same_id: bool) -> Trace | None:
    for at, trace in enumerate(traces):
        voted = any(step.candidates for step in trace.steps)  # votes count answers as equal by their kind
        if (trace.id == i or not same_id) and (trace.problem.kind == problem.kind or not voted):
            return traces.pop(at)
    return None


def _asked_now(trace: Trace, problem: Problem, i: str) -> Trace:
    now, before = replace(trace, id=i, problem=problem), trace.problem
    if (problem.kind, problem.answer, problem.aliases) == (before.kind, before.answer, before.aliases):
        return now
    return replace(now, score=scorers.score(problem.kind, trace.answer, problem.answer, problem.aliases))
