"""Cells as text: answers and ids arrive as strings, numbers, lists or nothing."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

from agentdistill.problems._kind import answer_kind as answer_kind


def as_text(value: Any) -> str:
    """A scalar as the text it stands for; ``""`` for nothing, and for what is not a scalar.

    Floats keep their value exactly: whole ones lose the ``.0``, small ones are written out. Dates and times, as Parquet
    and hub datasets hold them, are written as ISO 8601 has them, a date without a time of day as a date.

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
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time() and value.tzinfo is None
        return value.date().isoformat() if midnight else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
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
