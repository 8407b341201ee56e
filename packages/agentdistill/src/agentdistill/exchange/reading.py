"""Trajectories that others collected, as traces: ``messages`` datasets, and logs of the paper's own code.

A row holds a conversation as ``messages`` (or ``conversations`` with ``from`` and ``value``), at its top or within
``log_data``, where the code of arXiv 2505.17612 keeps it. What else it may hold: the question (``question``,
``problem``), the gold answer (``true_answer``, ``answer``), what was answered (``generated_answer``,
``prediction``), an ``id``, and who wrote it (``model_id``, ``model``). A row that
this package wrote, of a dataset or of a run's own ``traces.jsonl``, is read back as the very trace.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentdistill.errors import DataError
from agentdistill.grade import grade
from agentdistill.parse import extract_answer, parse_action
from agentdistill.problems import open_source
from agentdistill.problems._kind import answer_kind
from agentdistill.prompts import Style
from agentdistill.retrieval import Passage
from agentdistill.store import digest, from_dict
from agentdistill.tools import FINAL_ANSWER, Tool
from agentdistill.types import End, Message, Problem, Role, Source, Step, StepStatus, Trace

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "tool": "user", "ipython": "user",
    "tool-response": "user", "tool_response": "user", "observation": "user", "environment": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "tool-call": "assistant",
}  # fmt: skip
_TRACE = frozenset({"id", "problem", "prompt", "steps", "end"})  # a line of a run's own traces.jsonl
_QUESTION, _GOLD = ("question", "problem", "task"), ("true_answer", "answer", "gold")
_SAID, _MODEL = ("generated_answer", "prediction", "predicted_answer"), ("model_id", "model")
_OBSERVED = re.compile(r"\A\s*Observations?:[ \t]*\n?")
_FAILED = re.compile(r"^(?:Error\b|Traceback \(most recent call last\)|[\w.]*(?:Error|Exception):)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Imported:
    """The traces that were read, in order, and one line for every row that could not be."""

    traces: tuple[Trace, ...]
    skipped: tuple[str, ...]


def read_trajectories(source: str, method: str = "agent", limit: int | None = None) -> Imported:
    """The conversations of a file (.jsonl, .json, .parquet) or a hub dataset ``owner/name:split``.

    ``method`` says what they are: ``agent`` or ``cot``. Answers are graded where the row has a gold answer, otherwise
    the trace stays unscored. Raises DataError for a source that cannot be read or holds no conversation.
    """
    opened = open_source(source)
    traces: dict[str, Trace] = {}
    skipped: list[str] = []
    for row in opened.rows:
        if limit is not None and len(traces) >= limit:
            break
        try:
            if not isinstance(row.values, Mapping):
                raise DataError(row.fault or f"expected an object, got {type(row.values).__name__}")
            trace = _trace(row.values, method, opened.name)
        except DataError as e:
            skipped.append(f"{row.where}: {e}")
            continue
        n = 1
        while (identity := trace.id if n == 1 else f"{trace.id}/{n}") in traces:
            n += 1
        traces[identity] = replace(trace, id=identity)
    if not traces:
        why = f"; {skipped[0]}" if skipped else ""
        raise DataError(f"{source}: no conversation in it{why}")
    return Imported(tuple(traces.values()), tuple(skipped))


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


def _trace(row: Mapping[str, Any], method: str, family: str) -> Trace:
    own = row.get("trace")
    if isinstance(own, str):
        try:
            return from_dict(Trace, json.loads(own))
        except ValueError as e:
            raise DataError(f'"trace" is not JSON: {e}') from e
    if row.keys() >= _TRACE:
        return from_dict(Trace, dict(row))
    conversation = _conversation(row)
    first = next((i for i, m in enumerate(conversation) if m.role == "assistant"), None)
    if not first:
        raise DataError("the conversation has no question that a model answers")
    prompt = tuple(conversation[:first])
    question = _field(row, _QUESTION) or next((m.content for m in reversed(prompt) if m.role == "user"), "")
    if not question.strip():
        raise DataError("the conversation has no question")
    steps = tuple(_steps(conversation[first:], method))
    gold = _field(row, _GOLD) or ""
    said = _field(row, _SAID) or _answer(steps, method)
    problem = Problem(_field(row, ("id",)) or digest([question, gold]), question.strip(), gold, family=family)
    if gold:
        problem = replace(problem, kind=answer_kind([gold]))
    missing = End.NO_ANSWER if method.startswith("cot") else End.OUT_OF_STEPS
    trace = Trace(
        problem.id,
        problem,
        method,
        _field(row, _MODEL) or "unknown",
        prompt,
        steps,
        End.ANSWERED if said is not None else missing,
        said,
    )
    return replace(trace, score=grade(problem.kind, said, gold)) if gold else trace


def _field(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of the fields that holds something, as text."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value)
    return None


def _conversation(row: Mapping[str, Any]) -> list[Message]:
    log = row.get("log_data")
    inner = log if isinstance(log, Mapping) else {}
    found = next((v for r in (row, inner) for k in ("messages", "conversations") if (v := r.get(k))), None)
    if not isinstance(found, Sequence) or isinstance(found, str):
        shown = ", ".join(map(str, list(row)[:6]))
        raise DataError(f'no "messages" (the row has: {shown})')
    out: list[Message] = []
    for m in found:
        if not isinstance(m, Mapping):
            raise DataError("a message is no object")
        role = _ROLES.get(str(m.get("role", m.get("from"))).rpartition(".")[2].lower())
        if role is None:
            raise DataError(f'no role is called "{m.get("role", m.get("from"))}"')
        text = _text(m.get("content", m.get("value")))
        if out and out[-1].role == role:
            out[-1] = replace(out[-1], content=f"{out[-1].content}\n\n{text}".strip())
        else:
            out.append(Message(role, text))
    return out


def _text(content: Any) -> str:
    """A message's words: a text, or parts of which those with text count."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [p.get("text") for p in content if isinstance(p, Mapping)]
        return "".join(p for p in parts if isinstance(p, str))
    raise DataError(f"a message's content is {type(content).__name__}, not text")


