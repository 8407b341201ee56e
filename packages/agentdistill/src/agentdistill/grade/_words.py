"""Numbers in English words, read exactly: cardinals, ordinals, fractions, scales and dozens."""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_TENS = """twenty thirty forty fifty sixty seventy eighty ninety"""
UNITS = {word: n for n, word in enumerate(_UNITS.split())}
TENS = {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
"""Words that multiply everything before them back to the last larger one."""
_SMALL = {**UNITS, **TENS, "dozen": 12}
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
ORDINALS = {
    **_IRREGULAR,
    **{w + "th": n for w, n in UNITS.items() if n > 3 and n not in _IRREGULAR.values()},
    **{w[:-1] + "ieth": n for w, n in TENS.items()},
    "hundredth": 100,
    "thousandth": 1000,
    "millionth": 10**6,
}
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4}
_FORMAT = re.compile(r"[\s-]+")
_MAX_CHARS = 200


def number_in_words(text: str) -> Fraction | None:
    """The number that the whole of ``text`` says in words; None where it says anything else.

    >>> number_in_words("two hundred and five"), number_in_words("Minus three and a half")
    (Fraction(205, 1), Fraction(-7, 2))
    """
    if len(text) > _MAX_CHARS:
        return None
    words = _FORMAT.split(text.lower().strip())
    if words[0] in ("minus", "negative") and len(words) > 1:
        value = _number(words[1:])
        return None if value is None else -value
    return _number(words)


def _number(words: list[str]) -> Fraction | None:
    whole = cardinal(words)
    if whole is not None:
        return Fraction(whole)
    for i in range(len(words) - 1, -1, -1):  # "three and a half", "two and two thirds"
        if words[i] == "and" and i:
            before, part = cardinal(words[:i]), _fraction(words[i + 1 :])
            if before is not None and part is not None:
                return before + part
    return _fraction(words)


def _fraction(words: list[str]) -> Fraction | None:
    """``one half``, ``a quarter``, ``two thirds``, ``half``."""
    if not words:
        return None
    *count, part = words
    below = _PARTS.get(part) or ORDINALS.get(part) or ORDINALS.get(part.removesuffix("s"))
    if below is None or below == 1 or part in ("second", "seconds"):
        return None
    if not count:
        return Fraction(1, below) if part == "half" else None
    above = 1 if count in (["a"], ["an"]) else cardinal(count)
    return None if above is None else Fraction(above, below)


def cardinal(words: list[str]) -> int | None:
    """A whole number in words. ``a`` may stand for one before a hundred or a larger word."""
    if words[:1] == ["a"] and words[1:2] and words[1] in ("hundred", "dozen", *SCALES):
        words = ["one", *words[1:]] if words[1] != "dozen" else words[1:]
    if not words or words[0] == "and" or words[-1] == "and":
        return None
    total, group, last = 0, 0, 10**15
    before = ""
    for word in words:
        if word in SCALES:
            if group == 0 or SCALES[word] >= last:
                return None
            total, group, last = total + group * SCALES[word], 0, SCALES[word]
        elif word == "hundred":
            if not 0 < group < 100:
                return None
            group *= 100
        elif word == "dozen":
            group = 12 * (group or 1)
        elif word in _SMALL:
            if not _may_follow(before, word, group):
                return None
            group += _SMALL[word]
        elif word != "and" or before not in ("hundred", *SCALES):
            return None
        before = word
    return total + group


def _may_follow(before: str, word: str, group: int) -> bool:
    """Whether a small number may stand here: after nothing, a hundred or a scale, or a unit after a ten."""
    if before in ("", "hundred", "and", *SCALES):
        return group % 100 == 0
    return before in TENS and 0 < UNITS.get(word, 0) < 10


def ordinal(word: str) -> int | None:
    """``third`` as 3, ``twenty-first`` as 21; None for what is no ordinal."""
    *tens, last = word.lower().split("-")
    if last not in ORDINALS or len(tens) > 1 or (tens and (tens[0] not in TENS or ORDINALS[last] > 9)):
        return None
    return (TENS[tens[0]] if tens else 0) + ORDINALS[last]
