"""A distilled agent that answers chats: many conversations, one model, one loop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agentdistill.environment import Environment, Workspace
from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.models import Model, is_out_of_context
from agentdistill.prompts import Style
from agentdistill.rollout import RolloutSettings, rollout
from agentdistill.seeds import seed_of
from agentdistill.serve.batching import Batches
from agentdistill.serve.conversation import Chat, Kept, Shelf, opening
from agentdistill.serve.gate import Gate
from agentdistill.serve.refused import Refused
from agentdistill.types import Consistency, End, Message, Problem, Request, Sample, Sampling, Step, Trace

TOO_LONG = "context_length_exceeded"


@dataclass(frozen=True, slots=True)
class Wrote:
    """What the model has just written, not yet run: one reply, or several candidates that will be voted on."""

    replies: tuple[str, ...]


Event = Wrote | Step
"""What can be told of an answer as it comes about."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat to be answered. What is None is as the agent is set up; ``max_new_tokens`` bounds each step.

    ``vote`` takes every step by self-consistent action generation. ``conversation`` names the session to go on in, and
    keeps it for the next question; without a name the session ends with the answer.
    """

    chat: Chat
    vote: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    seed: int | None = None
    conversation: str | None = None


class Agent:
    """Model, tools and prompts of a distilled agent, at the service of many conversations.

    ``settings`` is how it acts unless asked otherwise, ``vote`` how it votes where that is asked for. At most
    ``n_running`` answers are under way at once, each in a session of its own, and ``n_waiting`` wait. Control tokens of
    the model's chat template in what users write are refused, or with ``allow_markers`` shown to it as plain text.
    ``on_batch`` is told the rows of every call of the model. Use it within one event loop; ``aclose`` ends it.
    """

    def __init__(
        self,
        model: Model,
        environment: Environment,
        style: Style,
        settings: RolloutSettings,
        *,
        vote: Consistency | None = None,
        n_running: int = 32,
        n_waiting: int = 128,
        shelf: Shelf | None = None,
        allow_markers: bool = False,
    ) -> None:
        self.name = model.name
        self.on_batch: Callable[[int], None] = lambda n: None
        self.gate = Gate(n_running, n_waiting)
        self.shelf = shelf or Shelf()
        self.model = Batches(model, lambda n: self.on_batch(n))
        self._environment, self._style, self._settings = environment, style, settings
        self._vote = vote or Consistency()
        chat_format = getattr(model, "chat", None)
        self._marker_in: Callable[[str], str | None] = (
            chat_format.marker_in if chat_format is not None and not allow_markers else lambda text: None
        )
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def sampling(self) -> Sampling:
        """How it samples unless asked otherwise."""
        return self._settings.sampling

    @property
    def max_steps(self) -> int:
        """How many steps an answer may take."""
        return self._settings.max_steps

    async def answer(self, asked: Asked, tell: Callable[[Event], None] = lambda event: None) -> Trace:
        """The episode that answers a chat; ``tell`` hears of what is written and of every step as they come.

        Raises Refused where there is no answer to be had: a bad request, no room, a fault of the world.
        """
        self._check([asked.chat.instructions, asked.chat.question, *(text for _, text in asked.chat.history)])
        async with self.gate.turn():
            return _told(await self._converse(asked, tell))

    async def complete(self, messages: Sequence[Message], sampling: Sampling, n: int, seed: int | None) -> list[Sample]:
        """The bare model's own words, ``n`` times: no loop, no tools. For clients that bring their own loop.

        A last message of the assistant's is continued. Raises as :meth:`answer`.
        """
        self._check([m.content for m in messages if m.role != "assistant"])
        *before, last = messages
        prefix = last.content if last.role == "assistant" and before else ""
        request = Request(tuple(before) if prefix else tuple(messages), sampling, n, prefix, self._seed(seed, sampling))
        async with self.gate.turn():
            try:
                [samples] = await self.model.generate([request])
            except ModelError as e:
                raise Refused(400, "model_refused", str(e), param="messages") from e
        if is_out_of_context(samples[0]):
            raise _too_long()
        return samples

    async def aclose(self) -> None:
        """Let go of sessions and model."""
        await self.shelf.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.model.aclose()

    async def _converse(self, asked: Asked, tell: Callable[[Event], None]) -> Trace:
        name, chat = asked.conversation, asked.chat
        kept = await self.shelf.take(name, chat.seen) if name is not None else None
        workspace = kept.workspace if kept is not None else None
        try:
            if workspace is None:
                workspace = await asyncio.to_thread(self._environment.open)
            trace = await self._episode(asked, kept, workspace, tell)
            if name is not None and trace.end in (End.ANSWERED, End.OUT_OF_STEPS):
                keep, workspace = workspace, None
                await self.shelf.put(name, keep, trace.messages, chat.answered(answer_text(trace)))
            return trace
        except InfrastructureError as e:
            raise _fault(str(e)) from e
        finally:
            if name is not None:
                self.shelf.free(name)
            if workspace is not None:
                self._close_soon(workspace)

    async def _episode(
        self, asked: Asked, kept: Kept | None, workspace: Workspace, tell: Callable[[Event], None]
    ) -> Trace:
        question = asked.chat.question
        if kept is not None:
            said = (*kept.messages, Message("user", question))
        else:
            said = opening(asked.chat, self._style, self._environment.tools)
        watched = _Watched(self.model, tell)
        try:
            return await rollout(
                watched,
                Problem("chat", question, ""),
                self._environment,
                self._style,
                self._settings_for(asked),
                on_step=tell,
                opening=said,
                workspace=workspace,
            )
        except ModelError as e:
            raise Refused(400, "model_refused", str(e), param="messages") from e

    def _settings_for(self, asked: Asked) -> RolloutSettings:
        own = self._settings.sampling
        sampling = replace(
            own,
            temperature=own.temperature if asked.temperature is None else asked.temperature,
            top_p=own.top_p if asked.top_p is None else asked.top_p,
            max_new_tokens=min(own.max_new_tokens, asked.max_new_tokens or own.max_new_tokens),
        )
        seed = self._seed(asked.seed, sampling)
        return replace(self._settings, sampling=sampling, seed=seed, consistency=self._vote if asked.vote else None)

    def _seed(self, wanted: int | None, sampling: Sampling) -> int:
        """The client's seed; without one, chance where there is a temperature, and always the same where not."""
        if wanted is not None:
            return seed_of("asked", wanted)
        return secrets.randbits(56) if sampling.temperature > 0 else self._settings.seed

    def _check(self, texts: Sequence[str]) -> None:
        """Refuse what pretends to be part of the chat template. The model would be shown it as plain text: nothing can
        be forged with it, but whoever sends it means to, or has pasted what was not meant for a model."""
        for text in texts:
            marker = self._marker_in(text)
            if marker is not None:
                message = f'the messages hold "{marker}", a control token of the model\'s chat template'
                raise Refused(400, "control_token", message, param="messages")

    def _close_soon(self, workspace: Workspace) -> None:
        """Close a session on another thread: a step that is being run has to end first."""
        task = asyncio.create_task(asyncio.to_thread(workspace.close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Watched:
    """A model whose words are told as soon as they are written, before the loop runs them."""

    lockstep = False

    def __init__(self, model: Batches, tell: Callable[[Event], None]) -> None:
        self.name, self.batch_size, self.context_length = model.name, model.batch_size, model.context_length
        self._model, self._tell = model, tell

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        answers = await self._model.generate(requests)
        for request, samples in zip(requests, answers, strict=True):
            if not is_out_of_context(samples[0]):
                self._tell(Wrote(tuple(request.prefix + s.text for s in samples)))
        return answers

    async def aclose(self) -> None:
        """The model belongs to the agent."""


def answer_text(trace: Trace) -> str:
    """What is said to the user: the answer, or why there is none."""
    if trace.answer is not None:
        return trace.answer
    return _NO_ANSWER[trace.end]


_NO_ANSWER = {
    End.OUT_OF_STEPS: "I found no answer: the steps I may take are used up.",
    End.OUT_OF_CONTEXT: "I found no answer: the conversation no longer fits into what I can read.",
    End.NO_ANSWER: "I found no answer.",
}


def _told(trace: Trace) -> Trace:
    """The trace, unless it says that there is nothing to be answered with."""
    if trace.end is End.FAULT:
        raise _fault(trace.fault or "")
    if trace.end is End.OUT_OF_CONTEXT and not trace.steps:
        raise _too_long()
    return trace


def _fault(why: str) -> Refused:
    return Refused(503, "fault", f"the agent's surroundings failed: {why}", retry_after_s=5)


def _too_long() -> Refused:
    return Refused(400, TOO_LONG, "the messages are longer than the model can read", param="messages")
