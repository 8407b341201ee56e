"""Sampling candidates: every problem answered n times by one model, by the same loop that evaluates models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from agentdistill.driver import Episode
from agentdistill.environment import Environment
from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.executors import OpenWork, RaySettings, Work, hire
from agentdistill.loop import RolloutSettings, chain_of_thought, rollout
from agentdistill.models import Model
from agentdistill.progress import Progress, Silent, Task
from agentdistill.prompts import Style
from agentdistill.store import append_jsonl, digest, read_jsonl, read_traces, repair_jsonl, set_aside, write_jsonl
from agentdistill.types import End, Problem, Sampling, Trace
from agentdistill.verify.candidates import of_trace
from agentdistill.verify.types import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """How candidates are drawn: ``n`` a problem, by chain of thought or as an agent; the paper's 64 at 0.8.

    ``n_train`` is how many on the problems that verifiers are distilled on, where that is not ``n``.
    """

    n: int = 64
    n_train: int | None = None
    temperature: float = 0.8
    top_p: float = 1.0
    max_new_tokens: int = 1024
    loop: Literal["cot", "agent"] = "cot"
    max_steps: int = 5


def sample_pools(
    problems: Sequence[Problem],
    settings: SampleSettings,
    style: Style,
    model: Callable[[], Model],
    journal: Path,
    *,
    environment: Callable[[], AbstractContextManager[Environment]],
    identity: str = "",
    seed: int = 0,
    progress: Progress | None = None,
    ray: RaySettings | None = None,
) -> list[Pool]:
    """Every problem with its candidates, in order. Episodes are kept as traces in ``journal`` and not run twice.

    ``model`` and ``environment`` are made only if one is missing, in this process or, with ``ray``, in its workers;
    ``identity`` tells the model from others: a journal of another model or other settings is set aside, one of other
    problems goes on. A candidate that the model's server refused has no answer. Raises InfrastructureError where an
    episode failed twice, ModelError where all were refused; what was sampled is kept, and the same call goes on.
    """
    key = digest([replace(settings, n=0), seed, style.cot("?"), identity])
    ids = [(p, f"{p.id}#{i}") for p in problems for i in range(settings.n)]
    done = _opened(journal, key, {name: p for p, name in ids})
    missing = {at for at, (_, name) in enumerate(ids) if name not in done}
    what = f"{len(problems)} problems x {settings.n}"
    task = (progress or Silent()).task("sample", what, len(ids))
    task.advance(len(ids) - len(missing))
    if missing:
        work = partial(_work, ids, settings, style, model, environment, seed)
        asyncio.run(_run(work, [name for _, name in ids], missing, done, journal, ray, task))
    task.done(f"{sum(bool(t.correct) for t in done.values()) / max(1, len(done)):.1%} right")
    names = {p.id: [f"{p.id}#{i}" for i in range(settings.n)] for p in problems}
    return [Pool(p, tuple(of_trace(done[name]) for name in names[p.id]), done[names[p.id][0]].model) for p in problems]


@asynccontextmanager
async def _work(
    ids: Sequence[tuple[Problem, str]],
    settings: SampleSettings,
    style: Style,
    make: Callable[[], Model],
    surroundings: Callable[[], AbstractContextManager[Environment]],
    seed: int,
) -> AsyncIterator[Work[Trace]]:
    with surroundings() as environment:
        model = make()
        try:
            yield Work(model, [_episode(p, name, settings, style, environment, seed) for p, name in ids])
        finally:
            await model.aclose()


def _episode(
    problem: Problem, name: str, settings: SampleSettings, style: Style, environment: Environment, seed: int
) -> Episode[Trace]:
    sampling = Sampling(settings.temperature, settings.top_p, settings.max_new_tokens)
    rollouts = RolloutSettings(settings.max_steps, sampling, seed=seed)
    if settings.loop == "cot":
        return lambda model: chain_of_thought(model, problem, style, rollouts, trace_id=name)
    return lambda model: rollout(model, problem, environment, style, rollouts, trace_id=name)


def _opened(path: Path, key: str, asked: Mapping[str, Problem]) -> dict[str, Trace]:
    """The episodes that are there of what is asked. Their key stands beside them; those of another are set aside."""
    note = path.with_suffix(".key.jsonl")
    repair_jsonl(path)
    if path.exists() and note.exists() and next(read_jsonl(note), (0, {}))[1].get("key") != key:
        set_aside(path)
    write_jsonl(note, [{"key": key}])
    traces = read_traces(path) if path.exists() else []
    return {t.id: t for t in traces if t.end is not End.FAULT and asked.get(t.id) == t.problem}


async def _run(
    work: OpenWork[Trace],
    names: Sequence[str],
    missing: set[int],
    done: dict[str, Trace],
    journal: Path,
    ray: RaySettings | None,
    task: Task,
) -> None:
    async with hire(work, ray) as crew:
        for _ in range(2):  # faults get one more try
            left = {at for at in missing if names[at] not in done}
            faults: list[str] = []

            def keep(results: Sequence[tuple[int, Trace]], left: set[int] = left, faults: list[str] = faults) -> None:
                # Those that are not left ran again only to keep their batch the same.
                good = [t for at, t in results if at in left and t.end is not End.FAULT]
                append_jsonl(journal, good)
                refused = [t for at, t in results if at in left and t.refused]
                done.update({t.id: t for t in [*good, *refused]})
                task.advance(len(good) + len(refused))
                faults.extend(t.fault or "" for _, t in results if t.end is End.FAULT and not t.refused)
                if len(faults) > max(8, crew.batch_size) and len(faults) >= len(left):
                    raise InfrastructureError(faults[-1])

            if left:
                await crew.run(left, keep)
        if any(names[at] not in done for at in missing):
            raise InfrastructureError(f"{faults[-1]}; what was sampled is kept, run the same command to go on")
        if all(t.refused for t in done.values()):
            raise ModelError(f"{next(iter(done.values())).fault}; every question was refused")
