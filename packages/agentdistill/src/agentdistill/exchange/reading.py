"""Trajectories that others collected, as traces: ``messages`` datasets, and logs of the paper's own code.

A row holds a conversation as ``messages`` (or ``conversations`` with ``from`` and ``value``), at its top or within
``log_data``, where the code of arXiv 2505.17612 keeps it. What else it may hold: the question (``question``,
``problem``), the gold answer (``true_answer``, ``answer``), what was answered (``generated_answer``,
``prediction``), an ``id``, and who wrote it (``model_id``, ``model``). A row that
this package wrote, of a dataset or of a run's own ``traces.jsonl``, is read back as the very trace. Conversations may
be JSON in a text. Tool calls in JSON become code. ATIF documents and runs that smolagents saved are rows too. What has
no place in a trace is counted in its note ``not converted``.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
import keyword
import operator
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentdistill import registry, scorers
from agentdistill.environment import Environment
from agentdistill.errors import DataError, InfrastructureError, UserError
from agentdistill.exchange.atif import atif_row, from_atif, is_atif, is_own
from agentdistill.exchange.smolagents import is_run, run_row
from agentdistill.parse import extract_answer, parse_action, parsed, split_reasoning
from agentdistill.problems import answer_kind, as_text, as_texts, golds, open_source
from agentdistill.prompts import PromptTemplate
from agentdistill.retrieval import Passage
from agentdistill.store import digest, from_dict
from agentdistill.tools import FINAL_ANSWER, Tool
from agentdistill.types import End, Message, Problem, Role, Source, Step, StepStatus, Trace, Usage

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
        identity = unique_id(trace.id, traces)
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


def unique_id(name: str, taken: Container[str]) -> str:
    """``name``, or the first of ``name/2``, ``name/3``, ... that is not taken."""
    others = (f"{name}/{n}" for n in itertools.count(2))
    return next(n for n in itertools.chain([name], others) if n not in taken)


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


def in_template(
    trace: Trace, template: PromptTemplate, tools: Sequence[Tool], passages: Sequence[Passage] = ()
) -> Trace:
    """The trace in our own prompts: its question opens an agent's conversation as ours do, and what was observed is
    said as our environment says it. So a student is trained on what it will see. What the model wrote stays.
    ``passages`` stand beside the question of a chain of thought."""
    if trace.method.startswith("cot"):
        return replace(trace, prompt=template.cot(trace.problem.question, passages))
    steps = tuple(
        replace(s, observation=replace(s.observation, content=template.observation(_observed(s.observation))))
        if s.observation is not None
        else s
        for s in trace.steps
    )
    return replace(trace, prompt=template.agent(trace.problem.question, tools), steps=steps)


def _observed(message: Message) -> str:
    return _OBSERVED.sub("", message.content)


def _is_own(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("trace"), str) or row.keys() >= _TRACE or (is_atif(row) and is_own(row))


def _trace(row: Mapping[str, Any], method: str, family: str, environment: Environment | None = None) -> Trace:
    own = row.get("trace")
    if isinstance(own, str):
        try:
            return from_dict(Trace, json.loads(own))
        except ValueError as e:
            raise DataError(f'"trace" is not JSON: {e}') from e
    if row.keys() >= _TRACE:
        return from_dict(Trace, dict(row))
    if is_atif(row) and is_own(row):
        return from_atif(row)
    if is_atif(row) or is_run(row):
        row = atif_row(row) if is_atif(row) else run_row(row)
    conversation, notes = _conversation(row, method)
    first = next((i for i, m in enumerate(conversation) if m.role == "assistant" and m.source is Source.MODEL), None)
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
    notes += [("answer", "executed")] if was_run and said is not None else []
    problem, model = _problem(row, question.strip(), family), _field(row, _MODEL) or "unknown"
    usage = _usage(row.get("usage"))
    return Trace(problem.id, problem, method, model, prompt, steps, end, said, usage=usage, notes=tuple(notes))


def _usage(spent: Any) -> Usage:
    """Tokens as OpenAI's protocol counts them."""
    counts = (
        [spent.get(k) for k in ("requests", "prompt_tokens", "completion_tokens")] if isinstance(spent, dict) else []
    )
    return Usage(*(n if isinstance(n, int) else 0 for n in counts))


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


