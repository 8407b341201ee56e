"""From a TOML table to a settings dataclass, every key and type checked, every error with its line."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin

from agentdistill.errors import RecipeError
from agentdistill.registry import named_parameters, takes_any_name, unknown

T = TypeVar("T")
_TYPE_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a table"}


_OTHER_NAMES = {"students": "student", "train_cot": "train.cot"}
"""Tables that may be written in another way than the settings name them."""
_RENAMED = {"style": "prompt"}
"""Former keys, and what they are called now."""
_LISTS = ("students", "verify.others", "verify.verifiers", "verify.roles")
"""Tables of which there may be several."""


class RecipeText:
    """A recipe's text, to say on which line something stands.

    A table is called by its header; ``students#1`` is the second of several ``[[students]]``. ``blamed`` is what errors
    name instead of file and line.
    """

    def __init__(self, path: Path, text: str, blamed: str = "") -> None:
        self.path, self._lines, self._blamed = path, text.splitlines(), blamed

    def error(self, message: str, table: str = "", key: str = "") -> RecipeError:
        """The error with file and line: the line of ``key`` in ``table``, else the table's, else none."""
        if self._blamed:
            return RecipeError(f"{self._blamed}: {message}")
        line = self._line(table, key)
        return RecipeError(f"{self.path}{f':{line}' if line else ''}: {message}")

    def shown(self, table: str) -> str:
        """The table's header as the recipe writes it."""
        name = _header(table)
        other = _OTHER_NAMES.get(name, name)
        name = other if any(h == other for _, h in self._headers()) else name
        return f"[[{name}]]" if re.search(r"#\d+$", table) and name in _LISTS else f"[{name}]"

    def single(self) -> RecipeError | None:
        """The error for a table written with single brackets of which there may be several, where there is one: two of
        them are no TOML."""
        for n, line in enumerate(self._lines, 1):
            match = re.match(r"\s*\[\s*([\w.]+)\s*\]", line)
            if match and match[1] in _LISTS:
                return RecipeError(f"{self.path}:{n}: {_several(match[1])}")
        return None

    def _headers(self) -> list[tuple[int, str]]:
        found = ((n, re.match(r"\s*\[+\s*([\w.\-\"]+)\s*\]+", line)) for n, line in enumerate(self._lines, 1))
        return [(n, m.group(1).replace('"', "")) for n, m in found if m]

    def _line(self, table: str, key: str) -> int | None:
        name, (place, *_) = _header(table), [*re.findall(r"#(\d+)", table), "0"]
        headers = self._headers()
        if not table:
            own = [n for n, header in headers if header.partition(".")[0] == key]
            return self._key_line(0, headers, key) or next(iter(own), None)
        own = [n for n, header in headers if header in (name, _OTHER_NAMES.get(name))]
        if not own:
            return None
        header = own[min(int(place), len(own) - 1)]
        return self._key_line(header, headers, key) or header

    def _key_line(self, header: int, headers: list[tuple[int, str]], key: str) -> int | None:
        """The line between a header and the next one that sets ``key``."""
        end = min((n for n, _ in headers if n > header), default=len(self._lines) + 1)
        wanted = re.compile(rf"\s*\"?{re.escape(key)}\"?\s*=")
        return next((n for n in range(header + 1, end) if key and wanted.match(self._lines[n - 1])), None)


def build(cls: type[T], data: Any, source: RecipeText, table: str) -> T:
    """A settings dataclass out of a TOML table, every key and type checked."""
    if not isinstance(data, dict):
        raise _no_table(data, source, table)
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in data.items():
        if key not in hints:
            if _RENAMED.get(key) in hints:
                raise source.error(f'"{key}" is now called "{_RENAMED[key]}"', table, key)
            raise source.error(unknown("key", key, hints, source.shown(table) if table else ""), table, key)
        values[key] = _value(hints[key], value, source, table, key)
    for f in dataclasses.fields(cast(Any, cls)):
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise source.error(f'{source.shown(table)} needs "{f.name}"', table)
    try:
        return cls(**values)
    except RecipeError as e:
        named = re.match(r"\w+\.(\w+)", str(e))
        raise source.error(str(e), table, named.group(1) if named else "") from e


