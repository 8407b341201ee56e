"""Answers as people and models write them: LaTeX around words, letters of choices, dates, times of day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
