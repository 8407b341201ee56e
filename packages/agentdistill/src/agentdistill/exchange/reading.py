"""Trajectories that others collected, as traces: ``messages`` datasets, and logs of the paper's own code.

A row holds a conversation as ``messages`` (or ``conversations`` with ``from`` and ``value``), at its top or within
``log_data``, where the code of arXiv 2505.17612 keeps it. What else it may hold: the question (``question``,
``problem``), the gold answer (``true_answer``, ``answer``), what was answered (``generated_answer``,
``prediction``), an ``id``, and who wrote it (``model_id``, ``model``). A row that
this package wrote, of a dataset or of a run's own ``traces.jsonl``, is read back as the very trace. Conversations may
be JSON in a text. Tool calls in JSON become code (:mod:`._calls`).
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentdistill import registry, scorers
from agentdistill.environment import Environment
from agentdistill.errors import DataError
from agentdistill.exchange._calls import SMOLAGENTS, answering, as_code, calls_of
from agentdistill.exchange._content import text_of, unpacked
from agentdistill.exchange._ending import answer_of, final_calls, is_answered
from agentdistill.parse import extract_answer, parse_action, parsed, split_reasoning
from agentdistill.problems import answer_kind, as_text, as_texts, golds, open_source
from agentdistill.prompts import Style
from agentdistill.retrieval import Passage
from agentdistill.store import digest, from_dict
from agentdistill.tools import Tool
from agentdistill.types import End, Message, Problem, Role, Source, Step, StepStatus, Trace

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "tool": "user", "ipython": "user",
    "tool-response": "user", "tool_response": "user", "observation": "user", "environment": "user",
    "function": "user", "function_response": "user", "function-response": "user", "tool_result": "user",
    "execution": "user", "code_output": "user", "ai": "assistant", "bot": "assistant",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "tool-call": "assistant",
    "tool_call": "assistant", "function_call": "assistant", "function-call": "assistant",
}  # fmt: skip
_TRACE = frozenset({"id", "problem", "prompt", "steps", "end"})  # a line of a run's own traces.jsonl
_QUESTION = ("question", "problem", "task")
_GOLD = ("true_answer", "answer", "gold", "gold_answer", "golden_answers", "ground_truth", "expected_answer")
_SAID, _MODEL = ("generated_answer", "prediction", "predicted_answer"), ("model_id", "model")
_OBSERVED = re.compile(r"\A\s*Observations?:[ \t]*\n?")
_MANY = 10_000
# What interpreters say: ours and smolagents' own words, a traceback, or the exception that an observation ends with.
# A line that was printed may begin with "Error" too: "Error rate: 3 %", "Error bars are shown".
_FAILED = re.compile(
    r"\A\s*Error:(?!\s*[-+\d.e%]+\s*\Z)|^Error: (?:[\w.]+:|the code was stopped)"
    r"|^Error (?:in (?:code parsing|generating|tool call)|(?:when |while )?executing)\b"
    r"|\A\s*(?:Code )?[Ee]xecution (?:failed|timed out)\b"
    r"|^Traceback \(most recent call last\):|^(?:[\w.]+(?:Error|Interrupt|Exit)|[\w.]*Exception)(?:: .*)?\s*\Z",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Imported:
    """The traces that were read, in order, and one line for every row that could not be."""

    traces: tuple[Trace, ...]
    skipped: tuple[str, ...]


def read_trajectories(
    source: str, method: str = "agent", limit: int | None = None, environment: Environment | None = None
) -> Imported:
    """The conversations of a file (.jsonl, .json, .parquet) or a hub dataset ``owner/name:split``.

    ``method`` says what they are: ``agent`` or ``cot``. Answers are scored where the row has a gold answer, otherwise
    the trace stays unscored; as in :func:`~agentdistill.problems.load_problems` one kind goes for all rows that name
    none, those beyond ``limit`` included. An answer that is computed is known by running the steps in ``environment``;
    without one, or where they need tools, it is unknown and unscored. Raises DataError for a source that cannot be read
    or holds no conversation.
    """
    opened = open_source(source)
    traces: dict[str, Trace] = {}
    skipped: list[str] = []
    without_kind: set[str] = set()
    own: set[str] = set()
    while (limit is None or len(traces) < limit) and (row := next(opened.rows, None)) is not None:
        try:
            if not isinstance(row.values, Mapping):
                raise DataError(row.fault or f"expected an object, got {type(row.values).__name__}")
            trace = _trace(row.values, method, opened.name, environment)
        except DataError as e:
            skipped.append(f"{row.where}: {e}")
            continue
        n = 1
        while (identity := trace.id if n == 1 else f"{trace.id}/{n}") in traces:
            n += 1
        traces[identity] = replace(trace, id=identity)
        if _is_own(row.values):
            own.add(identity)
        elif row.values.get("kind") not in registry.names("scorers"):
            without_kind.add(identity)
    if not traces:
        why = f"; {skipped[0]}" if skipped else ""
        raise DataError(f"{source}: no conversation in it{why}")
    answers = [traces[i].problem.answer for i in traces if i in without_kind]
    if answers and limit is not None:
        answers += [_gold_beyond(row.values) for row in itertools.islice(opened.rows, _MANY)]
    kind = answer_kind([a for a in answers if a][:_MANY])
    kinds = {i: kind if i in without_kind else t.problem.kind for i, t in traces.items()}
    found = tuple(t if i in own else _scored(t, kinds[i]) for i, t in traces.items())
    return Imported(found, tuple(skipped))


def _gold_beyond(values: Any) -> str:
    """The gold answer of a row that no limit lets through; an empty text where there is none."""
    try:
        return (
            _golds(values)[0]
            if isinstance(values, Mapping) and values.get("kind") not in registry.names("scorers")
            else ""
        )
    except DataError:
        return ""


def _scored(trace: Trace, kind: str) -> Trace:
    """The trace with its verdict, where there is a gold answer and an answer that is known, or none was given."""
    problem = replace(trace.problem, kind=kind) if trace.problem.answer else trace.problem
    is_unknown = trace.end is End.ANSWERED and trace.answer is None
    if trace.score is not None or not problem.answer or is_unknown:
        return replace(trace, problem=problem)
    return replace(trace, problem=problem, score=scorers.score(kind, trace.answer, problem.answer, problem.aliases))


def in_style(trace: Trace, style: Style, tools: Sequence[Tool], passages: Sequence[Passage] = ()) -> Trace:
    """The trace in our own prompts: its question opens an agent's conversation as ours do, and what was observed is
    said as our environment says it. So a student is trained on what it will see. What the model wrote stays.
    ``passages`` stand beside the question of a chain of thought."""
    if trace.method.startswith("cot"):
        return replace(trace, prompt=style.cot(trace.problem.question, passages))
    steps = tuple(
        replace(s, observation=replace(s.observation, content=style.observation(_observed(s.observation))))
        if s.observation is not None
        else s
        for s in trace.steps
    )
    return replace(trace, prompt=style.agent(trace.problem.question, tools), steps=steps)


def _observed(message: Message) -> str:
    return _OBSERVED.sub("", message.content)


def _is_own(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("trace"), str) or row.keys() >= _TRACE


def _trace(row: Mapping[str, Any], method: str, family: str, environment: Environment | None = None) -> Trace:
    own = row.get("trace")
    if isinstance(own, str):
        try:
            return from_dict(Trace, json.loads(own))
        except ValueError as e:
            raise DataError(f'"trace" is not JSON: {e}') from e
    if row.keys() >= _TRACE:
        return from_dict(Trace, dict(row))
    conversation, is_converted = _conversation(row, method)
    first = next((i for i, m in enumerate(conversation) if m.role == "assistant"), None)
    if not first:
        raise DataError("the conversation has no question that a model answers")
    prompt = tuple(conversation[:first])
    question = _field(row, _QUESTION) or next((m.content for m in reversed(prompt) if m.role == "user"), "")
    if not question.strip():
        raise DataError("the conversation has no question")
    steps = tuple(_steps(conversation[first:], method))
    said, end, was_run = _field(row, _SAID), End.ANSWERED, False
    if said is None and method.startswith("cot"):
        said = extract_answer(steps[-1].reply.content) if steps else None
        end = End.NO_ANSWER if said is None else End.ANSWERED
    elif said is None and is_answered(steps):
        said, was_run = answer_of(steps, environment)
    elif said is None:
        end = End.OUT_OF_STEPS
    notes = [("calls", "converted from JSON")] if is_converted else []
    notes += [("answer", "executed")] if was_run and said is not None else []
    problem, model = _problem(row, question.strip(), family), _field(row, _MODEL) or "unknown"
    return Trace(problem.id, problem, method, model, prompt, steps, end, said, notes=tuple(notes))


def _problem(row: Mapping[str, Any], question: str, family: str) -> Problem:
    gold, *aliases = _golds(row)
    kind = row.get("kind")
    identity = _field(row, ("id",)) or digest([question, gold])
    found = Problem(identity, question, gold, family=family, aliases=tuple(aliases))
    return replace(found, kind=kind) if kind in registry.names("scorers") else found


def _golds(row: Mapping[str, Any]) -> list[str]:
    """The gold answer and its aliases; an empty text where there is none. Raises DataError for what is no answer."""
    name = next((n for n in _GOLD if row.get(n) is not None), None)
    found = golds(row[name]) if name is not None else []
    more = as_texts(row.get("aliases"))
    if found is None or more is None:
        raise DataError(f'"{name if found is None else "aliases"}" holds no answer')
    return list(dict.fromkeys([*found, *more])) if found else [""]


def _field(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of the fields that holds something, as text."""
    for name in names:
        text = as_text(row.get(name))
        if text:
            return text
    return None