def _conversation(row: Mapping[str, Any], method: str) -> tuple[list[Message], list[tuple[str, str]]]:
    """The turns, those of one role in a row joined, and notes: whether tool calls in JSON were made code, and what was
    left out of the messages."""
    log = unpacked(row.get("log_data"))
    inner = log if isinstance(log, Mapping) else {}
    given = next((v for r in (row, inner) for k in ("messages", "conversations") if (v := r.get(k))), None)
    found = unpacked(given)
    if not isinstance(found, Sequence) or isinstance(found, str):
        shown = ", ".join(map(str, list(row)[:6]))
        raise DataError(f'no "messages" (the row has: {shown})')
    out: list[Message] = []
    lost, is_converted = Counter[str](row.get("not_converted") or {}), False
    for m in found:
        if not isinstance(m, Mapping):
            raise DataError("a message is no object")
        named = str(m.get("role", m.get("from"))).rpartition(".")[2].lower()
        role = _ROLES.get(named)
        if role is None:
            raise DataError(f'no role is called "{m.get("role", m.get("from"))}"')
        content = m.get("content", m.get("value"))
        text = text_of(content)
        lost.update(_wordless(content))
        message = Message(role, text)
        if role == "assistant":
            if text.startswith(SMOLAGENTS) and out and parse_action(out[-1].content) is not None:
                continue  # as smolagents logs them: a second account of the code that stands in the turn before
            words, calls = calls_of(m, named, text)
            code = as_code(calls)
            message = _written_by_model(m, words)
            lost["log probabilities"] += bool(m.get("logprobs")) and message.logprobs is None
            if calls and parse_action(words) != code:
                text, is_converted = f"{words}\n\nCode:\n```py\n{code}\n```".strip(), True
                lost["token ids"] += message.token_ids is not None  # they spell the call, not the code
                message = replace(message, content=text, token_ids=None, logprobs=None)
        if out and (out[-1].role, out[-1].source) == (role, message.source):
            joined = f"{out[-1].content}\n\n{message.content}".strip()
            reasoning = "\n\n".join(filter(None, (out[-1].reasoning, message.reasoning)))
            lost["token ids"] += sum(t.token_ids is not None for t in (out[-1], message))
            out[-1] = Message(role, joined, message.source, reasoning=reasoning)
        else:
            out.append(message)
    for i, turn in enumerate(out):
        if turn.role == "assistant" and not split_reasoning(turn.content).reply.strip():
            raise DataError(f"turn {i + 1}, the model's, is empty")
    if is_converted and not method.startswith("cot") and out[-1].role == "assistant":
        lost["token ids"] += out[-1].token_ids is not None and parse_action(out[-1].content) is None
        out[-1] = _answered(out[-1])
    notes = [("calls", "converted from JSON")] if is_converted else []
    if left := ", ".join(f"{n} × {what}" for what, n in sorted(lost.items()) if n):
        notes.append((NOT_CONVERTED, left))
    return out, notes


NOT_CONVERTED = "not converted"
"""The note of what a conversation held and its trace does not: ``2 × image, 1 × plan``."""


def _written_by_model(message: Mapping[str, Any], text: str) -> Message:
    """An assistant's turn, with what is on record of how it was written. Copied from elsewhere, it belongs to the
    prompt; what an agent says without a model is its environment's."""
    source = Source.PROMPT if message.get("is_copied") else Source.MODEL
    source = Source.ENVIRONMENT if message.get("is_dispatched") else source
    ids, logprobs = (_numbers(message.get(k), kind) for k, kind in (("token_ids", int), ("logprobs", int | float)))
    thought = next((t for k in ("reasoning_content", "reasoning") if isinstance(t := message.get(k), str)), "")
    fits = logprobs is not None and (ids is None or len(ids) == len(logprobs))
    scores = tuple(map(float, logprobs)) if logprobs is not None and fits else None
    return Message("assistant", text, source, token_ids=ids, reasoning=thought, logprobs=scores)


def _numbers(given: Any, kind: Any) -> tuple[Any, ...] | None:
    return tuple(given) if isinstance(given, list) and given and all(isinstance(n, kind) for n in given) else None


