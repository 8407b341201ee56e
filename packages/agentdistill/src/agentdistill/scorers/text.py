"""Answers as people and models write them: LaTeX around words, choices, dates, times, numbers in words, units, money.

Units are those of the SI and of the international yard. So "half a dozen" is 6, and 0.05 m is 5 cm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from agentdistill.parse import closing_bracket

# What Python and JSON make of \a, \b, \f, \v, \t, \n and \r in a string that is not raw.
_EATEN = {"\x07": "a", "\x08": "b", "\x0c": "f", "\x0b": "v", "\t": "t", "\n": "n", "\r": "r"}
_NEVER_WRITTEN = "\x07\x08\x0c\x0b"
_COMMANDS = """text textbf textit textrm textnormal texttt textsf textstyle times theta tan tanh tau tfrac tbinom to top
    triangle triangleq tilde thinspace therefore ne neq nu nabla not notin neg ni nmid nexists nleq ngeq nsubseteq
    nparallel ncong newline rho right rightarrow rangle rceil rfloor rm root rvert rbrace rbrack"""
_KNOWN = frozenset(_COMMANDS.split())
_GAP = re.compile("([\x07\x08\x0c\x0b\t\n\r])([A-Za-z]+)")
_ROWS = re.compile(r"(?s)(\\begin\{[a-z]*(?:matrix|array|cases)\*?\})(.*?)(\\end\{)")
_ROW_END = re.compile(r"(?<!\\)\\(?=[\s\d&.+-]|[A-Za-z](?![A-Za-z]))")
_DOUBLED = re.compile(
    r"\\\\(?=(?:[dt]?frac|sqrt|boxed|text|math[a-z]+|left|pi|theta|alpha|beta|times|cdot|begin|infty|in|cup|pm|angle|circ)"
    r"(?![a-z]))"
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_BOX_OR_MBOX = re.compile(r"\\(?:boxed|fbox|framebox|mbox)\s*\{")
_WRAPPED = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_WORDS = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf|sc|normal)?|math(?:rm|bf|it|sf|tt|normal)|mbox|emph|operatorname\*?|underline|boldsymbol)"
    r"\s*\{([^{}]*)\}|\{\\(?:bf|it|rm|tt|em|sf)\s+([^{}]*)\}"
)
_SPACES = re.compile(r"\\[ ,;:!]|\\q?quad(?![a-zA-Z])|(?<!\\)~")
_SIGNS = re.compile(r"\\([%$&#_{}])")


def with_strokes(text: str) -> str:
    r"""``text`` with the commands restored that a plain string spoilt: a form feed and ``rac{3}{4}`` is a fraction.

    Tabs and line ends are restored only where a command follows whole. Of doubled strokes one is taken away, and in
    matrices a lone stroke ends a row again. Text without any of this is returned as it is.

    >>> with_strokes("\frac{3}{4}")
    '\\frac{3}{4}'
    """
    out = _GAP.sub(_restored, text)
    out = _ROWS.sub(lambda m: m[1] + _ROW_END.sub(r"\\\\", m[2]) + m[3], out)
    return out.replace("\\\\", "\\") if _DOUBLED.search(out) and not _ROWS.search(out) else out


def _restored(match: re.Match[str]) -> str:
    command = _EATEN[match[1]] + match[2]
    return f"\\{command}" if match[1] in _NEVER_WRITTEN or command in _KNOWN else match[0]


def words_of(text: str) -> str:
    r"""A short answer without boxes, dollar signs and the commands that set words: ``\boxed{\text{Paris}}``.

    >>> words_of(r"$\text{New}\ \text{York}$")
    'New York'
    """
    out = text.strip()
    if not re.search(r"[\\$`*]", out):
        return text
    out = last_box(out, _BOX_OR_MBOX)
    for _ in range(4):
        out = _SPACES.sub(" ", _WORDS.sub(r"\1\2", last_box(_unwrapped(out), _BOX_OR_MBOX)))
    return " ".join(_SIGNS.sub(r"\1", out).split())


def last_box(text: str, box: re.Pattern[str] = _BOX) -> str:
    r"""The content of the last ``\boxed{…}``, to the end of the text where it is never closed; ``text`` without one."""
    boxes = list(box.finditer(text))
    return text[boxes[-1].end() : closing_bracket(text, boxes[-1].end())].strip() if boxes else text


def _unwrapped(text: str) -> str:
    bare = text.rstrip(".") if text[:1] in "$\\*`" else text
    for before, after in _WRAPPED:
        inner = bare[len(before) : len(bare) - len(after)]
        if len(bare) > len(before + after) and bare.startswith(before) and bare.endswith(after) and before not in inner:
            return inner.strip()
    return text


# --- letters of choices -----------------------------------------------------------------------------------------------

_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s+)?\(?(?P<letter>[A-J])(?P<close>\)[.:]?|[.:](?=\s)|(?=\.?$))\s*(?P<words>.*?)\.?",
    re.IGNORECASE,
)
_NO_CHOICE = re.compile(r"[A-Z]\.|(?i:and|or|,|&)\b")
"""What follows a letter that is an initial (C. S. Lewis), or one of several choices."""


def same_choice(said: str, meant: str) -> bool | None:
    """Whether it is the same choice, where the gold answer is the letter of one; None for anything else.

    >>> same_choice("(B) Paris", "B"), same_choice("option C", "(B)"), same_choice("C. S. Lewis", "C")
    (True, False, None)
    """
    a, b = _CHOICE.fullmatch(said.strip()), _CHOICE.fullmatch(meant.strip())
    if a is None or b is None or (b["words"] and ")" not in b["close"]) or _NO_CHOICE.match(a["words"]):
        return None
    return a["letter"].lower() == b["letter"].lower()


# --- dates ------------------------------------------------------------------------------------------------------------

_MONTHS = """january february march april may june july august september october november december"""
_MONTH = {name[:n]: i for i, name in enumerate(_MONTHS.split(), 1) for n in (3, len(name))} | {"sept": 9}
_DAYS = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\.?)"
_NAME = "|".join(sorted(_MONTH, key=len, reverse=True))
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{1,4})"
_ERA = r"(?:\s*(?P<era>b\.?c\.?(?:e\.?)?|a\.?d\.?|c\.?e\.?))?"
_PATTERNS = tuple(
    re.compile(p)
    for p in (
        rf"(?P<month>{_NAME})\.?\s+{_DAY}(?:,\s*|\s+){_YEAR}{_ERA}",
        rf"{_DAY}(?:\s+of)?\s+(?P<month>{_NAME})\.?,?\s+{_YEAR}{_ERA}",
        rf"{_YEAR},?\s+(?P<month>{_NAME})\.?\s+{_DAY}",
        rf"(?P<month>{_NAME})\.?,?\s+(?P<year>\d{{3,4}}){_ERA}",
        rf"(?P<month>{_NAME})\.?\s+{_DAY}",
        rf"{_DAY}(?:\s+of)?\s+(?P<month>{_NAME})\.?",
        r"(?P<year>\d{4})[-/](?P<m>\d{1,2})[-/](?P<day>\d{1,2})(?:[t ]00:00(?::00)?(?:\.0+)?z?)?",
        r"(?P<day>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<year>\d{4})",
        r"(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>\d{4})",
        rf"(?P<era>a\.?d\.?)\s*{_YEAR}",
        r"(?P<year>\d{1,4})\s*(?P<era>b\.?c\.?(?:e\.?)?|a\.?d\.?|c\.?e\.?)",
        r"(?P<year>\d{4})",
    )
)
_LEAD = re.compile(rf"^(?:(?:on|in|since|the year)\s+)*(?:{_DAYS},?\s+)?(?:the\s+(?=\d))?")
_SPAN = re.compile(
    r"(?:from\s+|between\s+)?(?P<start>.+?)\s*(?:-{1,2}|–|—|\s(?:to|until|till|through|and)\s)\s*(?P<end>.+)"
)
_MAX_CHARS = 60
"""Longer texts are no date or time."""


@dataclass(frozen=True, slots=True)
class Date:
    """What is said of a date: None where it is not said. Years before Christ are negative."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    def says(self, other: Date) -> bool:
        """Whether this date says at least what ``other`` says, and the same."""
        mine, theirs = (self.year, self.month, self.day), (other.year, other.month, other.day)
        return all(o is None or m == o for m, o in zip(mine, theirs, strict=True))


