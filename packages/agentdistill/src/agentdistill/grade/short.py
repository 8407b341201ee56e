"""Short answers (names, dates, yes or no), compared by words as the question-answering papers do.

The normalisation is SQuAD's (Rajpurkar et al. 2016, evaluation script): lower case, no punctuation, no articles, single
spaces. Two departures, both of which only take away false matches or false misses: a decimal point or a minus sign
that belongs to a number stays (their 1.5 equals 15), and punctuation means Unicode's, not ASCII's alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from agentdistill.types import Score

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_DECIMAL_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_MINUS = re.compile(r"(?<![\w.)])[-−](?=\.?\d)")
_KEEP = {"\ue000": ".", "\ue001": "-"}  # private-use stand-ins, while punctuation is taken out


def normalize(text: str) -> str:
    """``text`` as it is compared. What would become empty (``"The"``, ``"?"``) is only lower-cased and stripped."""
    folded = unicodedata.normalize("NFKC", text).lower().strip()
    marked = _MINUS.sub("\ue001", _DECIMAL_POINT.sub("\ue000", folded))
    bare = "".join(c for c in marked if not _is_punctuation(c))
    words = _ARTICLE.sub(" ", bare)
    for stand_in, char in _KEEP.items():
        words = words.replace(stand_in, char)
    return " ".join(words.split()) or folded


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P") or char in "$+<=>^`|~"


def token_f1(prediction: str, answer: str) -> float:
    """The harmonic mean of precision and recall over normalised words, in [0, 1]; 1 where both have no words.

    >>> token_f1("Barack Obama", "Barack Hussein Obama")
    0.8
    """
    predicted, gold = Counter(normalize(prediction).split()), Counter(normalize(answer).split())
    if not predicted or not gold:
        return float(predicted == gold)
    return 2 * (predicted & gold).total() / (predicted.total() + gold.total())


def grade(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """Correct where the normalised prediction equals the normalised answer or one of its aliases."""
    golds = (answer, *aliases)
    extracted = normalize(prediction)
    for gold in golds:
        if extracted and extracted == normalize(gold):
            reason = "exact match" if gold is answer else f"exact match with the alias {gold!r}"
            return Score(correct=True, extracted=extracted, grader="short", reason=reason)
    best = max(token_f1(prediction, gold) for gold in golds)
    return Score(correct=False, extracted=extracted, grader="short", reason=f"no exact match; F1 {best:.2f}")
