"""The first grader of mathematics: math-verify, in a process that is killed at its time limit, with its faults guarded.

math-verify parses LaTeX into sympy, which can be made to run for ever (see ``_worker``). It is given the whole answer,
unwrapped (see ``_clean``): left to itself it picks a part of it out. Words and numerals in another base, which it would
read as products of letters and as plain numbers, are compared as text.
"""

from __future__ import annotations

import re

from agentdistill.grade._clean import clean, plain_words, squeezed, subscript
from agentdistill.grade._opinion import Opinion
from agentdistill.grade._worker import compare as ask_worker

_ASSIGNMENT = re.compile(r"[a-zA-Z]\s*=\s*(?=[^=])")


def compare(prediction: str, gold: str, limit_s: float) -> Opinion:
    """Whether math-verify holds two answers for equal, asked for ``limit_s`` seconds at most."""
    said, meant = clean(prediction), clean(gold)
    if squeezed(said) == squeezed(meant):
        return Opinion(True, "same text")
    as_text = _as_text(said, meant)
    if as_text is not None:
        return as_text
    return Opinion(*ask_worker(_right_side(meant, said), _right_side(said, meant), limit_s))


def _right_side(text: str, other: str) -> str:
    """``x = 5`` as 5 where the other answer names no variable."""
    match = _ASSIGNMENT.match(text)
    return text[match.end() :] if match and "=" not in other else text


def _as_text(said: str, meant: str) -> Opinion | None:
    """A verdict on what must not be read as mathematics: words, and numerals in another base; None for formulas."""
    a, b = plain_words(said), plain_words(meant)
    if a is not None or b is not None:
        same = (a or said.strip("()").lower()) == (b or meant.strip("()").lower())
        return Opinion(same, "same words" if same else "other words")
    numeral, gold_numeral = subscript(said), subscript(meant)
    if numeral and gold_numeral:
        return Opinion(numeral == gold_numeral, "numerals compared as text")
    if gold_numeral:
        return Opinion(said == gold_numeral[0], "numerals compared as text")
    return None