def parse_dates(text: str) -> tuple[Date, ...] | None:
    """The date, or the two ends of the span of time, that the whole of ``text`` is; None for anything else.

    A date in digits whose day and month could be exchanged is nothing: 5/6/2004 has two readings.

    >>> parse_dates("4th of July, 1776")
    (Date(year=1776, month=7, day=4),)
    """
    if len(text) > _MAX_CHARS:
        return None
    bare = " ".join(text.lower().strip().rstrip(".").split())
    one = _date(bare)
    if one is not None:
        return (one,)
    span = _SPAN.fullmatch(bare)
    if span is None:
        return None
    start, end = _date(span["start"]), _date(span["end"])
    if start is not None and end is None and start.year and re.fullmatch(r"\d\d", span["end"]):
        end = Date(start.year - start.year % 100 + int(span["end"]))  # 1914-18
    if start is None and span["start"] in _MONTH:
        start = Date(month=_MONTH[span["start"]])
    if start is None or end is None:
        return None
    if start.year is None and end.year is not None:  # May to July 1945
        start = Date(end.year, start.month, start.day)
    return start, end


def same_date(said: str, meant: str) -> bool | None:
    """Whether a date says all that the gold date says: a day where only the year was asked for is right. None where one
    of them is no date."""
    a, b = parse_dates(said), parse_dates(meant)
    return None if a is None or b is None else _say_all(a, b)