def _wordless(content: Any) -> Iterator[str]:
    """The kinds of a message's parts that are neither words nor calls nor results."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping) and not _is_use(part):
            if isinstance(part.get("content"), list):
                yield from _wordless(part["content"])
            elif not isinstance(part.get("text"), str) and not isinstance(part.get("content"), str):
                yield str(part.get("type", "part")).removesuffix("_url")


def _answered(turn: Message) -> Message:
    """The last turn of a conversation with tool calls: where it calls nothing, its words are the answer."""
    if parse_action(turn.content) is not None:
        return turn
    answer = extract_answer(turn.content) or turn.content.strip()
    text = f"{turn.content.strip()}\n\nCode:\n```py\n{answering(answer)}\n```"
    return replace(turn, content=text, token_ids=None, logprobs=None)


def _steps(turns: Sequence[Message], method: str) -> Iterator[Step]:
    """Each assistant's turn with what it was told next; a system's word in between belongs to that."""
    for i, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        told = turns[i + 1] if i + 1 < len(turns) and turns[i + 1].role != "assistant" else None
        read = split_reasoning(turn.content)
        if read.reply == turn.content:
            reply = turn
        else:  # then the sampled ids say more than the turn does
            reasoning = "\n\n".join(filter(None, (turn.reasoning, read.reasoning)))
            reply = replace(turn, content=read.reply, reasoning=reasoning, token_ids=None, logprobs=None)
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


# --- cells ------------------------------------------------------------------------------------------------------------


def unpacked(value: Any) -> Any:
    """A cell that may be JSON in a text, as some tables hold conversations."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        for read in (json.loads, ast.literal_eval):  # or Python's words, as pandas writes them into CSV
            with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                return read(value)
    return value


def text_of(content: Any) -> str:
    """A message's words: a text, or parts of which those with text count, a tool's result by its own content."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [p.get("text") or text_of(p.get("content")) for p in content if isinstance(p, Mapping)]
        return "".join(p for p in parts if isinstance(p, str))
    raise DataError(f"a message's content is {type(content).__name__}, not text")


# --- tool calls as code -----------------------------------------------------------------------------------------------


SMOLAGENTS = "Calling tools:"
_WRITTEN = re.compile(
    r"(?P<words>.*?)(?:Action:|\[TOOL_CALLS\]|<\|python_tag\|>)?\s*(?:```(?:json)?\s*)?(?P<calls>[\[{].*[\]}])[\s`]*",
    re.DOTALL,
)
"""A text that ends in calls as JSON, as Llama's, Mistral's and older smolagents' templates write them."""
_ARGUMENTS = {"arguments", "parameters"}
_UNREAD = ("<function=", "<invoke name=", "<|tool_call", "<｜tool", "[TOOL_CALLS]", "<|python_tag|>")
_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_MARKED = re.compile(
    r"(?:<tool_call>|<function_calls>)?\s*<(?:function=|invoke name=)\"?(?P<name>[^\"<>\s]+)\"?>(?P<inside>.*?)"
    r"</(?:function|invoke)>\s*(?:</tool_call>|</function_calls>)?",
    re.DOTALL,
)
"""A call in tags, as OpenHands and SWE-agent (``<function=NAME>``) and models of Qwen and MiniMax write it."""
_PARAMETER = re.compile(r"<parameter(?:=| name=)\"?([^\"<>\s]+)\"?>\n?(.*?)\n?</parameter>", re.DOTALL)
_INTERPRETERS = frozenset(
    {
        "python", "python_interpreter", "code_interpreter", "execute_python", "run_python", "python_repl",
        "python_repl_ast", "execute_code", "run_code", "ipython", "jupyter", "execute", "code_execution",
        "python_executor", "interpreter",
    }
)  # fmt: skip
_CODE = ("code", "python_code", "source", "script", "command", "query", "input", "__arg1")


