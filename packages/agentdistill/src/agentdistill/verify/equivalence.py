"""Which answers are the same answer: classes by the graders' equivalence, the same whatever Python's hashing does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from agentdistill.consistency import canonical
from agentdistill.grade import grade

_PLAIN = re.compile(r"[-+]?\d+(?:\.\d+)?")
MAX_CHARS = 2000
"""A longer answer is no short answer: it is alike only to the same text."""


def classes(answers: Sequence[str | None], kind: str) -> tuple[int | None, ...]:
    """For every answer the number of its class; None, or nothing but space, is in none.

    Classes are numbered by first appearance, and an answer joins the first class whose first member it equals: by its
    text, by its value for plain numbers, else by the grader of ``kind``. So the classes hang on the answers and their
    order, on nothing else.

    >>> classes(["1,000", "1/2", None, "1000.0", "0.5"], "math")
    (0, 1, None, 0, 1)
    """
    heads: list[str] = []
    known: dict[str, int] = {}
    out: list[int | None] = []
    for answer in answers:
        if answer is None or not answer.strip():
            out.append(None)
            continue
        text = canonical(answer) if len(answer) <= MAX_CHARS else answer
        if text not in known:
            home = next((i for i, head in enumerate(heads) if same(text, head, kind)), len(heads))
            if home == len(heads):
                heads.append(text)
            known[text] = home
        out.append(known[text])
    return tuple(out)


@lru_cache(maxsize=65_536)
def same(answer: str, other: str, kind: str) -> bool:
    """Whether two answers are one, by the grader of ``kind`` in either direction."""
    if answer == other:
        return True
    if max(len(answer), len(other)) > MAX_CHARS:
        return False
    if kind == "math" and _PLAIN.fullmatch(answer) and _PLAIN.fullmatch(other):
        return False  # canonical numbers of one value have one spelling
    return grade(kind, answer, other).correct or grade(kind, other, answer).correct