def same_day(said: str, meant: str) -> bool | None:
    """Whether a date says what the gold date says, where one of the two names more than a year; None otherwise."""
    if not any(dates and all(d.month for d in dates) for dates in (parse_dates(said), parse_dates(meant))):
        return None
    return bool(same_date(said, meant))


def _date(text: str) -> Date | None:
    bare = _LEAD.sub("", text.strip())
    for pattern in _PATTERNS:
        match = pattern.fullmatch(bare)
        if match:
            return _made({k: v for k, v in match.groupdict().items() if v is not None})
    return None


def _made(parts: dict[str, str]) -> Date | None:
    year = int(parts["year"]) if "year" in parts else None
    if year is not None and parts.get("era", "").startswith("b"):
        year = -year
    if "first" in parts:
        first, second = int(parts["first"]), int(parts["second"])
        if first != second and first <= 12 and second <= 12:
            return None
        month, day = (first, second) if first <= 12 else (second, first)
    else:
        month = _MONTH[parts["month"]] if "month" in parts else int(parts["m"]) if "m" in parts else 0
        day = int(parts.get("day", 0))
    if not 0 <= month <= 12 or not 0 <= day <= 31:
        return None
    return Date(year, month or None, day or None)


# --- times of day -----------------------------------------------------------------------------------------------------

