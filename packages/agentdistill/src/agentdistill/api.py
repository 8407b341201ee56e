"""The method as functions, for use from Python: problems in, trajectories out, a student trained on them, its accuracy.

A recipe does the same with resumable folders (:func:`run`); these functions keep everything in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from agentdistill.batching import Episode, drive, groups_of
from agentdistill.environment import Environment
from agentdistill.filters import DEFAULT, filter_traces
from agentdistill.loop import RolloutSettings, chain_of_thought, rollout
from agentdistill.models import Model, load_model
from agentdistill.pipeline import run_recipe
from agentdistill.problems import load_problems as load_file
from agentdistill.problems.tasks import passages_of_source, task_problems
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe
from agentdistill.report.stats import Interval, wilson
from agentdistill.retrieval import Passage, Retriever
from agentdistill.tools import Tool, find, search_tool
from agentdistill.types import Problem, Sampling, Trace

Loop = Literal["agent", "cot"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The traces of an evaluation, in the order of the problems, and the share that is right with its 95 % Wilson
    interval. Faults of the world are not counted."""

    traces: tuple[Trace, ...]
    accuracy: Interval

    def __str__(self) -> str:
        a = self.accuracy
        return f"{a.estimate:.1%} of {a.n} right (95 % interval {a.low:.1%} to {a.high:.1%})"


def load_problems(source: str | Path, limit: int | None = None) -> list[Problem]:
    """The problems of a task (``"gsm8k:test"``, a plug-in), a file or a hub dataset, at most ``limit``.

    Raises UserError for a source that is missing or malformed.
    """
    found = task_problems(str(source))
    return list(load_file(source, limit=limit).problems) if found is None else found[:limit]


def load_corpus(source: str | Sequence[str]) -> list[Passage]:
    """The passages of a task (``"hotpotqa:train"``), a file, a glob or a folder, or of several of those, each once.

    Raises UserError for a source that is missing or has no passages.
    """
    sources = [source] if isinstance(source, str) else source
    return list(dict.fromkeys(p for s in sources for p in passages_of_source(s)))


def collect(
    model: Model | str,
    problems: Sequence[Problem],
    *,
    tools: Sequence[Tool] = (),
    retriever: Retriever | None = None,
    prompt: str = "standard",
    method: Loop = "agent",
    settings: RolloutSettings | None = None,
    samples: int = 1,
    keep: Sequence[str] = DEFAULT,
) -> list[Trace]:
    """The trajectories of a teacher that pass the filters ``keep``: ``samples`` tries a problem, seeds apart.

    See :func:`evaluate` for the other arguments.
    """
    asked = [(p, p.id if samples == 1 else f"{p.id}/{i}") for p in problems for i in range(samples)]
    return filter_traces(_episodes(model, asked, tools, retriever, prompt, method, settings), keep)[0]


def evaluate(
    model: Model | str,
    problems: Sequence[Problem],
    *,
    tools: Sequence[Tool] = (),
    retriever: Retriever | None = None,
    prompt: str = "standard",
    method: Loop = "agent",
    settings: RolloutSettings | None = None,
) -> Evaluation:
    """Let a model solve problems, many at once, and score what it answers.

    ``model`` is a loaded model, or weights: a folder, an adapter, ``"smollm2:135M"``. An agent may call ``tools``, and
    ``search`` where there is a ``retriever``; a chain of thought has its three best passages beside the question.
    ``prompt`` names the prompt template that the model was trained with. The same call gives the same traces. Raises
    ModelError for weights that cannot be loaded and UserError for names that do not exist.
    """
    traces = _episodes(model, [(p, p.id) for p in problems], tools, retriever, prompt, method, settings)
    verdicts = [t.correct for t in traces if t.correct is not None]
    return Evaluation(tuple(traces), wilson(sum(verdicts), len(verdicts)))


def run(recipe: str | Path, folder: str | Path | None = None, changes: Sequence[str] = ()) -> Path:
    """Run a recipe to its report and return the folder (``runs/<name>`` by default). The same call resumes it.

    ``changes`` are settings to have instead of the file's, as ``--set`` takes them: ``["problems.limit_test=50"]``.
    """
    loaded = load_recipe(Path(recipe), changes)
    return run_recipe(loaded, Path(folder) if folder is not None else Path("runs") / loaded.name)


def _episodes(
    model: Model | str,
    asked: Sequence[tuple[Problem, str]],
    tools: Sequence[Tool],
    retriever: Retriever | None,
    prompt: str,
    method: Loop,
    settings: RolloutSettings | None,
) -> list[Trace]:
    loaded = load_model("local", path=model) if isinstance(model, str) else model
    template, settings = load_prompt(prompt), settings or RolloutSettings(sampling=Sampling(max_new_tokens=512))
    offered = (*([search_tool(retriever)] if retriever is not None else []), *tools)
    done: dict[int, Trace] = {}

    with Environment(offered) as environment:

        def episode(problem: Problem, trace_id: str) -> Episode[Trace]:
            if method == "agent":
                given = partial(rollout, environment=environment, template=template)
                return partial(given, problem=problem, settings=settings, trace_id=trace_id)
            found = find(retriever, problem.question) if retriever is not None else ()
            given = partial(chain_of_thought, template=template, passages=found)
            return partial(given, problem=problem, settings=settings, trace_id=trace_id)

        async def go() -> None:
            try:
                groups = groups_of(loaded, [episode(*one) for one in asked], range(len(asked)))
                await drive(loaded, groups, done.__setitem__)
            finally:
                if isinstance(model, str):
                    await loaded.aclose()

        asyncio.run(go())
    return [done[i] for i in range(len(asked))]
