"""What the cells of others' rows hold: conversations as JSON in a text, words in parts."""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentdistill.errors import DataError


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
