"""What a policy does in one turn: it is asked, its reply is parsed and run, and the step is put on record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentdistill.environment import CUT_CODE, NO_CODE, NO_REPLY, Execution, Workspace
from agentdistill.models import Model
from agentdistill.parse import parse_action, split_reasoning
from agentdistill.prompts import Style
from agentdistill.seeds import seed_of
from agentdistill.types import (
    Candidate,
    Message,
    Request,
    Sample,
    Sampling,
    Source,
    Step,
    StepStatus,
    StopReason,
    Usage,
)


class Policy:
    """A model as one episode sees it: one request at a time, everything it cost added up."""

    def __init__(self, model: Model, seed: int, sampling: Sampling) -> None:
        self._model, self._seed, self._sampling = model, seed, sampling
        self.usage = Usage()

    async def ask(self, messages: Sequence[Message], prefix: str = "", stop: tuple[str, ...] = ()) -> Sample:
        """One continuation, sampled as the episode's settings say."""
        sampling = replace(self._sampling, stop=stop)
        seed = seed_of(self._seed, self.usage.n_requests)
        [sample] = await self.ask_many(Request(tuple(messages), sampling, prefix=prefix, seed=seed))
        return sample

    async def ask_many(self, request: Request) -> list[Sample]:
        """The samples of a request made elsewhere, counted like any other."""
        [samples] = await self._model.generate([request])
        self.usage += Usage(
            n_requests=1,
            n_prompt_tokens=samples[0].n_prompt_tokens,
            n_new_tokens=sum(s.n_new_tokens for s in samples),
            n_truncated=sum(s.stop is StopReason.LENGTH for s in samples),
        )
        return samples

    def seed(self, *parts: object) -> int:
        """A seed of this episode's own."""
        return seed_of(self._seed, *parts)


@dataclass(frozen=True, slots=True)
class Action:
    """A reply and what running it gave. ``code`` is None where none could be parsed."""

    reply: Message
    code: str | None
    execution: Execution

    @property
    def ok(self) -> bool:
        """Whether it parsed and ran to its end."""
        return self.execution.status in (StepStatus.OK, StepStatus.FINAL)

    def step(self, style: Style, others: Sequence[Action] = ()) -> Step:
        """The step on record. It keeps what the model is told, unless it was the last one, and what was not chosen."""
        e, observation = self.execution, None
        if e.status is not StepStatus.FINAL:
            observation = Message("user", style.observation(e.observation), Source.ENVIRONMENT)
        candidates = tuple(a.candidate() for a in others)
        return Step(self.reply, e.status, self.code, observation, e.tool_calls, candidates)

    def candidate(self) -> Candidate:
        """How an action that was not chosen is kept."""
        e = self.execution
        return Candidate(self.reply.content, e.status, e.observation, e.answer)


def reply_of(sample: Sample, prefix: str = "") -> Message:
    """A sample as the assistant's turn that begins with ``prefix``, its reasoning apart."""
    reply = Message("assistant", prefix + sample.text, Source.MODEL, prefix, sample.token_ids, sample.stop)
    read = split_reasoning(sample.text)
    if read.reply != sample.text:  # then the sampled ids say more than the turn does
        reply = replace(reply, content=prefix + read.reply, token_ids=None)
    return replace(reply, reasoning="\n\n".join(r for r in (sample.reasoning, read.reasoning) if r))


def is_only_reasoning(reply: Message) -> bool:
    """Whether the turn was over before its reasoning was. Nothing of it can be sent back, and a further try would end
    the same way."""
    return bool(reply.reasoning) and not reply.content[len(reply.prefix) :].strip()


def code_of(reply: Message) -> str | None:
    """The code that a reply means to be run; None where there is none, or only a fragment of it."""
    return parse_action(reply.content, cut_off=reply.stop in (StopReason.STOP_STRING, StopReason.LENGTH))


async def act(reply: Message, workspace: Workspace) -> Action:
    """Parse a reply and run its code in the workspace's state."""
    code = code_of(reply)
    if code is None:
        is_cut = parse_action(reply.content) is not None
        told = CUT_CODE if is_cut else NO_REPLY if is_only_reasoning(reply) else NO_CODE
        return Action(reply, None, Execution(StepStatus.NO_CODE, told))
    return Action(reply, code, await asyncio.to_thread(workspace.run, code))
