"""Mathematical answers, compared by value: plain numbers exactly and at once, everything else by math-verify.

math-verify parses LaTeX into sympy, which can be made to run for ever, so it lives in a worker process that is killed
at a time limit (see ``_worker``). No text is ever evaluated as Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentdistill.grade._clean import clean, plain_words, squeezed, subscript
from agentdistill.grade._number import parse_number, same_number
from agentdistill.grade._worker import compare
from agentdistill.types import Score

_ASSIGNMENT = re.compile(r"[a-zA-Z]\s*=\s*(?=[^=])")

TIME_LIMIT_S = 5.0
"""For one comparison in the worker. A comparison that takes longer counts as wrong, and says so."""
MAX_CHARS = 2000
"""A longer prediction is no final answer: it is wrong unless it is the gold answer itself."""


def grade(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """Correct where ``prediction`` has the value of ``answer`` or of an alias."""
    verdict = Score(
        correct=False, extracted=clean(prediction[: 2 * MAX_CHARS]), grader="math", reason="no value to compare"
    )
    for gold in (answer, *aliases):
        correct, reason = _same(prediction, gold)
        verdict = Score(correct=correct, extracted=verdict.extracted, grader="math", reason=reason)
        if correct:
            break
    return verdict


def _same(prediction: str, gold: str) -> tuple[bool, str]:
    if not prediction.strip():
        return False, "empty answer"
    if prediction.strip() == gold.strip():
        return True, "same text"
    if len(prediction) > MAX_CHARS:
        return False, f"longer than {MAX_CHARS} characters"
    said, meant = clean(prediction), clean(gold)
    if squeezed(said) == squeezed(meant):
        return True, "same text"
    x, y = parse_number(_right_side(said, meant)), parse_number(_right_side(meant, said))
    if x is not None and y is not None:
        same = same_number(x, y)
        return same, "same number" if same else "another number"
    return _as_text(said, meant) or compare(meant, said, TIME_LIMIT_S)


def _right_side(text: str, other: str) -> str:
    """``x = 5`` as 5 where the other answer names no variable."""
    match = _ASSIGNMENT.match(text)
    return text[match.end() :] if match and "=" not in other else text


def _as_text(said: str, meant: str) -> tuple[bool, str] | None:
    """A verdict on what must not be read as mathematics: words, and numerals in another base; None for formulas."""
    a, b = plain_words(said), plain_words(meant)
    if a is not None or b is not None:
        same = (a or said.strip("()").lower()) == (b or meant.strip("()").lower())
        return same, "same words" if same else "other words"
    numeral, gold_numeral = subscript(said), subscript(meant)
    if numeral and gold_numeral:
        return numeral == gold_numeral, "numerals compared as text"
    if gold_numeral:
        return said == gold_numeral[0], "numerals compared as text"
    return None
