"""Answers to questions of reasoning-gym, by the scorer of the generator that made the question.

The generator's entry is named by one of the aliases (:class:`agentdistill.gym.Ref`). An answer is correct where its
score is 1: what the scorers give for an answer that is nearly right counts as wrong. Where the gold answer is a number,
one of the same value is correct too, however it is written, since a program prints ``24.0`` where the scorer wants
``24``. No answer is evaluated: generators whose scorers do that are not offered (:mod:`agentdistill.gym.levels`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentdistill.grade import math
from agentdistill.gym import parse_ref, score
from agentdistill.types import Score

MAX_CHARS = 2000
"""No gold answer is as long; a longer prediction is wrong, and no scorer is asked."""
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")


def grade(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """The verdict. Without the name of an entry, as between two predictions, texts or values have to be the same.

    Raises UserError where reasoning-gym is not installed, or makes another question of that name.
    """
    said = prediction.strip()

    def verdict(correct: bool, reason: str) -> Score:
        return Score(correct=correct, extracted=said[:100], grader="gym", reason=reason)

    if not said or len(said) > MAX_CHARS:
        return verdict(False, f"longer than {MAX_CHARS} characters" if said else "empty answer")
    if said == answer.strip():
        return verdict(True, "same text")
    is_number = _NUMBER.fullmatch(answer.strip()) is not None
    if is_number and re.search(r"\d", said) and math.grade(said, answer).correct:
        return verdict(True, "same value")
    ref = next((ref for alias in aliases if (ref := parse_ref(alias)) is not None), None)
    if ref is None:
        return verdict(False, "another value" if is_number else "another text")
    best = max(score(ref, text, answer) for text in dict.fromkeys((said, said.rstrip(". \n"))))
    return verdict(best == 1.0, f"scored {best:.3g} by {ref.generator}")
