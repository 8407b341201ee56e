"""Answers to multiple-choice questions: the letter, with the words of the choice behind it or without."""

from __future__ import annotations

import re

_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s+)?\(?(?P<letter>[A-J])(?P<close>\)[.:]?|[.:](?=\s)|(?=\.?$))\s*(?P<words>.*?)\.?",
    re.IGNORECASE,
)
_NO_CHOICE = re.compile(r"[A-Z]\.|(?i:and|or|,|&)\b")
"""What follows a letter that is an initial (C. S. Lewis), or one of several choices."""


def same_choice(said: str, meant: str) -> bool | None:
    """A verdict where the gold answer is the letter of a choice; None for anything else.

    >>> same_choice("(B) Paris", "B"), same_choice("option C", "(B)"), same_choice("C. S. Lewis", "C")
    (True, False, None)
    """
    a, b = _CHOICE.fullmatch(said.strip()), _CHOICE.fullmatch(meant.strip())
    if a is None or b is None or (b["words"] and ")" not in b["close"]) or _NO_CHOICE.match(a["words"]):
        return None
    return a["letter"].lower() == b["letter"].lower()
