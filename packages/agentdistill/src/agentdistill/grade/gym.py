"""Answers to questions of reasoning-gym, by the scorer of the generator that made the question.

The generator's entry is named by one of the aliases (:class:`agentdistill.gym.Ref`). An answer is correct where its
score is 1: what the scorers give for an answer that is nearly right counts as wrong. Where the gold answer is a number,
one of the same value is correct too, however it is written, since a program prints ``24.0`` where the scorer wants
``24``. No answer is evaluated: generators whose scorers do that are not offered (:mod:`agentdistill.gym.levels`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from agentdistill.grade._clean import clean
from agentdistill.gym import parse_ref, score
from agentdistill.types import Score

MAX_CHARS = 2000
"""No gold answer is as long; a longer prediction is wrong, and no scorer is asked."""
_HUGE = re.compile(r"[eE][-+]?[\d_]{4,}")
"""No gold answer has such an exponent, and a scorer may write the number out: a fraction of it takes all memory."""
_NUMBER = re.compile(r"(?:[$€£]?[-+]?|[-+][$€£])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:e[-+]?\d{1,3})?", re.ASCII)
_FLOAT_DIGITS = 15
"""As many digits has a float whose last ones are noise."""


def grade(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """The verdict. Without the name of an entry, as between two predictions, texts or values have to be the same.

    Raises UserError where reasoning-gym is not installed, or makes another question of that name.
    """
    said = prediction.strip()

    def verdict(correct: bool, reason: str) -> Score:
        return Score(correct=correct, extracted=said[:100], grader="gym", reason=reason)

    if not said or len(said) > MAX_CHARS:
        return verdict(False, f"longer than {MAX_CHARS} characters" if said else "empty answer")
    if said in (answer, answer.removesuffix("/1")):  # a fraction in lowest terms, as Python writes it
        return verdict(True, "same text")
    if _HUGE.search(said):
        return verdict(False, "a number too large to be written out")
    value = _number(answer)
    if value is not None and _same(clean(said), value):
        return verdict(True, "same value")
    ref = next((ref for alias in aliases if (ref := parse_ref(alias)) is not None), None)
    if ref is None:
        return verdict(False, "another text" if value is None else "another value")
    best = max(score(ref, text, answer) for text in dict.fromkeys((said, said.rstrip(". \n"))))
    return verdict(best == 1.0, f"scored {best:.3g} by {ref.generator}")


def _number(text: str) -> Decimal | None:
    """The value of a plain number; None for anything else, formulas and fractions included."""
    return Decimal(re.sub(r"[$€£,]", "", text)) if _NUMBER.fullmatch(text) else None


def _same(said: str, value: Decimal) -> bool:
    """Whether a text is that number, or what floating point makes of it: 74.91610000000001 for 74.9161."""
    number = _number(said)
    if number is None:
        return False
    is_noisy = len(number.as_tuple().digits) >= _FLOAT_DIGITS and number != number.to_integral_value()
    return number == value or (is_noisy and abs(number - value) <= max(abs(value), Decimal(1)) * Decimal("1e-12"))
