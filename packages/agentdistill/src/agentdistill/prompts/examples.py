"""Worked examples for the prompts of models that were not trained: a file of questions with the replies to imitate.

A row of the JSONL file has a ``question`` and the replies of an ``agent``, of a chain of thought (``cot``), or both::

    {"question": "What is 17 * 23?", "agent": "```python\\nfinal_answer(17 * 23)\\n```", "cot": "...\\n\\nAnswer: 391"}

An agent that takes several steps has a list of turns instead, each a ``reply`` and, but for the last, the
``observation`` that followed it, as the code printed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError
from agentdistill.parse import extract_answer, parse_action
from agentdistill.prompts import PromptTemplate
from agentdistill.retrieval import Passage
from agentdistill.store import read_jsonl
from agentdistill.tools import Tool
from agentdistill.types import Message, Trace

_KEYS = ("question", "agent", "cot")


@dataclass(frozen=True, slots=True)
class ExampleTurn:
    """What is replied and, unless it is the last turn, what the code printed."""

    reply: str
    observation: str | None = None


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """A question and how it is answered. Without turns, or without a chain of thought, it is no example of that."""

    question: str
    agent: tuple[ExampleTurn, ...] = ()
    cot: str | None = None


def read_examples(path: Path) -> tuple[WorkedExample, ...]:
    """The examples of a file, in order. Raises DataError, naming file and line, for the first row that is none."""
    out = []
    for n, row in read_jsonl(path):
        try:
            out.append(_example(row))
        except DataError as e:
            raise DataError(f"{path}:{n}: {e}") from e
    if not out:
        raise DataError(f"{path}: no examples in it")
    return tuple(out)


def _example(row: dict[str, Any]) -> WorkedExample:
    unknown = next((key for key in row if key not in _KEYS), None)
    if unknown is not None:
        raise DataError(f'unknown key "{unknown}" (there are: {", ".join(_KEYS)})')
    if not any(row.get(key) for key in _KEYS[1:]):
        raise DataError('neither "agent" nor "cot"; an example has at least one of them')
    agent, cot = row.get("agent"), row.get("cot")
    turns = [{"reply": agent}] if isinstance(agent, str) else agent or []
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise DataError('"agent" is neither a text nor a list of turns {"reply": ..., "observation": ...}')
    if cot is not None and extract_answer(_text(cot, "cot")) is None:
        raise DataError('"cot" does not end in an answer, such as a line "Answer: 7"')
    steps = tuple(_turn(turn, last=i == len(turns) - 1) for i, turn in enumerate(turns))
    return WorkedExample(_text(row.get("question"), "question"), steps, cot)


def _turn(turn: dict[str, Any], last: bool) -> ExampleTurn:
    unknown = next((key for key in turn if key not in ("reply", "observation")), None)
    if unknown is not None:
        raise DataError(f'unknown key "{unknown}" in a turn of "agent" (there are: reply, observation)')
    reply = _text(turn.get("reply"), "agent")
    if parse_action(reply) is None:
        raise DataError('"agent" has a reply without a block of Python')
    if last:
        if turn.get("observation") is not None:
            raise DataError('"agent" ends with an observation; its last turn gives the answer')
        return ExampleTurn(reply)
    return ExampleTurn(reply, _text(turn.get("observation"), "observation"))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f'"{name}" has to be a text that is not empty')
    return value


class ExampleTemplate:
    """A prompt template whose openings hold worked examples, as turns between the system's and the question's."""

    def __init__(self, template: PromptTemplate, examples: tuple[WorkedExample, ...]) -> None:
        self.template, self.examples = template, examples
        self.THOUGHT, self.AGENT_STOP = template.THOUGHT, template.AGENT_STOP

    def action(self, thought: str, code: str) -> str:
        """One agent turn as a model writes it."""
        return self.template.action(thought, code)

    def observation(self, text: str) -> str:
        """What the environment says after a step."""
        return self.template.observation(text)

    def agent(self, question: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
        """The opening of an agent's conversation."""
        return _between(self.template.agent(question, tools), self._agent_turns(tools))

    def cot(self, question: str, passages: Sequence[Passage] = ()) -> tuple[Message, ...]:
        """The opening of a chain-of-thought answer. The examples have no passages."""
        return _between(self.template.cot(question, passages), self._cot_turns())

    def without(self, trace: Trace, tools: Sequence[Tool]) -> Trace:
        """The trace as if it had been prompted without the examples: that is how students are trained and asked."""
        for turns in (self._agent_turns(tools), self._cot_turns()):
            start = _n_system(trace.prompt)
            end = start + len(turns)
            if turns and trace.prompt[start:end] == turns:
                return replace(trace, prompt=trace.prompt[:start] + trace.prompt[end:])
        return trace

    def _agent_turns(self, tools: Sequence[Tool]) -> tuple[Message, ...]:
        out: list[Message] = []
        for example in self.examples:
            if example.agent:
                out += _without_system(self.template.agent(example.question, tools))
            for turn in example.agent:
                out.append(Message("assistant", turn.reply))
                if turn.observation is not None:
                    out.append(Message("user", self.template.observation(turn.observation)))
        return tuple(out)

    def _cot_turns(self) -> tuple[Message, ...]:
        out: list[Message] = []
        for example in self.examples:
            if example.cot is not None:
                out += [*_without_system(self.template.cot(example.question)), Message("assistant", example.cot)]
        return tuple(out)


def _n_system(messages: Sequence[Message]) -> int:
    return next((i for i, m in enumerate(messages) if m.role != "system"), len(messages))


def _without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return messages[_n_system(messages) :]


def _between(opening: tuple[Message, ...], turns: tuple[Message, ...]) -> tuple[Message, ...]:
    n = _n_system(opening)
    return opening[:n] + turns + opening[n:]
