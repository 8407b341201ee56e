"""A distilled agent that answers chats: many conversations, one model, one loop."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from agentdistill.environment import Environment, Workspace
from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.loop import RolloutSettings, reply_of, rollout
from agentdistill.models import Model, is_out_of_context
from agentdistill.prompts import PromptTemplate
from agentdistill.serve.batching import Batches, Gate
from agentdistill.serve.conversation import Chat, Shelf, opening
from agentdistill.serve.outcome import Refused, answer_text, fault, raise_without_answer, too_long, trace_of
from agentdistill.store import seed_of
from agentdistill.types import Consistency, End, Message, Problem, Request, Sample, Sampling, Step, Trace
from agentdistill.verify.judging import Choosing, VerifiedAnswer

# --- events on the way to an answer -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wrote:
    """What the model has just written, not yet run: one reply, or several candidates that will be voted on."""

    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What happened in one of several trajectories that go side by side. ``place`` counts from 0."""

    place: int
    event: Wrote | Step


@dataclass(frozen=True, slots=True)
class Ended:
    """One of several trajectories has come to its end."""

    place: int
    trace: Trace


@dataclass(frozen=True, slots=True)
class Chosen:
    """All trajectories are checked, and one of them is the answer."""

    found: VerifiedAnswer


Event = Wrote | Step | Tried | Ended | Chosen
Tell = Callable[[Event], None]


class Watched:
    """A model whose replies are reported as soon as they are written, before the loop runs them.

    ``retry_after_s`` is what its last fault said of when to ask again: the trace that the loop makes of a fault holds
    no such thing.
    """

    lockstep = False

    def __init__(self, model: Model, tell: Callable[[Wrote], None]) -> None:
        self.name, self.batch_size, self.context_length = model.name, model.batch_size, model.context_length
        self._model, self._tell = model, tell
        self.retry_after_s: float | None = None

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """As :meth:`agentdistill.models.Model.generate`."""
        try:
            answers = await self._model.generate(requests)
        except InfrastructureError as e:
            self.retry_after_s = e.retry_after_s
            raise
        for request, samples in zip(requests, answers, strict=True):
            if not is_out_of_context(samples[0]):
                self._tell(Wrote(tuple(reply_of(s, request.prefix).content for s in samples)))
        return answers

    async def aclose(self) -> None:
        """The model belongs to the agent."""


# --- the agent --------------------------------------------------------------------------------------------------------

