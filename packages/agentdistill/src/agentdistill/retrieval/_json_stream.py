"""The items of one JSON list or object, read a piece at a time: a corpus of gigabytes never lies in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from agentdistill.errors import DataError

CHUNK = 1 << 20
"""Characters read at a time."""
_SPACE = re.compile(r"[ \t\n\r]*")


def items(path: Path) -> Iterator[tuple[str | None, Any]]:
    """``(None, value)`` for each value of a list, ``(key, value)`` for each of an object, in order.

    Raises DataError naming file and line for what is not JSON, and for a file that holds something else.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _items(_Text(path, file))
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: not UTF-8 text ({e.reason})") from e


def _items(text: _Text) -> Iterator[tuple[str | None, Any]]:
    opening = text.peek()
    if opening not in ("[", "{"):
        kind = type(text.value()).__name__
        raise DataError(f"{text.path}: expected a list of passages or an object of titles, got {kind}")
    closing = "]" if opening == "[" else "}"
    text.take(opening)
    is_first = True
    while text.peek() != closing:
        if not is_first:
            text.take(",")
        is_first = False
        key = None
        if opening == "{":
            key = text.key()
            text.take(":")
        text.peek()
        yield key, text.value()
    text.take(closing)
    if text.peek():
        raise text.error("Extra data")


class _Text:
    """What is left of a file to read. ``at`` is where reading stands in ``_held``, the piece that is in memory."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self._file = file
        self._held, self._at = "", 0
        self._n_lines = 0  # in front of what is held
        self._decoder = json.JSONDecoder()

    def error(self, why: str, line: int | None = None) -> DataError:
        line = self._n_lines + (line or self._held.count("\n", 0, self._at) + 1)
        return DataError(f"{self.path}:{line}: not JSON ({why})")

    def _more(self) -> bool:
        """Hold at least twice as much of what is not read yet; False at the end of the file."""
        chunk = self._file.read(max(CHUNK, len(self._held) - self._at))
        if not chunk:
            return False
        self._n_lines += self._held.count("\n", 0, self._at)
        self._held, self._at = self._held[self._at :] + chunk, 0
        return True

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self._at += len(_SPACE.match(self._held, self._at)[0])  # type: ignore[index]  # it matches anywhere
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        """Go past ``character``, which has to come next."""
        if self.peek() != character:
            raise self.error(f"Expecting '{character}'")
        self._at += 1

    def key(self) -> str:
        """Go past a string."""
        if self.peek() != '"':
            raise self.error("Expecting property name enclosed in double quotes")
        return str(self.value())

    def value(self) -> Any:
        """Go past one value, which begins right here."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as e:
                if self._more():
                    continue
                raise self.error(e.msg, e.lineno) from e
            except (RecursionError, ValueError) as e:
                raise self.error("nested too deeply" if isinstance(e, RecursionError) else "a number too long") from e
            if isinstance(value, int | float) and len(self._held) - end < 3 and self._more():
                continue  # a number may go on: "1", "1e", "1e-", "1e-5"
            self._at = end
            return value
