"""A distilled agent that answers chats: many conversations, one model, one loop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from agentdistill.environment import Environment, Workspace
from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.models import Model, is_out_of_context
from agentdistill.prompts import Style
from agentdistill.rollout import RolloutSettings, rollout
from agentdistill.seeds import seed_of
from agentdistill.serve.batching import Batches
from agentdistill.serve.conversation import Chat, Kept, Shelf, opening
from agentdistill.serve.events import Chosen, Ended, Tell, Tried, Watched
from agentdistill.serve.gate import Gate
from agentdistill.serve.refused import Refused
from agentdistill.types import Consistency, End, Message, Problem, Request, Sample, Sampling, Trace
from agentdistill.verify.asking import Answered, Choosing

TOO_LONG = "context_length_exceeded"
Found = TypeVar("Found", Trace, Answered)


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

    ``settings`` is how it acts unless asked otherwise, ``vote`` how it votes and ``choosing`` how it chooses among
    whole trajectories where that is asked for. At most ``n_running`` answers are under way at once, each in a session
    of its own, and ``n_waiting`` wait. Control tokens of the model's chat template in what users write are refused, or
    with ``allow_markers`` shown to it as plain text.
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
        choosing: Choosing | None = None,
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
        self.choosing = choosing
        if choosing is not None and choosing.verifier is not None:
            self.choosing = replace(choosing, verifier=Batches(choosing.verifier, lambda n: self.on_batch(n)))
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

    async def answer(self, asked: Asked, tell: Tell = lambda event: None) -> Trace:
        """The episode that answers a chat; ``tell`` hears of what is written and of every step as they come.

        Raises Refused where there is no answer to be had: a bad request, no room, a fault of the world.
        """
        return await self._converse(asked, tell, self._episode)

    async def choose(self, asked: Asked, tell: Tell = lambda event: None) -> Answered:
        """Several such episodes side by side, each checked, and the one that answers.

        Raises Refused as :meth:`answer`, and for an agent that was not told how to choose.
        """
        return await self._converse(asked, tell, self._episodes)

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
        if self.choosing is not None and self.choosing.verifier is not None:
            await self.choosing.verifier.aclose()

    async def _converse(
        self, asked: Asked, tell: Tell, find: Callable[[Asked, Kept | None, Workspace, Tell], Awaitable[Found]]
    ) -> Found:
        self._check([asked.chat.instructions, asked.chat.question, *(text for _, text in asked.chat.history)])
        async with self.gate.turn():
            found = await self._in_session(asked, tell, find)
            _raise_without_answer(trace_of(found))
            return found

    async def _in_session(
        self, asked: Asked, tell: Tell, find: Callable[[Asked, Kept | None, Workspace, Tell], Awaitable[Found]]
    ) -> Found:
        name, chat = asked.conversation, asked.chat
        kept = await self.shelf.take(name, chat.seen) if name is not None else None
        workspace = kept.workspace if kept is not None else None
        try:
            if workspace is None:
                workspace = await asyncio.to_thread(self._environment.open)
            found = await find(asked, kept, workspace, tell)
            trace = trace_of(found)
            if name is not None and trace.end in (End.ANSWERED, End.OUT_OF_STEPS):
                keep, workspace = workspace, None
                await self.shelf.put(name, keep, trace.messages, chat.answered(answer_text(trace)))
            return found
        except InfrastructureError as e:
            raise _fault(str(e)) from e
        except ModelError as e:
            raise Refused(400, "model_refused", str(e), param="messages") from e
        finally:
            if name is not None:
                self.shelf.free(name)
            if workspace is not None:
                self._close_soon(workspace)

    async def _episode(self, asked: Asked, kept: Kept | None, workspace: Workspace, tell: Tell) -> Trace:
        return await rollout(
            Watched(self.model, tell),
            _problem(asked),
            self._environment,
            self._style,
            self._settings_for(asked, self._settings),
            on_step=tell,
            opening=self._opening(asked, kept),
            workspace=workspace,
        )

    async def _episodes(self, asked: Asked, kept: Kept | None, workspace: Workspace, tell: Tell) -> Answered:
        """Each trajectory acts in a fork of the session, which goes on from the state of the one that is chosen."""
        if self.choosing is None:
            raise Refused(400, "unsupported", "this server checks no answers", param="model")
        settings = self._settings_for(asked, self.choosing.settings(self._settings))
        settings = self.choosing.settings(settings)  # nor may the client's temperature be 0
        forks = await asyncio.to_thread(workspace.fork, self.choosing.n)

        async def solve(model: Model, name: str) -> Trace:
            place = int(name.rpartition("#")[2])
            trace = await rollout(
                Watched(model, lambda wrote: tell(Tried(place, wrote))),
                _problem(asked),
                self._environment,
                self._style,
                settings,
                trace_id=name,
                on_step=lambda step: tell(Tried(place, step)),
                opening=self._opening(asked, kept),
                workspace=forks[place],
            )
            if trace.steps:  # else nothing came of it, which the answer's status may tell
                tell(Ended(place, trace))
            return trace

        found = await self.choosing.answer(self.model, _problem(asked), solve, settings, settings.seed)
        _raise_without_answer(found.trace)
        chosen = forks.pop(found.choice.index or 0)
        await asyncio.to_thread(workspace.commit, chosen)
        for fork in forks:
            self._close_soon(fork)
        tell(Chosen(found))
        return found

    def _opening(self, asked: Asked, kept: Kept | None) -> tuple[Message, ...]:
        if kept is not None:
            return (*kept.messages, Message("user", asked.chat.question))
        return opening(asked.chat, self._style, self._environment.tools)

    def _settings_for(self, asked: Asked, settings: RolloutSettings) -> RolloutSettings:
        own = settings.sampling
        sampling = replace(
            own,
            temperature=own.temperature if asked.temperature is None else asked.temperature,
            top_p=own.top_p if asked.top_p is None else asked.top_p,
            max_new_tokens=min(own.max_new_tokens, asked.max_new_tokens or own.max_new_tokens),
        )
        seed = self._seed(asked.seed, sampling)
        return replace(settings, sampling=sampling, seed=seed, consistency=self._vote if asked.vote else None)

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


def trace_of(found: Trace | Answered) -> Trace:
    """The episode that answers: the only one, or the one that was chosen."""
    return found if isinstance(found, Trace) else found.trace


def _problem(asked: Asked) -> Problem:
    return Problem("chat", asked.chat.question, "")


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


def _raise_without_answer(trace: Trace) -> None:
    """Raise Refused for an episode that says why nothing can be answered."""
    if trace.end is End.FAULT:
        raise _fault(trace.fault or "")
    if trace.end is End.OUT_OF_CONTEXT and not trace.steps:
        raise _too_long()


def _fault(why: str) -> Refused:
    return Refused(503, "fault", f"the agent's surroundings failed: {why}", retry_after_s=5)


def _too_long() -> Refused:
    return Refused(400, TOO_LONG, "the messages are longer than the model can read", param="messages")