def _steps(turns: Sequence[Message], method: str) -> Iterator[Step]:
    """Each assistant's turn with what it was told next; a system's word in between belongs to that."""
    for i, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        told = turns[i + 1] if i + 1 < len(turns) else None
        reply = Message("assistant", turn.content, Source.MODEL)
        observation = None if told is None else Message("user", told.content, Source.ENVIRONMENT)
        if method.startswith("cot"):
            done = extract_answer(turn.content) is not None
            yield Step(reply, StepStatus.FINAL if done else StepStatus.OK, None, observation)
            continue
        code = parse_action(turn.content)
        yield Step(reply, _status(code, observation), code, observation)


def _status(code: str | None, observation: Message | None) -> StepStatus:
    """What became of an action, as far as its code and what was observed tell."""
    if code is None:
        return StepStatus.NO_CODE
    tree = _parsed(code)
    if tree is None:
        return StepStatus.SYNTAX
    if observation is None:
        return StepStatus.FINAL if _final_calls(tree) else StepStatus.OK
    return StepStatus.EXCEPTION if _FAILED.search(_observed(observation)) else StepStatus.OK


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _final_calls(tree: ast.Module) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == FINAL_ANSWER
    ]


def _answer(steps: Sequence[Step], method: str) -> str | None:
    """The answer as the last turn writes it down; None where it is computed or there is none."""
    if not steps:
        return None
    if method.startswith("cot"):
        return extract_answer(steps[-1].reply.content)
    tree = _parsed(steps[-1].code or "")
    for call in _final_calls(tree) if tree is not None else []:
        argument = call.args[0] if call.args else next((k.value for k in call.keywords), None)
        if isinstance(argument, ast.Constant):
            return str(argument.value)
    return None
