"""Cells as text: answers and ids arrive as strings, numbers, lists or nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from agentdistill.grade._dates import same_day
from agentdistill.grade._times import same_time
from agentdistill.types import Kind


def as_text(value: Any) -> str:
    """A scalar as the text it stands for; ``""`` for nothing, and for what is not a scalar.

    Floats keep their value exactly: whole ones lose the ``.0``, small ones are written out.

    >>> as_text(13138980.0), as_text(3.509e-07), as_text(True)
    ('13138980', '0.0000003509', 'yes')
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        if value == int(value) and abs(value) < 2**53:
            return str(int(value))
        return f"{Decimal(repr(value)):f}" if 1e-20 < abs(value) < 1e20 else repr(value)
    item = getattr(value, "item", None)  # numpy scalars, from Parquet
    return as_text(item()) if callable(item) and getattr(value, "shape", None) == () else ""


def as_texts(value: Any) -> list[str] | None:
    """A cell of one or several answers as their texts, empty ones left out; None where it is no text at all."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        texts = [as_text(v) for v in value]
    elif isinstance(value, dict):
        return None
    else:
        texts = [as_text(value)]
    return [t for t in texts if t]


_MATH = re.compile(
    r"\\[a-zA-Z]+|[-+−]?[$€£]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?\s*\\?%?|.*[\^=].*|[-+\d\s()./*a-z]{1,12}", re.I
)
_WORD = re.compile(r"(?<!\\)\b[A-Za-z]{3,}")


def answer_kind(answers: Sequence[str]) -> Kind:
    """``math`` where nearly all answers look like numbers or formulas, and not like dates or times; else ``short``."""
    if not answers:
        return "short"
    looks = sum(_looks_mathematical(a) for a in answers)
    return "math" if looks >= 0.9 * len(answers) else "short"


def _looks_mathematical(answer: str) -> bool:
    if "\\" in answer:
        return True
    if same_time(answer, answer) or same_day(answer, answer):
        return False
    return not _WORD.search(answer) and (any(c.isdigit() for c in answer) or bool(_MATH.fullmatch(answer)))
