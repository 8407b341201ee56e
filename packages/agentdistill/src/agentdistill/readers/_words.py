"""Words that say little, words that say numbers, and the numbers that a text holds."""

from __future__ import annotations

import contextlib
import re

from agentdistill.readers import _arithmetic as arithmetic
from agentdistill.readers._arithmetic import Number, Unreadable

NUMERAL = re.compile(r"-?\$?\s?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?:/\d+)?\s?%?")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred")
NUMBER_WORDS: dict[str, int] = {w: n for n, w in enumerate(_ONES)} | {w: 10 * n for n, w in enumerate(_TENS, 2)}
NUMBER_WORDS["hundred"] = 100
_TOLD_BY: dict[str, tuple[Number, ...]] = {
    "half": (2, 0.5), "halves": (2,), "twice": (2,), "double": (2,), "doubled": (2,), "doubles": (2,), "both": (2,),
    "couple": (2,), "pair": (2,), "triple": (3,), "thrice": (3,), "third": (3,), "thirds": (3,), "quarter": (4, 0.25),
    "quarters": (4,), "fourth": (4,), "fourths": (4,), "dozen": (12,), "dozens": (12,), "fifth": (5,), "tenth": (10,),
}  # fmt: skip

ARTICLES = _set("a an the his her their its")
LINKS = _set("of in on for per from to at by with")
PHRASE_ENDS = _set(
    """
    and or so because since which that this if then is are was were be will would can could has have had he she they
    it we you i does do did but while when after before than as
    """
)
LITTLE = _set(
    """
    a an the is are was were be been being am do does did done has have had of for at in on by with to from and or
    so because since which that this these those than as if then there their his her hers its it he she they them we
    us our you your i me my him who what how only just about also still already therefore thus per each every total
    altogether together all more less fewer left over would will can could should must now new one some any other
    another into out up down off not no yes but while when after before during between equals equal means mean s t x
    mr mrs ms get gets got make makes made need needs needed take takes took give gives gave go goes went
    """
)
DANGLING = _set(
    """
    a an the is are was were be been to of for at in on by with and or so because since which that than as if equals
    equal only just about means therefore thus then from into per another additional there total's = - : i.e e.g
    plus minus times divided multiplied x up down when while have has had its that's it's he's she's there's leaves
    leaving they're you're he she it they we
    """
)
UNITS = _set(
    """
    pound pounds ounce ounces year years old mile miles hour hours minute minutes second seconds day days week weeks
    month months dollar dollars cent cents foot feet inch inches meter meters kilometer kilometers km gallon gallons
    liter liters gram grams tall long big people times
    """
)


def numerals(text: str) -> set[Number]:
    """The numbers that a text writes in digits (of ``3/4`` both and the fraction) or as ``twelve``, without signs."""
    out: set[Number] = set()
    for match in NUMERAL.finditer(text):
        whole = match[0].replace("%", "").strip()
        for part in (whole, *whole.split("/")):
            with contextlib.suppress(Unreadable):
                out.add(abs(arithmetic.number(part)))
    words = re.findall(r"[a-z]+", text.lower())
    return out | {NUMBER_WORDS[w] for w in words if w in NUMBER_WORDS}


def numbers(text: str) -> set[Number]:
    """The numbers that a text holds, those of ``half`` (2 and 0.5) or ``dozen`` included."""
    words = re.findall(r"[a-z]+", text.lower())
    return numerals(text).union(*(_TOLD_BY.get(w, ()) for w in words))