def _conversation(row: Mapping[str, Any], method: str) -> tuple[list[Message], bool]:
    """The turns, those of one role in a row joined, and whether tool calls in JSON were made code."""
    log = unpacked(row.get("log_data"))
    inner = log if isinstance(log, Mapping) else {}
    given = next((v for r in (row, inner) for k in ("messages", "conversations") if (v := r.get(k))), None)
    found = unpacked(given)
    if not isinstance(found, Sequence) or isinstance(found, str):
        shown = ", ".join(map(str, list(row)[:6]))
        raise DataError(f'no "messages" (the row has: {shown})')
    out: list[Message] = []
    is_converted = False
    for m in found:
        if not isinstance(m, Mapping):
            raise DataError("a message is no object")
        named = str(m.get("role", m.get("from"))).rpartition(".")[2].lower()
        role = _ROLES.get(named)
        if role is None:
            raise DataError(f'no role is called "{m.get("role", m.get("from"))}"')
        text = text_of(m.get("content", m.get("value")))
        if role == "assistant":
            if text.startswith(SMOLAGENTS) and out and parse_action(out[-1].content) is not None:
                continue  # as smolagents logs them: a second account of the code that stands in the turn before
            text, calls = calls_of(m, named, text)
            if calls:
                text, is_converted = f"{text}\n\nCode:\n```py\n{as_code(calls)}\n```".strip(), True
        if out and out[-1].role == role:
            out[-1] = replace(out[-1], content=f"{out[-1].content}\n\n{text}".strip())
        else:
            out.append(Message(role, text))
    for i, m in enumerate(out):
        if m.role == "assistant" and not split_reasoning(m.content).reply.strip():
            raise DataError(f"turn {i + 1}, the model's, is empty")
    if is_converted and not method.startswith("cot") and out[-1].role == "assistant":
        out[-1] = _answered(out[-1])
    return out, is_converted


