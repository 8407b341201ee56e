"""Tool calls as code: what other agents say in JSON, in the form in which ours act."""

from __future__ import annotations

import ast
import contextlib
import json
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentdistill.errors import DataError
from agentdistill.exchange._content import unpacked
from agentdistill.parse import parse_action
from agentdistill.tools import FINAL_ANSWER

SMOLAGENTS = "Calling tools:"
_SAID = re.compile(
    r"(?P<words>.*?)(?:Action:|\[TOOL_CALLS\]|<\|python_tag\|>)?\s*(?:```(?:json)?\s*)?(?P<calls>[\[{].*[\]}])[\s`]*",
    re.DOTALL,
)
"""A text that ends in calls as JSON, as Llama's, Mistral's and older smolagents' templates write them."""
_ARGUMENTS = {"arguments", "parameters"}
_UNREAD = ("<function=", "<invoke name=", "<|tool_call", "<｜tool", "[TOOL_CALLS]", "<|python_tag|>")
_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
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

    Calls stand in ``tool_calls`` or ``function_call``, in parts of the content, in ``<tool_call>`` tags, or in the
    text, where ``role`` says that the message is a call or smolagents wrote it. Raises DataError naming a call that
    cannot be read.
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
    if tagged := _TAGGED.findall(text):
        return _TAGGED.sub("", text).strip(), [_call(_json(t, "<tool_call>")) for t in tagged]
    return _said(text) if parse_action(text) is None or text.startswith("<|python_tag|>") else (text, [])


def _said(text: str) -> tuple[str, list[tuple[str, Any]]]:
    """Calls that a text ends in as JSON. Raises DataError for calls in a form that is not read here."""
    match = _SAID.fullmatch(text) if text.rstrip("`\n ")[-1:] in ("]", "}") else None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(match["calls"]) if match else []
        many = found if isinstance(found, list) else [found]
        if match and many and all(isinstance(c, Mapping) and c.keys() & _ARGUMENTS and "name" in c for c in many):
            return match["words"].strip(), [_call(c) for c in many]
    form = next((mark for mark in _UNREAD if mark in text), None)
    if form is not None:
        raise DataError(f"a tool call written as {form} is not read; give it in tool_calls")
    return text, []


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