Found = TypeVar("Found", bound=Trace | VerifiedAnswer)


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat to be answered. What is None is as the agent is set up; ``max_new_tokens`` bounds each step.

    ``vote`` takes every step by self-consistent action generation. ``conversation`` names the session to go on in, and
    keeps it for the next question; without a name the session ends with the answer. What is said to the user ends at
    the first of ``stop``.
    """

    chat: Chat
    vote: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    seed: int | None = None
    conversation: str | None = None
    stop: tuple[str, ...] = ()


Prompt = tuple[Message, ...]
Find = Callable[[Asked, Prompt, Workspace, Tell], Awaitable[Found]]


class Agent:
    """Model, tools and prompts of a distilled agent, at the service of many conversations.

    ``settings`` is how it acts unless asked otherwise, ``vote`` how it votes and ``choosing`` how it chooses among
    whole trajectories where that is asked for. At most ``n_running`` answers are under way at once, each in a session
    of its own, and ``n_waiting`` wait. Control tokens of the model's chat template in what users write are refused, or
    with ``allow_markers`` shown to it as plain text. With ``ignore_system`` the whole agent is not shown the system
    messages of clients; the bare model is. ``name`` is what it is called, by default as the model. ``on_batch`` is told
    the rows of every call of the model. Use it within one event loop; ``aclose`` ends it.
    """

    def __init__(
        self,
        model: Model,
        environment: Environment,
        template: PromptTemplate,
        settings: RolloutSettings,
        *,
        vote: Consistency | None = None,
        choosing: Choosing | None = None,
        n_running: int = 32,
        n_waiting: int = 128,
        shelf: Shelf | None = None,
        allow_markers: bool = False,
        ignore_system: bool = False,
        name: str | None = None,
    ) -> None:
        self.name = model.name if name is None else name
        self.on_batch: Callable[[int], None] = lambda n: None
        self.gate = Gate(n_running, n_waiting)
        self.shelf = Shelf() if shelf is None else shelf  # an empty one is false
        self.model = Batches(model, lambda n: self.on_batch(n))
        self._environment, self._template, self._settings = environment, template, settings
        self._vote = vote or Consistency()
        self.choosing = choosing
        if choosing is not None and choosing.verifier is not None:
            self.choosing = replace(choosing, verifier=Batches(choosing.verifier, lambda n: self.on_batch(n)))
        chat_format = getattr(model, "chat", None)
        self._marker_in: Callable[[str], str | None] = (
            chat_format.marker_in if chat_format is not None and not allow_markers else lambda text: None
        )
        self._ignore_system = ignore_system
        self._most_characters = _most_characters(model)
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

    async def choose(self, asked: Asked, tell: Tell = lambda event: None) -> VerifiedAnswer:
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
        if last.role == "assistant" and not last.content and before:  # the place of the answer, as some clients send it
            messages, (*before, last) = before, before
        prefix = last.content if last.role == "assistant" and before else ""
        request = Request(tuple(before) if prefix else tuple(messages), sampling, n, prefix, self._seed(seed, sampling))
        async with self.gate.turn():
            try:
                [samples] = await self.model.generate([request])
            except InfrastructureError as e:
                raise fault(str(e), e.retry_after_s) from e
            except ModelError as e:
                raise Refused(400, "model_refused", str(e), param="messages") from e
        if is_out_of_context(samples[0]):
            raise too_long()
        return samples

    async def aclose(self) -> None:
        """Let go of sessions and model."""
        await self.shelf.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.model.aclose()
        if self.choosing is not None and self.choosing.verifier is not None:
            await self.choosing.verifier.aclose()

    async def _converse(self, asked: Asked, tell: Tell, find: Find[Found]) -> Found:
        if self._ignore_system:
            asked = replace(asked, chat=replace(asked.chat, instructions=""))
        chat = asked.chat
        said = [text for role, text in chat.history if role == "user"]
        answers = [text for role, text in chat.history if role == "assistant"]
        self._check([chat.instructions, *said, chat.question], answers)
        async with self.gate.turn():
            try:
                return await self._in_session(asked, tell, find)
            except InfrastructureError as e:
                raise fault(str(e), e.retry_after_s) from e
            except ModelError as e:
                raise Refused(400, "model_refused", str(e), param="messages") from e

    async def _in_session(self, asked: Asked, tell: Tell, find: Find[Found]) -> Found:
        """Act in a fork of the conversation's session, which goes on from there; without an answer it is as before."""
        name, chat = asked.conversation, asked.chat
        kept = await self.shelf.take(name, chat.seen) if name is not None else None
        acting: Workspace | None = None
        try:
            acting = await asyncio.to_thread(self._environment.open if kept is None else kept.fork)
            found = await find(asked, opening(chat, self._template, self._environment.tools), acting, tell)
            trace = trace_of(found)
            told = chat.answered(answer_text(trace, asked.stop))
            if name is not None and trace.end in (End.ANSWERED, End.OUT_OF_STEPS):
                acted, before = acting, kept
                acting, kept = None, None  # from now on nothing is as before, even if this fails
                session = acted if before is None else await asyncio.to_thread(before.take_over, acted)
                await self.shelf.put(name, session, told)
            elif kept is not None:  # the client will repeat that there was no answer
                kept.seen = told
            return found
        finally:
            if name is not None:
                self.shelf.free(name, kept)
            if acting is not None:
                self._close_soon(acting)

    async def _episode(self, asked: Asked, prompt: Prompt, workspace: Workspace, tell: Tell) -> Trace:
        watched = Watched(self.model, tell)
        trace = await rollout(
            watched,
            _problem(asked),
            self._environment,
            self._template,
            self._settings_for(asked, self._settings),
            on_step=tell,
            opening=prompt,
            workspace=workspace,
        )
        raise_without_answer(trace, watched.retry_after_s)
        return trace

    async def _episodes(self, asked: Asked, prompt: Prompt, workspace: Workspace, tell: Tell) -> VerifiedAnswer:
        """Each trajectory acts in a fork of the session, which goes on from the state of the one that is chosen."""
        if self.choosing is None:
            raise Refused(400, "unsupported", "this server checks no answers", param="model")
        settings = self._settings_for(asked, self.choosing.settings(self._settings))
        settings = self.choosing.settings(settings)  # nor may the client's temperature be 0
        forks = await asyncio.to_thread(workspace.fork, self.choosing.n)
        waits: list[float] = []

        async def solve(model: Model, name: str) -> Trace:
            place = int(name.rpartition("#")[2])
            watched = Watched(model, lambda wrote: tell(Tried(place, wrote)))
            trace = await rollout(
                watched,
                _problem(asked),
                self._environment,
                self._template,
                settings,
                trace_id=name,
                on_step=lambda step: tell(Tried(place, step)),
                opening=prompt,
                workspace=forks[place],
            )
            waits.extend([] if watched.retry_after_s is None else [watched.retry_after_s])
            if trace.steps:  # else nothing came of it, which the answer's status may tell
                tell(Ended(place, trace))
            return trace

        found = await self.choosing.answer(self.model, _problem(asked), solve, settings, settings.seed)
        raise_without_answer(found.trace, max(waits, default=None))
        chosen = forks.pop(found.choice.index or 0)
        await asyncio.to_thread(workspace.commit, chosen)
        for fork in forks:
            self._close_soon(fork)
        tell(Chosen(found))
        return found

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

    def _check(self, said: Sequence[str], answers: Sequence[str] = ()) -> None:
        """Refuse what cannot fit, before anybody spends a second on tokenising it, and what pretends to be part of the
        chat template. The model would be shown it as plain text: nothing can be forged with it, but whoever sends it
        means to, or has pasted what was not meant for a model. Of ``answers`` a prompt may show a part only."""
        if sum(len(text.strip()) for text in said) > self._most_characters:
            raise too_long()
        for text in (*said, *answers):
            marker = self._marker_in(text)
            if marker is not None:
                message = f'the messages hold "{marker}", a control token of the model\'s chat template'
                raise Refused(400, "control_token", message, param="messages")

    def _close_soon(self, workspace: Workspace) -> None:
        """Close a session on another thread: a step that is being run has to end first."""
        task = asyncio.create_task(asyncio.to_thread(workspace.close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _problem(asked: Asked) -> Problem:
    return Problem("chat", asked.chat.question, "")


def _most_characters(model: Model) -> float:
    """More than this no prompt can hold, even if all its tokens were the longest there is. Tokenizers may first join up
    to four characters into one (a Greek letter with three accents)."""
    chat_format = getattr(model, "chat", None)
    if chat_format is None or model.context_length is None:
        return math.inf
    return 4 * max(map(len, chat_format.tokenizer.get_vocab())) * model.context_length