def _value(hint: Any, value: Any, source: RecipeText, table: str, key: str) -> Any:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        hint = _member(hint, value)
        origin = get_origin(hint)
    inner_table = f"{table}.{key}" if table else key
    if dataclasses.is_dataclass(hint):
        return build(cast("type[Any]", hint), value, source, inner_table)
    if origin is tuple:
        if isinstance(value, dict) and dataclasses.is_dataclass(get_args(hint)[0]):
            raise source.error(_several(_header(inner_table)), inner_table)
        if not isinstance(value, list):
            raise source.error(f"{key} has to be a list", table, key)
        item = get_args(hint)[0]
        if dataclasses.is_dataclass(item):
            return tuple(build(cast("type[Any]", item), v, source, f"{inner_table}#{i}") for i, v in enumerate(value))
        return tuple(_value(item, v, source, table, key) for v in value)
    if origin is typing.Literal:
        if value not in get_args(hint):
            raise source.error(unknown(key, value, map(str, get_args(hint))), table, key)
        return value
    if origin is dict and isinstance(value, dict) and get_args(hint)[1] is not Any:
        return {k: _value(get_args(hint)[1], v, source, inner_table, k) for k, v in value.items()}
    wanted = dict if origin is dict else hint
    if wanted is dict and isinstance(value, list):
        raise _no_table(value, source, inner_table)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise source.error(f"{key} has to be {_TYPE_NAMES.get(wanted, wanted.__name__)}, got {value!r}", table, key)
    return value


def _no_table(value: Any, source: RecipeText, table: str) -> RecipeError:
    name = _header(table)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return source.error(f"[[{name}]] has to be written [{name}]: there can be only one", table)
    *owner, key = table.split(".")
    return source.error(f"{key} has to be a table, got {value!r}", ".".join(owner), key)


def _several(name: str) -> str:
    return f"[{name}] has to be written [[{name}]]: there may be several"


def _header(table: str) -> str:
    return re.sub(r"#\d+", "", table)


def _member(hint: Any, value: Any) -> Any:
    """Which type of a union a value is read as: one of ``text | list of texts`` by whether it is a list."""
    kinds = [a for a in get_args(hint) if a is not type(None)]
    return next((a for a in kinds if (get_origin(a) is tuple) == isinstance(value, list)), kinds[0])


def check_call(function: Callable[..., object], given: dict[str, Any], source: RecipeText, table: str) -> None:
    """Raise RecipeError unless a table fits a function's parameters: their names (any, where it takes ``**settings``),
    plain types, and those needed."""
    parameters = named_parameters(function)
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    for key, value in given.items():
        if key not in parameters and not takes_any_name(function):
            raise source.error(unknown("key", key, [*parameters, "model"], source.shown(table)), table, key)
        if key in parameters and _is_plain(hints.get(key)):
            _value(hints[key], value, source, table, key)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in given:
            raise source.error(f'{source.shown(table)} needs "{name}"', table)


A_NAME = 'has to be letters, digits, ".", "-" or "_", the first a letter or digit'


def is_name(text: str) -> bool:
    """Whether a run, a student or a verifier may be called so: names become folders."""
    return re.fullmatch(r"\w[\w.\-]*", text) is not None and ".old-" not in text


def check_name(name: str, source: RecipeText, table: str) -> None:
    """Raise RecipeError, with the line of ``name`` in the table, unless it :func:`is_name`."""
    if not is_name(name):
        raise source.error(f'name "{name}" {A_NAME}', table, "name")


def _is_plain(hint: Any) -> bool:
    """Whether a hint is str, int, float or bool, or one of them or None."""
    kinds = [a for a in get_args(hint) if a is not type(None)] if isinstance(hint, types.UnionType) else [hint]
    return len(kinds) == 1 and kinds[0] in (str, int, float, bool)
