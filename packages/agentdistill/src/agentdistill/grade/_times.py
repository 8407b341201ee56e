"""Times of day, and whether one says all that another does: 3:00 PM is 15:00, and no ratio."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DAY_S = 86400
_CLOCK = re.compile(
    r"(?:at\s+)?(?P<hour>\d{1,2})(?:(?P<minutes>[:h]\d{2}(?::\d{2})?)?\s*(?P<half>[ap]\.?\s?m\b\.?)?"
    r"|\s*o\s?['’]?\s?clock(?:\s*(?P<late>[ap]\.?\s?m\b\.?))?)"
)
_NAMED = {"noon": 43200, "12 noon": 43200, "midday": 43200, "midnight": 0, "12 midnight": 0}
_PARTED = re.compile(r"\s*(?:,|;|-{1,2}|–|—|\b(?:to|and|until|till|or)\b)\s*")
_MAX_CHARS = 60


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
    if a is None or b is None:
        return None
    return len(a) == len(b) and all(x.says(y) for x, y in zip(a, b, strict=True))