def calls_of(message: Mapping[str, Any], role: str, text: str) -> tuple[str, list[tuple[str, Any]]]:
    """A message's words without its tool calls, and the calls: name and arguments.

    Calls stand in ``tool_calls`` or ``function_call``, in parts of the content, in tags, or in the text, where ``role``
    says that the message is a call or smolagents wrote it. Arguments in tags of their own (``<parameter=NAME>``) are
    texts. Raises DataError naming a call that cannot be read.
    """
    parts = message.get("content")
    used = [p for p in parts if _is_use(p)] if isinstance(parts, list) else []  # as Anthropic's messages hold them
    given = message.get("tool_calls") or message.get("function_call") or used
    if isinstance(given, str):
        given = _json(given, "tool_calls")
    if given:
        many = given if isinstance(given, Sequence) else [given]
        return text, [_call(c) for c in many]
    if text.startswith(SMOLAGENTS):
        return "", [_call(c) for c in _literal(text.removeprefix(SMOLAGENTS).strip())]
    if role.replace("-", "_") in ("function_call", "tool_call"):
        bare = _TAGGED.sub(r"\1", text).strip()
        found = _json(bare, role)
        return "", [_call(c) for c in (found if isinstance(found, list) else [found])]
    if _MARKED.search(text) and parse_action(text) is None:
        return _MARKED.sub("", text).strip(), [_marked(m["name"], m["inside"].strip()) for m in _MARKED.finditer(text)]
    if tagged := _TAGGED.findall(text):
        return _TAGGED.sub("", text).strip(), [_call(_json(t, "<tool_call>")) for t in tagged]
    return _written(text) if parse_action(text) is None or text.startswith("<|python_tag|>") else (text, [])


def _written(text: str) -> tuple[str, list[tuple[str, Any]]]:
    """Calls that a text ends in as JSON. Raises DataError for calls in a form that is not read here."""
    match = _WRITTEN.fullmatch(text) if text.rstrip("`\n ")[-1:] in ("]", "}") else None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(match["calls"]) if match else []
        many = found if isinstance(found, list) else [found]
        if match and many and all(isinstance(c, Mapping) and c.keys() & _ARGUMENTS and "name" in c for c in many):
            return match["words"].strip(), [_call(c) for c in many]
    form = next((mark for mark in _UNREAD if mark in text), None)
    if form is not None:
        raise DataError(f"a tool call written as {form} is not read; give it in tool_calls")
    return text, []


def _marked(name: str, inside: str) -> tuple[str, Any]:
    """A call in tags: its arguments are JSON, or a tag each."""
    if _PARAMETER.sub("", inside).strip():
        return _call({"name": name, "arguments": _json(inside, f'"{name}"')})
    return _call({"name": name, "arguments": dict(_PARAMETER.findall(inside))})


