"""Values that Python printed into a cell of a CSV file: lists, dicts, and numpy's arrays as pandas writes them.

pandas writes a column of nested arrays as ``{'title': array(['A', 'B'], dtype=object), ...}``, over many lines. Such a
cell is read token by token and never run. ``str`` of an array has no commas between its items; that is read too, where
Python would join two strings beside each other into one.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<call>(?:array|(?:np|numpy)\.\w+)\s*\()
      | (?P<text>[rbuRBU]?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))
      | (?P<keyword>,\s*(?:dtype|shape)\s*=\s*(?:'[^']*'|\([^()]*\)|<[^<>]*>|[\w.]+))
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
      | (?P<name>True|False|None|null|true|false|nan)\b
      | (?P<mark>[\[\](){}:,]|\.\.\.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NAMES = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None, "nan": None}
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_MAX_DEPTH = 20


def printed(text: str) -> Any:
    """The value that a cell shows: lists, dicts, texts, numbers, true, false or None; arrays and tuples as lists.

    Raises ValueError saying at which character it is something else. A large array that numpy shortened to ``...`` is
    refused: what it left out is lost.

    >>> printed("{'title': array(['A', \\"B's\\"], dtype=object), 'sent_id': array([0, 2], dtype=int32)}")
    {'title': ['A', "B's"], 'sent_id': [0, 2]}
    """
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    cell = _Cell(text)
    value = cell.value(0)
    if cell.kind:
        raise cell.error("the end")
    return value


class _Cell:
    """The tokens of a cell. ``kind`` and ``said`` are the next one's, empty at the end."""

    def __init__(self, text: str) -> None:
        self._text, self._end = text, 0
        self._tokens = self._scan(text)
        self.kind = self.said = ""
        self.take()

    def _scan(self, text: str) -> Iterator[tuple[str, str, int]]:
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.error("a value", at)
            yield str(match.lastgroup), match[str(match.lastgroup)], match.start(str(match.lastgroup))
            at = match.end()

    def error(self, wanted: str, at: int | None = None) -> ValueError:
        at = self._at if at is None else at
        shown = " ".join(self._text[at : at + 20].split()) or "the end"
        if shown.startswith("..."):
            return ValueError(f"numpy left out values at character {at} (...); write the file anew, in full")
        return ValueError(f"expected {wanted} at character {at}, found {shown}")

    def take(self) -> str:
        """Go past the next token and return it."""
        taken = self.said
        self.kind, self.said, self._at = next(self._tokens, ("", "", len(self._text)))
        return taken

    def value(self, depth: int) -> Any:
        """Go past one value."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested more than {_MAX_DEPTH} deep")
        if self.kind == "call":
            self.take()
            value = self.value(depth + 1)
            while self.kind == "keyword":
                self.take()
            self._pass(")")
            return value
        if self.said in _CLOSING and self.kind == "mark":
            opening = self.take()
            return self._dict(depth) if opening == "{" else self._items(_CLOSING[opening], depth)
        if self.kind == "name":
            return _NAMES[self.take()]
        if self.kind == "number":
            number = self.take()
            return int(number) if number.lstrip("+-").isdigit() else float(number)
        if self.kind != "text":
            raise self.error("a value")
        try:
            return ast.literal_eval(self.take())
        except SyntaxError as e:  # an escape that is none, such as \x without digits
            raise ValueError(f"a text is not as Python writes it ({e.msg})") from e

    def _items(self, closing: str, depth: int) -> list[Any]:
        items = []
        while self.said != closing or self.kind != "mark":
            items.append(self.value(depth + 1))
            if self.kind == "mark" and self.said == ",":
                self.take()
        self.take()
        return items

    def _dict(self, depth: int) -> dict[Any, Any]:
        out = {}
        while self.said != "}" or self.kind != "mark":
            key = self.value(depth + 1)
            if isinstance(key, list | dict):
                raise ValueError("a list cannot be a key")
            self._pass(":")
            out[key] = self.value(depth + 1)
            if self.kind == "mark" and self.said == ",":
                self.take()
        self.take()
        return out

    def _pass(self, mark: str) -> None:
        if self.kind != "mark" or self.said != mark:
            raise self.error(f'"{mark}"')
        self.take()
