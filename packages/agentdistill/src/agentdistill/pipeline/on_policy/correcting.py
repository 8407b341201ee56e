"""The teacher corrects where the student went wrong (SCoRe, arXiv 2509.14257, without its reinforcement learning).

Which step was the first wrong one is found by trying, not by asking: from the state after the student's first k steps
the teacher goes on by itself, for the longest prefix first. The longest one from which it comes to the right answer is
kept, and what it did there takes the place of the student's next step and of all that followed. So "wrong" is what the
teacher could not correct any more, which is later than what a reader might call the first slip: a slip that is noticed
and repaired is worth learning from. A right answer by chance counts as right, here as in any collection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from agentdistill.environment import Environment, Workspace
from agentdistill.errors import InfrastructureError
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models import Model
from agentdistill.prompts import PromptTemplate
from agentdistill.types import End, Message, Source, Step, StepStatus, Trace, Usage

METHOD = "on-policy"


def prefixes(n_steps: int, tries: int) -> list[int]:
    """How many of the student's steps to keep, try by try: the most first, nothing last, evenly between.

    The last step is never kept: it gave the wrong answer, or used up the steps.

    >>> prefixes(4, 9), prefixes(6, 3), prefixes(0, 3), prefixes(5, 1)
    ([3, 2, 1, 0], [5, 2, 0], [0], [4])
    """
    longest = max(0, n_steps - 1)
    if tries > longest:
        return list(range(longest, -1, -1))
    return [longest * (tries - 1 - i) // (tries - 1) for i in range(tries)] if tries > 1 else [longest]


async def correct(
    model: Model,
    trace: Trace,
    environment: Environment,
    template: PromptTemplate,
    settings: RolloutSettings,
    accept: Callable[[Trace], bool],
    tries: int,
) -> Trace:
    """A student's failed trajectory as the teacher ``model`` corrects it, with what all tries cost the teacher.

    ``accept`` judges what the teacher did alone (see :func:`teachers_part`). Where no try passes, the trace is that of
    the last one. The student's steps come as part of the prompt (``Source.PROMPT``): they are read, not learned. Fewer
    steps are left to the teacher the more are kept. A prefix whose code does not do again what it did is not tried.
    Faults of the world end the trace as ``End.FAULT``.
    """
    out = replace(_from(trace, trace.steps, model), usage=Usage())
    for n in prefixes(len(trace.steps), tries):
        kept = trace.steps[:n]
        went = await _go_on(model, trace, kept, environment, template, settings)
        if went is None:
            continue
        joined = replace(
            _from(trace, kept, model),
            end=went.end,
            answer=went.answer,
            score=went.score,
            fault=went.fault,
            refused=went.refused,
        )
        out = replace(joined, steps=(*joined.steps, *went.steps), usage=out.usage + went.usage)
        if went.end is End.FAULT or accept(went):
            break
    return out


def _from(trace: Trace, kept: Sequence[Step], model: Model) -> Trace:
    given = tuple(replace(s, reply=replace(s.reply, source=Source.PROMPT)) for s in kept)
    return replace(trace, method=METHOD, model=model.name, steps=given)


async def _go_on(
    model: Model,
    trace: Trace,
    kept: Sequence[Step],
    environment: Environment,
    template: PromptTemplate,
    settings: RolloutSettings,
) -> Trace | None:
    """What the teacher does after these steps; None where they cannot be done again."""
    left = replace(settings, max_steps=max(1, settings.max_steps - len(kept)), first_thought_prefix=False)
    name = f"{trace.id}@{len(kept)}"
    said = [m for s in kept for m in (s.reply, s.observation) if m is not None]
    workspace: Workspace | None = None
    try:
        workspace = environment.open()
        if not await asyncio.to_thread(_again, kept, workspace, template):
            return None
        opening = (*trace.prompt, *said)
        return await rollout(
            model, trace.problem, environment, template, left, trace_id=name, opening=opening, workspace=workspace
        )
    except InfrastructureError as e:
        return replace(trace, steps=(), end=End.FAULT, answer=None, score=None, fault=str(e), usage=Usage())
    finally:
        if workspace is not None:
            await asyncio.to_thread(workspace.close)


def _again(steps: Sequence[Step], workspace: Workspace, template: PromptTemplate) -> bool:
    """Bring a fresh session to where it was after these steps. False where something else comes out this time."""
    for step in steps:
        if step.code is not None:
            seen = template.observation(workspace.run(step.code).observation)
            if step.observation is None or seen != step.observation.content:
                return False
    return True


def teachers_part(trace: Trace) -> Trace:
    """The trace without the steps that the teacher was given."""
    return replace(trace, steps=tuple(s for s in trace.steps if s.reply.source is Source.MODEL))


def n_given(trace: Trace) -> int:
    """How many of the student's steps the correction keeps."""
    return sum(s.reply.source is Source.PROMPT for s in trace.steps)


def as_lesson(trace: Trace, learn: str) -> Trace:
    """The correction as it is trained on: with ``both``, the student's own steps that ran without error are learned
    too, since the teacher came to the right answer from there; with ``teacher``, only what the teacher wrote."""
    if learn == "teacher":
        return trace
    return replace(trace, steps=tuple(_learned(s) for s in trace.steps))


def _learned(step: Step) -> Step:
    fine = step.status in (StepStatus.OK, StepStatus.FINAL)
    reply: Message = step.reply
    return replace(step, reply=replace(reply, source=Source.MODEL)) if fine else step
