"""A tool of an MCP server in Python's terms: its schema as a signature, what is said of it as a docstring, and what a
call of it gives as a value. Nothing here is connected to anything.
"""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentdistill.tools import FINAL_ANSWER


@dataclass(frozen=True, slots=True)
class Parameter:
    """One property of a tool's input: its own name, and how Python writes it."""

    name: str
    python: inspect.Parameter
    shown: str
    about: str
    may_be_left_out: bool


def parameters_of(schema: Mapping[str, Any]) -> list[Parameter]:
    """The properties of an input schema, those needed first, as parameters; the order is otherwise the schema's."""
    properties: Mapping[str, Any] = schema.get("properties") or {}
    needed = set(schema.get("required") or ())
    out: list[Parameter] = []
    taken: set[str] = set()
    for name in sorted(properties, key=lambda n: n not in needed):
        about = properties[name] if isinstance(properties[name], Mapping) else {}
        python = identifier(name)
        while python in taken:
            python += "_"
        taken.add(python)
        out.append(_parameter(name, python, about, name in needed, schema))
    return out


def _parameter(name: str, python: str, about: Mapping[str, Any], needed: bool, root: Mapping[str, Any]) -> Parameter:
    kind = python_type(about, root)
    text = str(about.get("description") or "").strip()
    if needed:
        parameter = inspect.Parameter(python, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return Parameter(name, parameter, f"{python}: {kind}", text, False)
    default = about.get("default")
    parameter = inspect.Parameter(python, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
    if default is None and "None" not in kind:
        kind += " | None"
    return Parameter(name, parameter, f"{python}: {kind} = {default!r}", text, default is None)


_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict"}


def python_type(schema: Any, root: Mapping[str, Any] | None = None) -> str:
    """A JSON schema as a Python type hint; ``Any`` for what has no plain one.

    >>> python_type({"type": "array", "items": {"type": "integer"}})
    'list[int]'
    >>> python_type({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]})
    "Literal['a', 'b'] | None"
    """
    return _hint(schema, root or {}, 0)


def _hint(schema: Any, root: Mapping[str, Any], depth: int) -> str:
    if not isinstance(schema, Mapping) or depth > 8:
        return "Any"
    if isinstance(schema.get("$ref"), str):
        return _hint(_resolved(schema["$ref"], root), root, depth + 1)
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    kinds = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(kinds, list):
        return " | ".join(dict.fromkeys(_hint(k, root, depth + 1) for k in kinds))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(_hint({**schema, "type": k}, root, depth + 1) for k in kind))
    if kind == "array":
        inner = _hint(schema.get("items"), root, depth + 1)
        return "list" if inner == "Any" else f"list[{inner}]"
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"


def _resolved(ref: str, root: Mapping[str, Any]) -> Any:
    """What a reference within the schema points to; nothing is fetched."""
    found: Any = root
    for part in ref.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def identifier(name: str) -> str:
    """A tool's or a property's name as Python can write it."""
    out = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    out = f"_{out}" if out[0].isdigit() else out
    return f"{out}_" if keyword.iskeyword(out) or out == FINAL_ANSWER else out


def doc_of(offered: Any, parameters: list[Parameter]) -> str:
    """What the model is told: the tool's description, then a line for each parameter that has one."""
    about = (offered.description or offered.title or offered.name).strip().replace('"""', "'''")
    lines = [f"{p.python.name}: {' '.join(p.about.split())}" for p in parameters if p.about]
    told = [line for line in lines if line not in about]
    return "\n".join([about, "", *told]) if told else about


def result_type(schema: Mapping[str, Any] | None) -> str:
    """The hint of what a call gives: its structured result's, where there is a schema of one."""
    if schema is None:
        return "str"
    return python_type(schema["properties"]["result"], schema) if _is_wrapped(schema) else python_type(schema)


def _is_wrapped(schema: Mapping[str, Any]) -> bool:
    """Whether a plain value was put into an object only because results had to be objects."""
    return set(schema.get("properties") or {}) == {"result"}


def value_of(result: Any) -> Any:
    """What a call gives: its structured result, out of the object it was put into, else its text."""
    structured = result.structured_content
    if isinstance(structured, dict) and set(structured) == {"result"}:
        return structured["result"]
    return text_of(result) if structured is None else structured


def text_of(result: Any) -> str:
    """The text of a result; what is not text is named."""
    parts = []
    for block in result.content:
        text = getattr(block, "text", None)
        if text is None:
            resource = getattr(block, "resource", None)
            text = getattr(resource, "text", None)
        parts.append(text if text is not None else f"[{block.type}: {getattr(block, 'mime_type', None) or 'not text'}]")
    return "\n".join(parts)