def _is_use(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("tool_use", "server_tool_use", "function_call")


def as_code(calls: Sequence[tuple[str, Any]]) -> str:
    """The calls as Python, one a line: an interpreter's is its code, any other one's result is printed."""
    return "\n".join(_line(name, arguments) for name, arguments in calls)


def answering(text: str) -> str:
    """The code that answers with ``text``."""
    return f"{FINAL_ANSWER}({text!r})"


def _literal(text: str) -> list[Any]:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as e:
        raise DataError(f"the calls in {' '.join(text[:60].split())!r} cannot be read") from e
    return found if isinstance(found, list) else [found]


def _json(text: str, where: str) -> Any:
    try:
        found = unpacked(text)  # JSON, or what Python printed
        return json.loads(text) if found is text else found
    except (ValueError, RecursionError) as e:
        shown = " ".join(text[:60].split())
        raise DataError(f"the call in {where} is not JSON ({shown!r})") from e


def _call(given: Any) -> tuple[str, Any]:
    inner = given.get("function", given) if isinstance(given, Mapping) else None
    name = inner.get("name", inner.get("tool_name")) if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(name, str) or not name:
        kind = f"a call of type {given['type']!r}" if isinstance(given, Mapping) and "type" in given else "a call"
        raise DataError(f"{kind} names no function")
    arguments: Any = next(
        (inner[k] for k in ("arguments", "parameters", "args", "input") if inner.get(k) is not None), {}
    )
    if isinstance(arguments, str) and not (name in _INTERPRETERS and not arguments.lstrip().startswith("{")):
        arguments = _json(arguments or "{}", f'"{name}"')
    if not isinstance(arguments, Mapping | str):
        raise DataError(f'the arguments of "{name}" are no object')
    if isinstance(arguments, Mapping):  # tables fill in what another call has with nothing
        arguments = {k: v for k, v in arguments.items() if v is not None}
    written = re.sub(r"[-.]", "_", name)  # as names of MCP servers' tools are written
    if not _is_name(written):
        raise DataError(f'the call of "{name}" cannot be written as Python')
    return written, arguments


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _line(name: str, arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments.strip()
    code: str | None = next((arguments[k] for k in _CODE if isinstance(arguments.get(k), str)), None)
    if name in _INTERPRETERS and code is not None:
        return code.strip()
    if not all(_is_name(str(k)) for k in arguments):
        raise DataError(f'the arguments of "{name}" have names that Python has not')
    if name == FINAL_ANSWER and len(arguments) == 1:
        return f"{name}({next(iter(arguments.values()))!r})"
    call = f"{name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"
    return call if name == FINAL_ANSWER else f"print({call})"


# --- how an episode ended ---------------------------------------------------------------------------------------------


_TOLD = re.compile(r"(?:final answer|last output from code snippet)\s*:\s*(\S.*)\Z", re.IGNORECASE | re.DOTALL)
_OPERATIONS: Mapping[type[ast.operator] | type[ast.unaryop], Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_MOST = 10**30


class _Unknown(Exception):
    """A value that only running the code would tell."""


_NOT_KNOWN = (_Unknown, ArithmeticError, TypeError, ValueError, RecursionError)


def final_calls(tree: ast.Module) -> list[ast.Call]:
    """The calls of ``final_answer`` in code."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == FINAL_ANSWER
    ]


def is_answered(steps: Sequence[Step]) -> bool:
    """Whether the last step answers, whatever the answer is."""
    tree = parsed(steps[-1].code or "") if steps else None
    failed = (StepStatus.EXCEPTION, StepStatus.SYNTAX)
    return tree is not None and bool(final_calls(tree)) and steps[-1].status not in failed


def answer_of(steps: Sequence[Step], environment: Environment | None) -> tuple[str | None, bool]:
    """What the last step answers, and whether its code was run to know it; None where that cannot be known.

    Looked for in the code itself (values, and arithmetic on them), in what was observed after it, and, with an
    ``environment``, by running the steps. Code that needs tools fails there, and its answer stays unknown.
    """
    tree = parsed(steps[-1].code or "")
    known = _assigned(steps)
    for call in final_calls(tree) if tree is not None else []:
        argument = call.args[0] if call.args else next((k.value for k in call.keywords), None)
        try:
            return _text(_value(argument, known)), False
        except _NOT_KNOWN:
            continue
    observed = steps[-1].observation
    told = _TOLD.search(observed.content) if observed is not None else None
    if told is not None:
        return told[1].strip(), False
    return (_run(steps, environment), True) if environment is not None else (None, False)


def _run(steps: Sequence[Step], environment: Environment) -> str | None:
    try:
        workspace = environment.open()
    except (InfrastructureError, UserError):  # no sandbox here: not known
        return None
    try:
        for step in steps:
            result = workspace.run(step.code) if step.code else None
            if result is not None and result.status is StepStatus.FINAL:
                return result.answer if step is steps[-1] else None
    except InfrastructureError:
        return None
    finally:
        workspace.close()
    return None


def _text(value: Any) -> str:
    return as_text(value) if isinstance(value, float) else str(value)


def _assigned(steps: Sequence[Step]) -> dict[str, Any]:
    """The names to which straight-line code gave a number or a text. A name that anything else binds is not known."""
    known: dict[str, Any] = {}
    for step in steps:
        tree = parsed(step.code or "")
        for statement in tree.body if tree is not None else []:
            value = _assigned_value(statement, known) if step.status is not StepStatus.EXCEPTION else None
            for name in _bound(statement):
                known.pop(name, None)
                if isinstance(value, str | int | float):
                    known[name] = value
    return known


def _bound(statement: ast.stmt) -> set[str]:
    """Every name that a statement, or anything within it, binds."""
    out: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            out.add(node.id)
        elif isinstance(node, ast.alias):
            out.add(node.asname or node.name)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            out.add(node.name)
    return out


def _assigned_value(statement: ast.stmt, known: Mapping[str, Any]) -> Any:
    if not isinstance(statement, ast.Assign) or not all(isinstance(t, ast.Name) for t in statement.targets):
        return None
    try:
        return _value(statement.value, known)
    except _NOT_KNOWN:
        return None


def _value(node: ast.expr | None, known: Mapping[str, Any]) -> Any:
    """The value of literals, known names and bounded arithmetic. Raises _Unknown for anything else."""
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.BinOp | ast.UnaryOp) and type(node.op) in _OPERATIONS:
        sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.operand]
        values = [_value(side, known) for side in sides]
        if not all(isinstance(v, int | float) and abs(v) < _MOST for v in values):
            raise _Unknown
        return _OPERATIONS[type(node.op)](*values)
    if node is None:
        raise _Unknown
    return ast.literal_eval(node)
