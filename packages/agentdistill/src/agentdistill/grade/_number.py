"""Plain numbers in answers, read exactly: integers, decimals, fractions, separators, percent and currency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_MAX_CHARS = 1000
"""Longer numbers are left to the worker: reading them takes time quadratic in their length."""
_MAX_EXPONENT = 400

_CURRENCY = r"(?:\\?[$€£¥₹])"
_DIGITS = r"(?:\d{1,3}(?:(?:,|\{,\}|\\,|\\!,|,\\!|[ \u00a0\u202f])\d{3})+|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>[-+−–]?)\s*{_CURRENCY}?\s*(?P<sign2>[-−]?)"
    rf"(?:(?P<decimal>{_DECIMAL})(?:[eE](?P<exponent>[-+]?\d{{1,4}}))?(?:\s*/\s*(?P<slash>{_DIGITS}))?"
    r"|\\[dtc]?frac\s*(?:\{\s*(?P<top>-?\d+)\s*\}|(?P<top1>\d))\s*(?:\{\s*(?P<bottom>-?\d+)\s*\}|(?P<bottom1>\d)))"
    r"\s*(?P<percent>\\?%|percent\b|per cent\b)?"
)
_SEPARATOR = re.compile(r"[^\d.]")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value, percent not applied. ``places`` counts the written decimals, ``digits`` the significant ones."""

    value: Fraction
    percent: bool = False
    places: int = 0
    digits: int = 0


def parse_number(text: str) -> Number | None:
    """The number that the whole of ``text`` is, or None where it is anything else (or absurdly long).

    >>> parse_number("-1,250.50").value
    Fraction(-2501, 2)
    """
    if len(text) > _MAX_CHARS:
        return None
    match = _NUMBER.fullmatch(text.strip())
    if match is None or (match["sign"] and match["sign2"]):
        return None
    if match["decimal"]:
        number = _decimal(match)
    else:
        number = _fraction(match["top"] or match["top1"], match["bottom"] or match["bottom1"])
    if number is None:
        return None
    negative = (match["sign"] or match["sign2"]) in ("-", "−", "–")
    return Number(-number.value if negative else number.value, bool(match["percent"]), number.places, number.digits)


def _decimal(match: re.Match[str]) -> Number | None:
    exponent = int(match["exponent"] or 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    plain = _SEPARATOR.sub("", match["decimal"])
    value = Fraction(plain if plain[-1] != "." else plain[:-1]) * Fraction(10) ** exponent
    if match["slash"]:
        return _over(value, int(_SEPARATOR.sub("", match["slash"])))
    places = max(0, len(plain.partition(".")[2]) - exponent)
    return Number(value, places=places, digits=len(plain.replace(".", "").lstrip("0")))


def _fraction(top: str, bottom: str) -> Number | None:
    return _over(Fraction(int(top)), int(bottom))


def _over(value: Fraction, bottom: int) -> Number | None:
    return Number(value / bottom) if bottom else None


def same_number(a: Number, b: Number) -> bool:
    """Whether two numbers are the same answer.

    Exactly equal; or one a percentage and the other either of its readings (10 % is 10 and 0.1); or one of them written
    with decimals, and the other rounds to it at six significant digits or more, or differs by floating-point noise.
    """
    return any(_close(x, y) for x in _readings(a, b) for y in _readings(b, a))


def _readings(number: Number, other: Number) -> tuple[Number, ...]:
    if number.percent and not other.percent:
        return (number, Number(number.value / 100, False, number.places + 2, number.digits))
    return (number,)


def _close(a: Number, b: Number) -> bool:
    if a.value == b.value:
        return True
    if a.value.denominator == b.value.denominator == 1:
        return False  # two whole numbers are the same or they are not, however large
    gap = abs(a.value - b.value)
    noise = max(abs(a.value), abs(b.value)) / 10**12
    rounded = any(n.places and n.digits >= 6 and gap <= Fraction(1, 2 * 10**n.places) for n in (a, b))
    return rounded or (bool(a.places or b.places) and gap <= noise)