_DAY_S = 86400
_CLOCK = re.compile(
    r"(?:at\s+)?(?P<hour>\d{1,2})(?:(?P<minutes>[:h]\d{2}(?::\d{2})?)?\s*(?P<half>[ap]\.?\s?m\b\.?)?"
    r"|\s*o\s?['’]?\s?clock(?:\s*(?P<late>[ap]\.?\s?m\b\.?))?)"
)
_NAMED = {"noon": 43200, "12 noon": 43200, "midday": 43200, "midnight": 0, "12 midnight": 0}
_PARTED = re.compile(r"\s*(?:,|;|-{1,2}|–|—|\b(?:to|and|until|till|or)\b)\s*")


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds since midnight; ``whole`` is False where it is not said which half of the day it is in."""

    seconds: int
    whole: bool
    half: str = ""

    def says(self, other: Time) -> bool:
        """Whether this time says at least what ``other`` says, and the same. By itself 9:00 is in the morning."""
        if other.whole or not self.half:
            return self.seconds == other.seconds
        return (self.seconds - other.seconds) % (_DAY_S // 2) == 0


def parse_times(text: str) -> tuple[Time, ...] | None:
    """The times of day that the whole of ``text`` is, one or several; None for anything else.

    >>> parse_times("3:30 p.m."), parse_times("3:5")
    ((Time(seconds=55800, whole=True, half='p'),), None)
    """
    if len(text) > _MAX_CHARS or not re.search(
        r"\d\s*:\s*\d|\d\s*[ap]\.?\s?m\b|clock|noon|midday|midnight|\dh\d", text, re.I
    ):
        return None
    bare = re.sub(r"\A(?:between|from)\s+", "", " ".join(text.lower().split()))
    found = [_time(part) for part in _PARTED.split(bare.rstrip("."))]
    times = [t for t in found if t is not None]
    if len(times) < len(found):
        return None
    if len(times) == 2 and times[1].half and not times[0].whole:  # 3:00-5:00 PM
        moved = _at(times[0].seconds, times[1].half)
        times[0] = moved if moved.seconds <= times[1].seconds else times[0]
    return tuple(times)


def _time(text: str) -> Time | None:
    if text in _NAMED:
        return Time(_NAMED[text], True)
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour = int(match["hour"])
    minute, second = (
        ([int(n) for n in re.split("[:h]", match["minutes"])[1:]] + [0])[:2] if match["minutes"] else (0, 0)
    )
    half = (match["half"] or match["late"] or "")[:1]
    if hour > 24 or minute > 59 or second > 59 or (not match["minutes"] and not half and "clock" not in text):
        return None
    seconds = (3600 * hour + 60 * minute + second) % _DAY_S
    return _at(seconds, half) if half else Time(seconds, hour == 0 or hour > 12)


def _at(seconds: int, half: str) -> Time:
    if seconds >= _DAY_S // 2 + 3600:  # 15:00 PM
        return Time(seconds, True, half)
    return Time(seconds % (_DAY_S // 2) + (_DAY_S // 2 if half == "p" else 0), True, half)


def same_time(said: str, meant: str) -> bool | None:
    """Whether the times of day that two texts are agree; None where one of them is something else."""
    a, b = parse_times(said), parse_times(meant)
    return None if a is None or b is None else _say_all(a, b)


def _say_all(said: Sequence[Any], meant: Sequence[Any]) -> bool:
    return len(said) == len(meant) and all(a.says(b) for a, b in zip(said, meant, strict=True))


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
_MAX_NUMBER_CHARS = 200


def number_in_words(text: str) -> Fraction | None:
    """The number that the whole of ``text`` says in words; None where it says anything else.

    >>> number_in_words("two hundred and five"), number_in_words("Minus three and a half")
    (Fraction(205, 1), Fraction(-7, 2))
    """
    if len(text) > _MAX_NUMBER_CHARS:
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


# --- units ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as its dimensions (name, power), its size in base units, and a power of pi in that size (for degrees)."""

    dimensions: tuple[tuple[str, int], ...]
    size: Fraction
    n_pi: int = 0


# dimension: size in base units: names. Metre, second, gram, dollar and radian are the base.
_TABLE = """
length 1/1000: mm millimeter millimetre
length 1/100: cm centimeter centimetre
length 1/10: dm decimeter decimetre
length 1: m meter metre
length 1000: km kilometer kilometre
length 127/5000: in inch inches
length 381/1250: ft foot feet
length 1143/1250: yd yard
length 201168/125: mi mile
time 1/1000: ms millisecond
time 1: s sec second
time 60: min minute
time 3600: h hr hour
time 86400: day
time 604800: week
mass 1/1000: mg milligram
mass 1: g gram gramme
mass 1000: kg kilogram kilogramme
mass 1000000: tonne
mass 45359237/100000: lb pound
mass 45359237/1600000: oz ounce
money 1: dollar usd buck
money 1/100: cent
euro 1: euro eur €
sterling 1: gbp £
yen 1: yen jpy ¥
rupee 1: rupee inr
yuan 1: yuan rmb cny
won 1: won krw
franc 1: franc chf
ruble 1: ruble rouble
real 1: brl reais
krona 1: krona krone kr
zloty 1: zloty
peso 1: peso
lira 1: lira
baht 1: baht
shekel 1: shekel
angle 1: rad radian
kelvin 1: kelvin
celsius 1: celsius
fahrenheit 1: fahrenheit
"""
_LITRES = ("l", "liter", "litre")
_MILLILITRES = ("ml", "milliliter", "millilitre")
_ABBREVIATED = """mm cm dm m km ft in mi yd ms s min h hr mg g kg lb oz l ml rad feet inches"""
_NO_PLURAL = frozenset(_ABBREVIATED.split())
_WHOLE = {"mph": "mi/h", "kph": "km/h", "kmph": "km/h", "kmh": "km/h", "sqft": "ft^2", "cc": "cm^3", "fps": "ft/s"}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "squared": 2, "cubed": 3}
_PIECE = re.compile(r"[A-Za-z€£¥]+|\^|-?\d+|/|\*|-")


