"""The one loop: a policy meets an environment and leaves a trace. Teacher, student, verifier and benchmark share it.

A trajectory is τ = ((r1, a1, o1), …, (rL, aL, oL)), arXiv 2505.17612 section 2: thought, action (Python), observation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agentdistill.acting import Action, Policy, act, is_only_reasoning, reply_of
from agentdistill.consistency import act_consistently
from agentdistill.environment import Environment, Workspace
from agentdistill.errors import InfrastructureError, RefusedError
from agentdistill.grade import grade
from agentdistill.models import Model, is_out_of_context
from agentdistill.parse import extract_answer, first_thought
from agentdistill.prompts import Style
from agentdistill.retrieval import Passage
from agentdistill.seeds import seed_of
from agentdistill.types import (
    Consistency,
    End,
    Message,
    Problem,
    Sampling,
    Score,
    Step,
    StepStatus,
    StopReason,
    Trace,
)


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """Limits of an episode and how its policy samples. The defaults are the paper's."""

    max_steps: int = 5
    sampling: Sampling = Sampling()  # noqa: RUF009  frozen
    first_thought_prefix: bool = False
    seed: int = 0
    consistency: Consistency | None = None


def _blank(model: Model, problem: Problem, method: str, settings: RolloutSettings, trace_id: str | None) -> Trace:
    return Trace(trace_id or problem.id, problem, method, model.name, (), (), End.NO_ANSWER)


async def rollout(
    model: Model,
    problem: Problem,
    environment: Environment,
    style: Style,
    settings: RolloutSettings,
    *,
    method: str = "agent",
    trace_id: str | None = None,
    on_step: Callable[[Step], None] | None = None,
    opening: tuple[Message, ...] | None = None,
    workspace: Workspace | None = None,
) -> Trace:
    """One agent episode: thought, action, observation, until ``final_answer`` or a limit.

    The model's mistakes become observations. ``on_step`` is called with every step as it ends. ``opening`` is what was
    said so far, the question last, where that is more than the style's opening; ``workspace`` a session to act in,
    which is left open, where that is no fresh one. Never raises for mistakes, nor for faults of the world and
    conversations that a server refuses, which end the episode as ``End.FAULT``; raises other ModelErrors and
    programmer's mistakes.
    """
    trace = _blank(model, problem, method, settings, trace_id)
    policy = Policy(model, seed_of(settings.seed, trace.id), settings.sampling)
    prompt = opening or style.agent(problem.question, environment.tools)
    steps: list[Step] = []
    own: Workspace | None = None
    try:
        prefix = await _first_thought_prefix(policy, problem, style) if settings.first_thought_prefix else ""
        if workspace is None:
            own = workspace = environment.open()
        turn = _Turn(policy, workspace, style, settings, problem.kind)
        end, answer = End.OUT_OF_STEPS, None
        for _ in range(settings.max_steps):
            taken = await turn.take([*prompt, *_said(steps)], prefix)
            if taken is None:
                end = End.OUT_OF_CONTEXT
                break
            action, others = taken
            steps.append(action.step(style, others))
            if on_step is not None:
                on_step(steps[-1])
            prefix = ""
            if action.execution.answer is not None:
                end, answer = End.ANSWERED, action.execution.answer
                break
            if is_only_reasoning(action.reply):
                end = End.NO_ANSWER
                break
        trace = replace(trace, prompt=prompt, steps=tuple(steps), end=end, answer=answer, usage=policy.usage)
        return await scored(trace)
    except (InfrastructureError, RefusedError) as e:
        return _faulty(replace(trace, prompt=prompt, steps=tuple(steps), usage=policy.usage), e)
    finally:
        if own is not None:
            own.close()


@dataclass(frozen=True, slots=True)
class _Turn:
    """How the episode's policy takes a step: one sample, or a vote among several."""

    policy: Policy
    workspace: Workspace
    style: Style
    settings: RolloutSettings
    kind: str

    async def take(self, messages: Sequence[Message], prefix: str) -> tuple[Action, tuple[Action, ...]] | None:
        """The action taken and those that were not; None where the conversation does not fit the context."""
        stop, vote = self.style.AGENT_STOP, self.settings.consistency
        if vote is not None:
            return await act_consistently(
                self.policy, messages, prefix, stop, self.workspace, vote, self.settings.sampling, self.kind
            )
        sample = await self.policy.ask(messages, prefix, stop)
        if is_out_of_context(sample):
            return None
        return await act(reply_of(sample, prefix), self.workspace), ()


def _said(steps: Sequence[Step]) -> list[Message]:
    return [m for s in steps for m in (s.reply, s.observation) if m is not None]


async def _first_thought_prefix(policy: Policy, problem: Problem, style: Style) -> str:
    """y1 of arXiv 2505.17612 section 3.1: the first step of the model's own chain of thought, to begin an agent's."""
    sample = await policy.ask(style.cot(problem.question), stop=("\n\n",))
    if is_only_reasoning(reply_of(sample)) and sample.stop is StopReason.STOP_STRING:
        sample = await policy.ask(style.cot(problem.question))  # the empty line stood in its reasoning
    thought = first_thought(sample.text)
    return style.THOUGHT + thought if thought else ""


async def chain_of_thought(
    model: Model,
    problem: Problem,
    style: Style,
    settings: RolloutSettings,
    *,
    passages: Sequence[Passage] = (),
    method: str = "cot",
    trace_id: str | None = None,
) -> Trace:
    """One chain-of-thought answer, as a trace of a single step. ``passages`` are put beside the question."""
    trace = _blank(model, problem, method, settings, trace_id)
    policy = Policy(model, seed_of(settings.seed, trace.id), settings.sampling)
    prompt = style.cot(problem.question, passages)
    try:
        sample = await policy.ask(prompt)
    except (InfrastructureError, RefusedError) as e:
        return _faulty(replace(trace, prompt=prompt, usage=policy.usage), e)
    if is_out_of_context(sample):
        trace = replace(trace, prompt=prompt, end=End.OUT_OF_CONTEXT, usage=policy.usage)
        return await scored(trace)
    reply = reply_of(sample)
    answer = extract_answer(reply.content)
    status = StepStatus.FINAL if answer is not None else StepStatus.OK
    end = End.ANSWERED if answer is not None else End.NO_ANSWER
    step = Step(reply, status)
    return await scored(replace(trace, prompt=prompt, steps=(step,), end=end, answer=answer, usage=policy.usage))


def _faulty(trace: Trace, error: Exception) -> Trace:
    return replace(trace, end=End.FAULT, fault=str(error), refused=isinstance(error, RefusedError))


async def scored(trace: Trace) -> Trace:
    """The trace with its verdict. No answer is wrong, a fault is unscored."""
    if trace.end is End.FAULT:
        return replace(trace, score=None)
    p = trace.problem
    score: Score = await asyncio.to_thread(grade, p.kind, trace.answer, p.answer, p.aliases)
    return replace(trace, score=score)
