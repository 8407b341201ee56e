"""Dates in their usual spellings, and whether one says all that another does."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


def same_day(said: str, meant: str) -> bool | None:
    """Whether a date says what the gold date says, where one of the two names more than a year; None otherwise."""
    a, b = parse_dates(said), parse_dates(meant)
    if not any(dates is not None and all(d.month for d in dates) for dates in (a, b)):
        return None
    if a is None or b is None:
        return False
    return len(a) == len(b) and all(x.says(y) for x, y in zip(a, b, strict=True))


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