@cache
def _names() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for line in _TABLE.strip().splitlines():
        about, _, names = line.partition(":")
        dimension, size = about.split()
        for name in names.split():
            found[name] = Unit(((dimension, 1),), Fraction(size))
    volume = (("length", 3),)
    found |= {name: Unit(volume, Fraction(1, 10**3)) for name in _LITRES}
    found |= {name: Unit(volume, Fraction(1, 10**6)) for name in _MILLILITRES}
    found["degree"] = Unit((("angle", 1),), Fraction(1, 180), 1)
    found |= {name + "s": unit for name, unit in found.items() if name not in _NO_PLURAL}
    found |= {name + "s": found[name] for name in ("lb", "sec", "min", "hr")}
    return found


def unit_named(name: str) -> Unit | None:
    """The unit of one word, singular or plural, abbreviated or not; ``M`` and ``KM`` are nobody's metres."""
    names = _names()
    return names.get(name) or (names.get(name.lower()) if len(name) > 2 or name in ("Km", "L", "mL") else None)


@cache
def parse_unit(text: str) -> Unit | None:
    """The unit that the whole of ``text`` names (``km/h``, ``square feet``, ``kg/m^3``); None for anything else.

    >>> parse_unit("miles per hour") == parse_unit("mph")
    True
    """
    dimensions: Counter[str] = Counter()
    size, n_pi, power, sign, last = Fraction(1), 0, 1, 1, None
    pieces = _PIECE.findall(" ".join(_WHOLE.get(w.lower(), w) for w in text.split())) if len(text) <= 80 else []
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        at += 1
        if piece in ("/", "per"):
            sign, last = -1, None
        elif piece == "^" or piece in ("squared", "cubed"):
            extra, at = _power(piece, pieces, at)
            if last is None or extra is None:
                return None
            dimensions, size = _times(dimensions, size, last, (extra - 1) * sign)
            last = None
        elif piece in _POWERS:
            power = _POWERS[piece]
        elif piece not in ("*", "-"):
            last = unit_named(piece)
            if last is None:
                return None
            dimensions, size = _times(dimensions, size, last, power * sign)
            n_pi, power = n_pi + last.n_pi * sign, 1
    known = tuple(sorted((d, n) for d, n in dimensions.items() if n))
    return Unit(known, size, n_pi) if known else None


def _power(piece: str, pieces: list[str], at: int) -> tuple[int | None, int]:
    """The power that follows, and where reading goes on."""
    if piece in _POWERS:
        return _POWERS[piece], at
    digits = pieces[at] if at < len(pieces) else ""
    return (int(digits), at + 1) if digits in ("1", "2", "3", "-1", "-2", "-3") else (None, at)


def _times(dimensions: Counter[str], size: Fraction, unit: Unit, power: int) -> tuple[Counter[str], Fraction]:
    out = Counter(dimensions)
    for name, n in unit.dimensions:
        out[name] += n * power
    return out, size * unit.size**power


