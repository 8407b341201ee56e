"""What a client's messages come to: the question, what was said before it, and the conversation they open.

A chat protocol carries words only. The variables that an agent's earlier steps set are known to the server alone, and
only for a conversation that the client has given a name: see :class:`Shelf`. The model is shown the words in any case:
students are trained on one question an episode, and answer worse below the steps of an earlier one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentdistill.environment import Workspace
from agentdistill.prompts import PromptTemplate
from agentdistill.serve.outcome import Refused
from agentdistill.store import digest
from agentdistill.tools import Tool
from agentdistill.types import Message, Role, Source


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation up to a question: instructions of the client's, the exchanges so far, what is asked now.

    ``history`` alternates between user and assistant, the user first.
    """

    question: str
    history: tuple[tuple[Role, str], ...] = ()
    instructions: str = ""

    @property
    def seen(self) -> str:
        """A hash of all that was said before the question, but for blanks and line ends, which many clients change."""
        return _hash(self.instructions, self.history)

    def answered(self, answer: str) -> str:
        """What :attr:`seen` will be in the client's next request, where it repeats what was said."""
        return _hash(self.instructions, (*self.history, ("user", self.question), ("assistant", answer)))


def _hash(instructions: str, turns: Sequence[tuple[str, str]]) -> str:
    return digest([instructions, [[role, " ".join(text.split())] for role, text in turns]])


def read_chat(messages: Sequence[tuple[str, str]]) -> Chat:
    """The chat that ``(role, text)`` pairs make; neighbours of one role are one turn. Raises Refused.

    What an assistant said before the first question (a greeting, an answer whose question a client has cut off) is left
    out: templates begin with a user, and nothing was asked yet. So is an assistant's empty turn at the end, which some
    clients send as the place of the answer.
    """
    instructions: list[str] = []
    turns: list[tuple[Role, str]] = []
    for role, text in messages:
        if role in ("system", "developer"):
            instructions.append(text)
        elif turns and turns[-1][0] == role:
            turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n\n{text}")
        else:
            turns.append(("assistant" if role == "assistant" else "user", text))
    if turns and turns[0][0] == "assistant":
        del turns[0]
    if turns and turns[-1][0] == "assistant" and not turns[-1][1].strip():
        del turns[-1]
    if not turns or turns[-1][0] != "user" or not turns[-1][1].strip():
        raise _unreadable("the last message has to be the user's, and not empty")
    return Chat(turns[-1][1].strip(), tuple(turns[:-1]), "\n\n".join(t.strip() for t in instructions if t.strip()))


def _unreadable(why: str) -> Refused:
    return Refused(400, "no_question", why, param="messages")


def opening(chat: Chat, template: PromptTemplate, tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The prompt that a chat opens with. Instructions stand above the first question, since the system's place is the
    agent's own; an earlier answer is shown as the step that gave it, since that is how the agent answers."""
    first, *rest = (*chat.history, ("user", chat.question))
    question = f"{chat.instructions}\n\n{first[1]}" if chat.instructions else first[1]
    out = list(template.agent(question, tools))
    for role, text in rest:
        if role == "assistant":
            out.append(Message("assistant", as_step(text, template), Source.PROMPT))
        else:
            out.append(Message("user", text))
    return tuple(out)


def as_step(answer: str, template: PromptTemplate) -> str:
    """An answer as the step of an agent that gives it."""
    return f"{template.THOUGHT}I know the answer.\nCode:\n```py\nfinal_answer({answer!r})\n```"


@dataclass(slots=True)
class Kept:
    """A named conversation between two questions: its session, and the hash of what was said."""

    workspace: Workspace
    seen: str
    since: float

    def fork(self) -> Workspace:
        """A session in the same state, to act in."""
        return self.workspace.fork()[0]

    def take_over(self, fork: Workspace) -> Workspace:
        """The session, gone on from the state that its fork is in."""
        self.workspace.commit(fork)
        return self.workspace


class Shelf:
    """Sessions of named conversations, kept until the next question: at most ``n_kept``, for at most ``keep_s``.

    One question at a time: a conversation that is being answered is not on the shelf but among the ``busy``.
    """

    def __init__(self, n_kept: int = 64, keep_s: float = 900.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._n_kept, self._keep_s, self._clock = n_kept, keep_s, clock
        self._kept: dict[str, Kept] = {}
        self._busy: set[str] = set()

    def __len__(self) -> int:
        return len(self._kept)

    async def take(self, name: str, seen: str) -> Kept | None:
        """The conversation's session, where it is kept and the client tells the same story; it is busy from now on.

        A client that tells another story (an edited message, a restarted chat) begins anew. Raises Refused for a
        conversation that is being answered.
        """
        if name in self._busy:
            raise Refused(409, "conversation_busy", f'conversation "{name}" waits for an answer', param="conversation")
        self._busy.add(name)
        kept = self._kept.pop(name, None)
        if kept is None or (kept.seen == seen and self._clock() - kept.since <= self._keep_s):
            return kept
        try:
            await asyncio.to_thread(kept.workspace.close)
        except BaseException:  # a client that goes away meanwhile
            self.free(name)
            raise
        return None

    async def put(self, name: str, workspace: Workspace, seen: str) -> None:
        """Keep a session that :meth:`take` was asked for; what is too old or too many is closed."""
        self._kept[name] = Kept(workspace, seen, self._clock())
        await self.sweep()

    def free(self, name: str, back: Kept | None = None) -> None:
        """The conversation waits for no answer any more. Where it got none, ``back`` is what :meth:`take` gave."""
        self._busy.discard(name)
        if back is not None:
            self._kept[name] = back

    async def sweep(self) -> None:
        """Close what is too old, and the oldest of what is too many."""
        old = [n for n, k in self._kept.items() if self._clock() - k.since > self._keep_s]
        many = list(self._kept)[: max(0, len(self._kept) - self._n_kept)]
        await self._close(dict.fromkeys([*old, *many]))

    async def aclose(self) -> None:
        """Close every session."""
        await self._close(list(self._kept))

    async def _close(self, names: Sequence[str] | dict[str, None]) -> None:
        going = [kept for name in names if (kept := self._kept.pop(name, None)) is not None]
        for kept in going:
            await asyncio.to_thread(kept.workspace.close)
