"""The values that every stage shares, from problem to report. This module imports nothing of ours.

All are frozen dataclasses that survive a round trip through JSON (see :mod:`agentdistill.store`).
Tuples, never lists, so that a value can be hashed and cannot be changed behind somebody's back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Role = Literal["system", "user", "assistant"]


class Source(StrEnum):
    """Who produced a message. Only ``MODEL`` text is ever trained on."""

    PROMPT = "prompt"
    MODEL = "model"
    ENVIRONMENT = "environment"


class StopReason(StrEnum):
    """Why a model stopped writing."""

    END_TURN = "end_turn"
    STOP_STRING = "stop_string"
    LENGTH = "length"


class StepStatus(StrEnum):
    """What became of one thought-action pair. Everything but ``OK`` and ``FINAL`` is an error the model can see."""

    OK = "ok"
    FINAL = "final"
    NO_CODE = "no_code"
    SYNTAX = "syntax"
    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    LIMIT = "limit"


PARSE_ERRORS = frozenset({StepStatus.NO_CODE, StepStatus.SYNTAX})
EXECUTION_ERRORS = frozenset({StepStatus.EXCEPTION, StepStatus.TIMEOUT, StepStatus.LIMIT})


class End(StrEnum):
    """How an episode ended. ``FAULT`` is ours (network, disk), never the model's: it is unscored and tried again."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    OUT_OF_STEPS = "out_of_steps"
    OUT_OF_CONTEXT = "out_of_context"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its gold answer. ``family`` names the task it belongs to and groups the report.

    ``kind`` names the scorer of its answers: ``short`` compares words (names, dates, yes/no), ``math`` values, ``gym``
    asks the reasoning-gym generator that made the question; others are plug-ins.

    ``labels`` are further groups that results can be shown by: ``(("level", "3"),)``. ``supporting`` are the titles of
    the passages that the answer is found in, where the dataset names them.
    """

    id: str
    question: str
    answer: str
    kind: str = "short"
    family: str = "default"
    aliases: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    supporting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    ``prefix`` is the leading part of ``content`` that was given to the model rather than sampled by it (a
    first-thought prefix). ``token_ids`` are the sampled ids, end-of-turn marker included, where the model gives them.
    ``reasoning`` is what the model thought before ``content``: on record, and never sent back to it. ``logprobs`` are
    the log probabilities in nats of the sampled tokens, where a trajectory of others holds them.
    """

    role: Role
    content: str
    source: Source = Source.PROMPT
    prefix: str = ""
    token_ids: tuple[int, ...] | None = None
    stop: StopReason | None = None
    reasoning: str = ""
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw from a model. ``temperature`` 0 is greedy; ``top_p`` in (0, 1]."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 1024
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Consistency:
    """How many candidates each step of an agent has when it acts by vote, and how they are drawn: the paper's settings.

    ``adaptive`` stops sampling as soon as no further candidate could change the outcome.
    """

    n: int = 8
    temperature: float = 0.4
    top_p: float = 0.8
    adaptive: bool = True


@dataclass(frozen=True, slots=True)
class StepForm:
    """How a prompt template writes an agent's step: ``opening``, a thought, ``between`` with the opening fence, code, a
    newline and the closing fence. ``bare`` is what stands before the code of a step without a thought; '' where the
    template writes an empty thought then.
    """

    opening: str
    between: str
    bare: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Ask a model for ``n`` continuations of ``messages``; with ``prefix``, of an assistant turn that begins so.

    ``first`` is the place of the first sample: asking for 8 gives the same samples as asking for 5, and then for 3 with
    ``first`` 5, where a model draws by seed. With ``form`` the model writes a step of that form, whose code parses.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    n: int = 1
    prefix: str = ""
    seed: int = 0
    first: int = 0
    form: StepForm | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One continuation. ``text`` excludes the prefix, the stop string and the end-of-turn marker.

    ``reasoning`` is what a server gives apart from the text; a model that marks its reasoning has it in ``text``.
    """

    text: str
    stop: StopReason
    n_prompt_tokens: int = 0
    n_new_tokens: int = 0
    token_ids: tuple[int, ...] | None = None
    logprob: float | None = None
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool called from model code. ``arguments`` is JSON text: Arrow merges dicts of different keys."""

    name: str
    arguments: str
    result: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thought-action pair that was sampled, tried and not chosen (self-consistent action generation)."""

    content: str
    status: StepStatus
    observation: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thought, its action, and what the environment returned. ``code`` is None where none could be parsed."""

    reply: Message
    status: StepStatus
    code: str | None = None
    observation: Message | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an episode cost. Counts add up over requests; wall clock is kept apart so that traces stay reproducible.

    ``n_candidates`` were sampled for votes on actions, ``n_spared`` were not since the vote was settled.
    """

    n_requests: int = 0
    n_prompt_tokens: int = 0
    n_new_tokens: int = 0
    n_truncated: int = 0
    n_candidates: int = 0
    n_spared: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.n_requests + other.n_requests,
            self.n_prompt_tokens + other.n_prompt_tokens,
            self.n_new_tokens + other.n_new_tokens,
            self.n_truncated + other.n_truncated,
            self.n_candidates + other.n_candidates,
            self.n_spared + other.n_spared,
        )


@dataclass(frozen=True, slots=True)
class Score:
    """A verdict that keeps what was compared and why. Unscored is None on the trace, never a Score of False."""

    correct: bool
    extracted: str
    grader: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """One whole episode: the problem, the prompt, every step, how it ended, what it scored and what it cost.

    ``id`` is unique in its file and the same whenever the same settings are run again. A chain-of-thought answer is a
    trace of one step without code. ``notes`` say where a trajectory of others comes from, and what in it is ours:
    ``(("source", "gsm8k:train/17"), ("observations", "executed"))``. ``refused``: the fault is that a server would not
    answer this very conversation.
    """

    id: str
    problem: Problem
    method: str
    model: str
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...]
    end: End
    answer: str | None = None
    score: Score | None = None
    fault: str | None = None
    usage: Usage = Usage()
    notes: tuple[tuple[str, str], ...] = ()
    refused: bool = False
    version: int = field(default=1)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation as the model saw it, in order."""
        out = list(self.prompt)
        for step in self.steps:
            out.append(step.reply)
            if step.observation is not None:
                out.append(step.observation)
        return tuple(out)

    @property
    def solution(self) -> str:
        """What was written and what was seen, one after another, as one text."""
        return "\n".join(m.content for step in self.steps for m in (step.reply, step.observation) if m is not None)

    @property
    def correct(self) -> bool | None:
        """The verdict; None where the trace was not scored."""
        return None if self.score is None else self.score.correct