# --- money and powers of ten ------------------------------------------------------------------------------------------

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_SYMBOLS = {
    "€": "euro", "£": "pound", "¥": "yen", "円": "yen", "元": "yuan", "₹": "rupee", "₩": "won", "₽": "ruble",
    "₪": "shekel", "฿": "baht", "₫": "dong", "₦": "naira", "₺": "lira", "₱": "peso", "₴": "hryvnia", "¢": "cent",
}  # fmt: skip
_CODES = {
    "usd": "dollar", "cad": "dollar", "aud": "dollar", "nzd": "dollar", "eur": "euro", "euro": "euro", "gbp": "pound",
    "jpy": "yen", "chf": "franc", "inr": "rupee", "rs.": "rupee", "rs": "rupee", "cny": "yuan", "rmb": "yuan",
    "krw": "won", "rub": "ruble", "brl": "real", "sek": "krona", "nok": "krona", "dkk": "krona", "pln": "zloty",
}  # fmt: skip
_DOLLARS = re.compile(r"(?<![A-Za-z])(?:US|USA|AU?|CA?|NZ|HK|SG?|NT|MX)\s?(?=\\?\$\s*\d)")
_REAL = re.compile(r"(?<![A-Za-z])R\$\s*(?=\d)")
_SIGN = r"(?P<minus>[-−]?)"
_BEFORE = re.compile(
    rf"{_SIGN}\s*(?P<name>[{''.join(_SYMBOLS)}]|(?:{'|'.join(map(re.escape, sorted(_CODES, key=len, reverse=True)))}))"
    rf"\s*(?P<number>{_NUMBER})(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_BEHIND = re.compile(
    rf"{_SIGN}(?P<number>{_NUMBER})(?:\s|\\[,;: ])*(?P<name>[{''.join(_SYMBOLS)}]|kr\.?|\\euro)", re.IGNORECASE
)
_TWICE = re.compile(rf"(\$\s*{_NUMBER})\s*(?:USD|dollars?)", re.IGNORECASE)
_POWER = re.compile(rf"({_NUMBER})\s*[xX×]\s*10\s*(?:\^|\*\*)\s*(?:\{{\s*)?([-+−]?\d{{1,3}})(?:\s*\}})?")
_SUPERSCRIPT = re.compile(r"(?<=10)[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_AS_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SHORT = re.compile(
    rf"([-−]?\s*(?:\\?\$|[€£¥₹])?\s*)({_NUMBER})\s?(k|K|M|mn|mio|B|bn|T|tn)((?:\s*(?:\\?\$|[€£¥₹]|[a-z]{{3,}}))?)"
)
_ZEROS = {"k": 3, "m": 6, "b": 9, "t": 12}


def amount(text: str) -> str:
    """``text`` with a currency as a word behind its number, and ``7x10^4`` with a sign of multiplication.

    Anything else is returned as it is.

    >>> amount("US$29"), amount("€29"), amount("29 €"), amount("7 x 10^4")
    ('$29', '29 euro', '29 euro', '7*10^4')
    """
    out = _SUPERSCRIPT.sub(lambda m: f"^{m[0].translate(_AS_DIGITS)}", text.strip())
    out = _POWER.sub(lambda m: f"{m[1]}*10^{{{m[2]}}}" if m[2][0] in "-−+" else f"{m[1]}*10^{m[2]}", out)
    out = _TWICE.sub(r"\1", _DOLLARS.sub("", _REAL.sub("BRL ", out)))
    found = _BEFORE.fullmatch(out)
    if found and not re.match(r"\s*(?:[\d.,]|[^\W\d_]?\b\d)", found["rest"]):
        return f"{found['minus']}{found['number']}{found['rest']} {_named(found['name'])}"
    found = _BEHIND.fullmatch(out)
    return f"{found['minus']}{found['number']} {_named(found['name'])}" if found else out


def _named(name: str) -> str:
    key = name.lower()
    return _SYMBOLS.get(key) or _CODES.get(key) or {"\\euro": "euro"}.get(key, "krona")


def in_full(text: str) -> str:
    """An amount with its zeros: ``70k`` as 70000, ``7*10^4`` as well. Anything else is returned as it is.

    To be tried where the text as it stands is wrong: ``k`` may be a variable, and ``5K`` a race.

    >>> in_full("$70k"), in_full("1.5M"), in_full("7*10^4"), in_full("3x")
    ('$70000', '1500000', '70000', '3x')
    """
    short = _SHORT.fullmatch(text.strip())
    if short:
        return f"{short[1]}{_shifted(short[2], _ZEROS[short[3][0].lower()])}{short[4]}"
    power = re.fullmatch(rf"({_NUMBER})\s*\*\s*10\^\{{?([-+−]?\d{{1,2}})\}}?", text.strip())
    return _shifted(power[1], int(power[2].replace("−", "-"))) if power else text


def _shifted(number: str, zeros: int) -> str:
    value = Decimal(number.replace(",", "")).scaleb(zeros)
    return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"
