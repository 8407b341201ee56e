"""Short answers in one plain spelling: numbers in digits, initials joined, no accents, articles or marks."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from agentdistill.grade._words import ORDINALS, SCALES, TENS, UNITS, cardinal

_INITIALS = re.compile(r"(?<![^\W_])(?:[A-Z]\.\s?){2,}|(?<![^\W_])(?:[A-Z] ){2,}(?=[A-Z][a-z])")
_TOKEN = re.compile(
    r"(?P<number>(?<![\w.)])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?P<suffix>st|nd|rd|th|s)?(?![^\W_]))"
    r"|(?P<word>[^\W_]+(?:['’][^\W_]+)*)|(?P<sign>[&%$€£¥°])",
    re.IGNORECASE,
)
_ROMAN = re.compile(r"(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3})")
_NUMBERED = re.compile(r"(?:#|№|\b[Nn]o\.\s*)(?=\d)")
_TEMPERATURE = re.compile(r"(?:°|\bdegrees?)\s*(C|F|[Cc]elsius|[Ff]ahrenheit)\b")
_ROMAN_VALUE = {"I": 1, "V": 5, "X": 10}
_ABBREVIATION = {"st": "saint", "mt": "mount", "vs": "versus", "ft": "fort"}
_SIGN = {"&": "and", "%": "percent", "$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "°": "degree"}
_NUMBER_WORDS = frozenset((*UNITS, *TENS, *SCALES, "hundred", "dozen"))
_ARTICLES = frozenset(("a", "an", "the"))


def plain(text: str) -> str:
    """``text`` as plain words, for comparing; ``""`` where no word or number is in it.

    >>> plain("The J. R. R. Tolkien & Co., Volume II"), plain("Twenty-first Street"), plain("2 million")
    ('jrr tolkien and co volume 2', '21st street', '2000000')
    """
    folded = unicodedata.normalize("NFKC", text)
    joined = _INITIALS.sub(lambda m: re.sub(r"[.\s]", "", m[0]) + " ", folded)
    joined = _TEMPERATURE.sub(lambda m: " celsius" if m[1][0] in "Cc" else " fahrenheit", joined)
    tokens = list(_TOKEN.finditer(_NUMBERED.sub("number ", joined)))
    words = [_word(m, i, i == len(tokens) - 1) for i, m in enumerate(tokens)]
    spoken = _in_digits(words)
    kept = [w for i, w in enumerate(spoken) if w not in _ARTICLES or i == len(spoken) - 1]
    # An abbreviation stands before a name: at the end St is a street, after a number ft is feet.
    names = (i < len(kept) - 1 and not (i and kept[i - 1][-1].isdigit()) for i in range(len(kept)))
    return " ".join(_ABBREVIATION.get(w, w) if is_name else w for w, is_name in zip(kept, names, strict=True))


def same_plain(a: str, b: str) -> bool:
    """Whether two plain texts are the same, white space aside where it does not part two numbers."""
    return bool(a) and re.sub(r"(?<!\d) | (?!\d)", "", a) == re.sub(r"(?<!\d) | (?!\d)", "", b)


def _word(match: re.Match[str], place: int, is_last: bool) -> str:
    if match["number"]:
        suffix = (match["suffix"] or "").lower()
        digits = match["number"].replace(",", "").replace("−", "-").lower().removesuffix(suffix)
        return _written(Fraction(digits)) + suffix
    if match["sign"]:
        return _SIGN[match["sign"]]
    word = match["word"]
    if place and (len(word) > 1 or is_last) and _ROMAN.fullmatch(word):
        return str(_roman(word))
    bare = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return re.sub("['’]", "", bare.casefold())


def _written(value: Fraction) -> str:
    """A decimal number in the only way it is written here."""
    if value.denominator == 1:
        return str(value.numerator)
    places = next(k for k in range(1, value.denominator.bit_length() + 1) if 10**k % value.denominator == 0)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _roman(numeral: str) -> int:
    values = [_ROMAN_VALUE[c] for c in numeral]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _in_digits(words: list[str]) -> list[str]:
    """Runs of number words as one number: ``two hundred and five`` as 205, ``nineteen eighty four`` as 1984."""
    out: list[str] = []
    at = 0
    while at < len(words):
        if out and words[at] in SCALES and re.fullmatch(r"-?\d+(?:\.\d+)?", out[-1]):
            out[-1] = _written(Fraction(out[-1]) * SCALES[words[at]])
            at += 1
            continue
        value, end = _run(words, at)
        if end == at:
            out.append(words[at])
            at += 1
        else:
            out.append(value)
            at = end
    return out


def _run(words: list[str], at: int) -> tuple[str, int]:
    """The longest number in words that begins at ``at``, and where it ends; ``at`` itself where none does."""
    end = at
    while end < len(words) and (words[end] in _NUMBER_WORDS or (words[end] == "and" and end > at)):
        end += 1
    if end < len(words) and words[end] in ORDINALS:
        tens = cardinal(words[at:end]) if end > at else 0
        if tens is not None and (end == at or (words[end - 1] in TENS and ORDINALS[words[end]] < 10)):
            return _ordinal(tens + ORDINALS[words[end]]), end + 1
    for stop in range(end, at, -1):
        value = cardinal(words[at:stop])
        if value is not None:
            year = _year(value, words, stop, end)
            return (str(year[0]), year[1]) if year else (str(value), stop)
    return "", at


def _year(first: int, words: list[str], stop: int, end: int) -> tuple[int, int] | None:
    """``nineteen eighty four``: two numbers of two digits make a year."""
    rest = cardinal(words[stop:end]) if 10 < first < 22 and stop < end else None
    return (100 * first + rest, end) if rest is not None and 10 <= rest < 100 else None


def _ordinal(n: int) -> str:
    ending = "th" if 10 < n % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
