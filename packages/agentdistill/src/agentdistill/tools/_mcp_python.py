"""A tool of an MCP server in Python's terms: its schema as a signature, what is said of it as a docstring, and what a
call of it gives as a value. Nothing here is connected to anything.
"""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
from collections.abc import Mapping, Sequence
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
    """The properties of an input schema, those needed first, as parameters; the order is otherwise the schema's.

    Where the schema says that it takes other keys too, the last parameter takes them (``**more``).
    """
    whole = _whole(schema, schema)
    properties, needed = whole.get("properties") or {}, set(whole.get("required") or ())
    out: list[Parameter] = []
    taken: set[str] = set()
    for name in sorted(properties, key=lambda n: n not in needed):
        about = properties[name] if isinstance(properties[name], Mapping) else {}
        out.append(_parameter(name, _free(identifier(name), taken), about, name in needed, schema))
    if whole.get("additionalProperties"):
        python = _free("more", taken)
        out.append(Parameter("", inspect.Parameter(python, inspect.Parameter.VAR_KEYWORD), f"**{python}", "", False))
    return out


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _parameter(name: str, python: str, about: Mapping[str, Any], needed: bool, root: Mapping[str, Any]) -> Parameter:
    kind = python_type(about, root)
    text = str(about.get("description") or "").strip()
    if needed:
        parameter = inspect.Parameter(python, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return Parameter(name, parameter, f"{python}: {kind}", text, False)
    default = about.get("default")
    parameter = inspect.Parameter(python, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
    if default is None and kind != "Any" and "None" not in kind.split(" | "):
        kind += " | None"
    shown = repr(default) if len(repr(default)) <= _LONGEST_DEFAULT else "..."
    return Parameter(name, parameter, f"{python}: {kind} = {shown}", text, default is None)


# --- schemas ----------------------------------------------------------------------------------------------------------

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict"}
# Characters of an object's keys, or of an enumeration's values; beyond, their type alone is told: a model reads every
# signature in every prompt.
_LONGEST = 300
_LONGEST_DEFAULT = 100


def python_type(schema: Any, root: Mapping[str, Any] | None = None) -> str:
    """A JSON schema as a Python type hint; ``Any`` for what has no plain one. An object is told by its keys.

    >>> python_type({"type": "array", "items": {"type": "integer"}})
    'list[int]'
    >>> python_type({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]})
    "Literal['a', 'b'] | None"
    >>> python_type({"properties": {"name": {"type": "string"}, "n": {"type": "integer"}}, "required": ["name"]})
    '{name: str, n: NotRequired[int]}'
    """
    return _hint(schema, root or {}, ())


def _hint(schema: Any, root: Mapping[str, Any], within: tuple[str, ...]) -> str:
    """``within`` are the references that are being followed, at any depth: one of them again is told by its type."""
    if not isinstance(schema, Mapping) or len(within) > 8:
        return "Any"
    ref = schema.get("$ref")
    if isinstance(ref, str):
        if ref in within:
            return "dict" if _whole(_resolved(ref, root), root).get("properties") else "Any"
        within = (*within, ref)
    whole = _whole(schema, root, variants=False)
    if whole.pop("nullable", False) is True:  # as OpenAPI says it
        return " | ".join(dict.fromkeys([_hint(whole, root, within), "None"]))
    if isinstance(whole.get("enum"), list) and whole["enum"]:
        values = f"Literal[{', '.join(map(repr, whole['enum']))}]"
        return values if len(values) <= _LONGEST else " | ".join(dict.fromkeys(_named_type(v) for v in whole["enum"]))
    if "const" in whole:
        return f"Literal[{whole['const']!r}]"
    kinds = whole.get("anyOf") or whole.get("oneOf")
    if isinstance(kinds, list) and kinds:
        return " | ".join(dict.fromkeys(_hint(k, root, within) for k in kinds))
    kind = whole.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(_hint({**whole, "type": k}, root, within) for k in kind)) or "Any"
    if kind == "array":
        inner = _hint(whole.get("items"), root, within)
        return "list" if inner == "Any" else f"list[{inner}]"
    if kind in ("object", None) and (whole.get("properties") or kind == "object"):
        return _keys(whole, root, within)
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"


def _named_type(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _keys(schema: Mapping[str, Any], root: Mapping[str, Any], within: tuple[str, ...]) -> str:
    properties, needed = schema.get("properties"), schema.get("required") or ()
    if not isinstance(properties, Mapping) or not properties:
        values = _hint(schema.get("additionalProperties"), root, within)
        return "dict" if values == "Any" else f"dict[str, {values}]"
    told = []
    for name, about in properties.items():
        hint = _hint(about, root, (*within, "")) if len(within) < 8 else "Any"
        key = name if name.isidentifier() and not keyword.iskeyword(name) else repr(name)
        told.append(f"{key}: {hint if name in needed else f'NotRequired[{hint}]'}")
    text = "{" + ", ".join(told) + "}"
    return text if len(text) <= _LONGEST else "dict"


def _whole(schema: Any, root: Mapping[str, Any], variants: bool = True, depth: int = 0) -> dict[str, Any]:
    """A schema with what it refers to and all of ``allOf`` in it.

    With ``variants``, the properties of its alternatives are there too, needed where each of them needs them.
    """
    if not isinstance(schema, Mapping) or depth > 8:
        return {}
    parts = [_resolved(schema["$ref"], root)] if isinstance(schema.get("$ref"), str) else []
    parts += schema["allOf"] if isinstance(schema.get("allOf"), list) else []
    own = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
    out = _joined([*(_whole(p, root, variants, depth + 1) for p in parts), own])
    for case in ("then", "else") if variants else ():
        asked = _whole(out.get(case), root, True, depth + 1).get("properties")
        out = _joined([{"properties": asked}, out])
    kinds = out.get("anyOf") or out.get("oneOf")
    if variants and isinstance(kinds, list) and kinds:
        found = [_whole(k, root, True, depth + 1) for k in kinds]
        if all(f.get("properties") for f in found):
            shared = set.intersection(*(set(f.get("required") or ()) for f in found))
            out = _joined(
                [{**f, "required": [n for n in f.get("required") or () if n in shared]} for f in found] + [out]
            )
    return out


def _joined(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Schemas that all hold, as one: later ones win, properties and what is required add up."""
    out: dict[str, Any] = {}
    for schema in schemas:
        properties, needed = schema.get("properties"), schema.get("required")
        both = {**(out.get("properties") or {}), **(properties if isinstance(properties, Mapping) else {})}
        required = dict.fromkeys([*(out.get("required") or ()), *(needed if isinstance(needed, list) else ())])
        out |= schema
        out |= ({"properties": both} if both else {}) | ({"required": list(required)} if required else {})
    return out


def _resolved(ref: str, root: Mapping[str, Any]) -> Any:
    """What a reference within the schema points to; nothing is fetched."""
    found: Any = root
    for part in ref.removeprefix("#").strip("/").split("/") if ref != "#" else ():
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


# --- names, results ---------------------------------------------------------------------------------------------------


def tool_name(name: str) -> str:
    """A tool's name as Python can write it. No builtin: what calls ``print`` or ``sum`` means Python's own."""
    out = identifier(name)
    return f"{out}_" if hasattr(builtins, out) else out


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
    return python_type(schema["properties"]["result"], schema) if _is_wrapped(schema) else python_type(schema, schema)


def _is_wrapped(schema: Mapping[str, Any] | None) -> bool:
    """Whether a plain value was put into an object only because results had to be objects."""
    return schema is not None and set(schema.get("properties") or {}) == {"result"}


def value_of(result: Any, schema: Mapping[str, Any] | None) -> Any:
    """What a call gives: its structured result, out of the object that its schema puts it into, else its text."""
    structured = result.structured_content
    if structured is None:
        return text_of(result)
    return structured["result"] if _is_wrapped(schema) and "result" in structured else structured


def text_of(result: Any) -> str:
    """The text of a result; what is not text is named, with its address where it has one."""
    return "\n".join(map(_block, result.content))


def _block(block: Any) -> str:
    inner = getattr(block, "resource", block)
    text = getattr(inner, "text", None)
    if text is not None:
        return str(text)
    facts = [getattr(inner, "uri", None), getattr(inner, "mime_type", None)]
    return f"[{block.type}: {', '.join(str(f) for f in facts if f) or 'not text'}]"