def _answered(turn: Message) -> Message:
    """The last turn of a conversation with tool calls: where it calls nothing, its words are the answer."""
    if parse_action(turn.content) is not None:
        return turn
    answer = extract_answer(turn.content) or turn.content.strip()
    return replace(turn, content=f"{turn.content.strip()}\n\nCode:\n```py\n{answering(answer)}\n```")


def _steps(turns: Sequence[Message], method: str) -> Iterator[Step]:
    """Each assistant's turn with what it was told next; a system's word in between belongs to that."""
    for i, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        told = turns[i + 1] if i + 1 < len(turns) else None
        read = split_reasoning(turn.content)
        reply = Message("assistant", read.reply, Source.MODEL, reasoning=read.reasoning)
        observation = None if told is None else Message("user", told.content, Source.ENVIRONMENT)
        if method.startswith("cot"):
            done = extract_answer(read.reply) is not None
            yield Step(reply, StepStatus.FINAL if done else StepStatus.OK, None, observation)
            continue
        code = parse_action(read.reply)
        yield Step(reply, _status(code, observation), code, observation)


def _status(code: str | None, observation: Message | None) -> StepStatus:
    """What became of an action, as far as its code and what was observed tell."""
    if code is None:
        return StepStatus.NO_CODE
    tree = parsed(code)
    if tree is None:
        return StepStatus.SYNTAX
    if observation is not None and _FAILED.search(_observed(observation)):
        return StepStatus.EXCEPTION
    return StepStatus.FINAL if observation is None and final_calls(tree) else StepStatus.OK
