"""What is right, in the forms in which datasets say it: worked solutions, lists, objects with aliases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agentdistill.parse import extract_answer, last_boxed
from agentdistill.problems._value import as_texts
from agentdistill.types import Problem

_MARKED = re.compile(r"(?:^|\n)[ \t]*####[ \t]*(\S[^\n]*?)[ \t]*(?:\n\s*(?:the )?(?:final )?answer[^\n]*)?\s*\Z", re.I)
_LONG_CHARS = 300
_SHOWN_CHARS = 60


def final_answer_of(text: str) -> str:
    """The answer that a worked solution ends in: after ``####``, in its last ``\\boxed{}``, or, where the text has
    several lines, after "The answer is"; any other text as it is.

    >>> final_answer_of("He pays 2*3 = <<2*3=6>>6.\\n#### 6"), final_answer_of("42")
    ('6', '42')
    """
    marked = _MARKED.search(text)
    if marked:
        return marked[1]
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed
    *earlier, last = text.strip().splitlines() or [""]
    said = extract_answer(last) if earlier else None
    return said.removesuffix(".") if said else text


def golds(value: Any) -> list[str] | None:
    """The right answers of a cell, the first one first: a value, a list of them, or an object that holds a ``value``
    and ``aliases``, as TriviaQA's, or ``text``, as SQuAD's. None where it is none of these."""
    if isinstance(value, dict):
        inner = value.get("value") if "aliases" in value else value.get("text")
        others = as_texts(value.get("aliases"))
        first = as_texts(inner)
        found = None if inner is None or first is None or others is None else [*first, *others]
    elif isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value):
        parts = [golds(v) for v in value]
        found = None if None in parts else [g for part in parts for g in part or []]
    else:
        found = as_texts(value)
    return None if found is None else list(dict.fromkeys(final_answer_of(g) for g in found))


def too_long_to_answer(problems: Sequence[Problem], where: str) -> str:
    """A line that warns of gold answers that no answer will equal, worked solutions say; "" where there are none."""
    long = [p for p in problems if p.kind != "gym" and len(p.answer) > _LONG_CHARS]
    if not long:
        return ""
    start = " ".join(long[0].answer.split())[:_SHOWN_CHARS]
    return (
        f"{where}: {len(long)} of {len(problems)} gold answers have over {_LONG_CHARS} characters ({long[0].id}: "
        f'"{start}…"); is that the column of solutions? name the answers\': fields = {{ answer = "COLUMN" }}'
    )
