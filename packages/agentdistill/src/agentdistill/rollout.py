"""The one loop: a policy meets an environment and leaves a trace. Teacher, student, verifier and benchmark share it.

A trajectory is τ = ((r1, a1, o1), …, (rL, aL, oL)), arXiv 2505.17612 section 2: thought, action (Python), observation.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agentdistill.environment import NO_CODE, Environment, Execution, Workspace
from agentdistill.errors import InfrastructureError
from agentdistill.grade import grade
from agentdistill.models import Model, is_out_of_context
from agentdistill.parse import extract_answer, first_thought, parse_action
from agentdistill.prompts import Style
from agentdistill.retrieval import Passage
from agentdistill.types import (
    End,
    Message,
    Problem,
    Request,
    Sample,
    Sampling,
    Score,
    Source,
    Step,
    StepStatus,
    StopReason,
    Trace,
    Usage,
)


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """Limits of an episode and how its policy samples. The defaults are the paper's."""

    max_steps: int = 5
    sampling: Sampling = Sampling()  # noqa: RUF009  frozen
    first_thought_prefix: bool = False
    seed: int = 0


def seed_of(*parts: object) -> int:
    """A seed that hangs on nothing but ``parts``: the same on every machine and in every order."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


class _Policy:
    """A model as one episode sees it: one request at a time, everything it cost added up."""

    def __init__(self, model: Model, seed: int, sampling: Sampling) -> None:
        self._model, self._seed, self._sampling = model, seed, sampling
        self.usage = Usage()

    async def ask(self, messages: Sequence[Message], prefix: str = "", stop: tuple[str, ...] = ()) -> Sample:
        sampling = replace(self._sampling, stop=stop)
        seed = seed_of(self._seed, self.usage.n_requests)
        [[sample]] = await self._model.generate([Request(tuple(messages), sampling, prefix=prefix, seed=seed)])
        truncated = int(sample.stop is StopReason.LENGTH)
        self.usage += Usage(1, sample.n_prompt_tokens, sample.n_new_tokens, truncated)
        return sample


def _reply(sample: Sample, prefix: str = "") -> Message:
    return Message("assistant", prefix + sample.text, Source.MODEL, prefix, sample.token_ids, sample.stop)


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
) -> Trace:
    """One agent episode: thought, action, observation, until ``final_answer`` or a limit.

    The model's mistakes become observations. ``on_step`` is called with every step as it ends. Never raises for
    mistakes, nor for faults of the world, which end the episode as ``End.FAULT``; raises ModelError and programmer's
    mistakes.
    """
    trace = _blank(model, problem, method, settings, trace_id)
    policy = _Policy(model, seed_of(settings.seed, trace.id), settings.sampling)
    prompt = style.agent(problem.question, environment.tools)
    steps: list[Step] = []
    workspace: Workspace | None = None
    try:
        prefix = await _first_thought_prefix(policy, problem, style) if settings.first_thought_prefix else ""
        workspace = environment.open()
        end, answer = End.OUT_OF_STEPS, None
        for _ in range(settings.max_steps):
            sample = await policy.ask([*prompt, *_said(steps)], prefix, style.AGENT_STOP)
            if is_out_of_context(sample):
                end = End.OUT_OF_CONTEXT
                break
            step, execution = await _act(_reply(sample, prefix), workspace, style)
            steps.append(step)
            if on_step is not None:
                on_step(step)
            prefix = ""
            if execution.answer is not None:
                end, answer = End.ANSWERED, execution.answer
                break
        trace = replace(trace, prompt=prompt, steps=tuple(steps), end=end, answer=answer, usage=policy.usage)
        return await scored(trace)
    except InfrastructureError as e:
        return replace(trace, prompt=prompt, steps=tuple(steps), end=End.FAULT, fault=str(e), usage=policy.usage)
    finally:
        if workspace is not None:
            workspace.close()


def _said(steps: Sequence[Step]) -> list[Message]:
    return [m for s in steps for m in (s.reply, s.observation) if m is not None]


async def _act(reply: Message, workspace: Workspace, style: Style) -> tuple[Step, Execution]:
    """Parse and run one reply. The step keeps what the model is told, unless it was the last."""
    code = parse_action(reply.content)
    if code is None:
        execution = Execution(StepStatus.NO_CODE, NO_CODE)
    else:
        execution = await asyncio.to_thread(workspace.run, code)
    observation = None
    if execution.status is not StepStatus.FINAL:
        observation = Message("user", style.observation(execution.observation), Source.ENVIRONMENT)
    return Step(reply, execution.status, code, observation, execution.tool_calls), execution


async def _first_thought_prefix(policy: _Policy, problem: Problem, style: Style) -> str:
    """y1 of arXiv 2505.17612 section 3.1: the first step of the model's own chain of thought, to begin an agent's."""
    sample = await policy.ask(style.cot(problem.question), stop=("\n\n",))
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
    policy = _Policy(model, seed_of(settings.seed, trace.id), settings.sampling)
    prompt = style.cot(problem.question, passages)
    try:
        sample = await policy.ask(prompt)
    except InfrastructureError as e:
        return replace(trace, prompt=prompt, end=End.FAULT, fault=str(e), usage=policy.usage)
    if is_out_of_context(sample):
        trace = replace(trace, prompt=prompt, end=End.OUT_OF_CONTEXT, usage=policy.usage)
        return await scored(trace)
    answer = extract_answer(sample.text)
    status = StepStatus.FINAL if answer is not None else StepStatus.OK
    end = End.ANSWERED if answer is not None else End.NO_ANSWER
    step = Step(_reply(sample), status)
    return await scored(replace(trace, prompt=prompt, steps=(step,), end=end, answer=answer, usage=policy.usage))


async def scored(trace: Trace) -> Trace:
    """The trace with its verdict. No answer is wrong, a fault is unscored."""
    if trace.end is End.FAULT:
        return replace(trace, score=None)
    p = trace.problem
    score: Score = await asyncio.to_thread(grade, p.kind, trace.answer, p.answer, p.aliases)
    return replace(trace, score=score)
