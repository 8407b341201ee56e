"""What a solution says around an equation, as a comment without the numbers that only the code gives."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence

from agentdistill.readers import _arithmetic as arithmetic
from agentdistill.readers._arithmetic import Number
from agentdistill.readers._equations import Equation
from agentdistill.readers._words import DANGLING, NUMBER_WORDS, NUMERAL, numerals

MAX_WORDS = 16
HOLE = "\0"
"""Stands where an equation stood in its sentence."""
_END = re.compile(r"[.!?;](?=\s|\Z)(?<![A-Z]\.)|\n")
_CLAUSE = re.compile(r",\s|\s(?:and|so|because|since|which|but|or|then|while)\s|\s-\s|:\s")
_OPENING = re.compile(
    r"(?:(?:this|that|which|it) means(?: that)?|this is|that is|which is|as a result|we know(?: that)?|so that|"
    r"so(?! far)|then|thus|therefore|hence|and|but|or|now|next|finally|because|since|which|this|that|is|are|was|were|"
    r"also|to|first,)(?![\w'’])[\s,:]*",
    re.IGNORECASE,
)


def around(line: str, found: Sequence[Equation], place: int) -> str:
    """The sentence of one of a line's equations, the arithmetic and the result replaced by :data:`HOLE`.

    Where a line holds several, each has the part of it that is nearer to it than to the others.
    """
    equation = found[place]
    floor = found[place - 1].end if place else 0
    ceiling = found[place + 1].start if place + 1 < len(found) else len(line)
    before, after = line[floor : equation.start], line[equation.end : ceiling]
    ends = [m.end() for m in _END.finditer(before)]
    if ends:
        before = before[ends[-1] :]
    elif place:
        cut = _CLAUSE.search(before)
        before = before[cut.start() + (cut[0].startswith(",")) :] if cut else ""
    end = _END.search(after)
    if end:
        after = after[: end.start()]
    elif place + 1 < len(found):
        cut = _CLAUSE.search(after)
        after = after[: cut.start()] if cut else after
    return before + HOLE + after


def comment(text: str, known: Collection[Number], hidden: Sequence[Number | None]) -> str:
    """The sentence without its hole and without any number that is not ``known`` or is ``hidden``; ``""`` if that
    leaves nothing. At most MAX_WORDS words, cut where a clause begins or ends."""
    results = [abs(n) for n in hidden if n is not None]

    def tells(n: Number) -> bool:
        return any(arithmetic.same(n, h) for h in results) or not any(arithmetic.same(n, k) for k in known)

    before, _, after = text.partition(HOLE)
    told = _told(before, tells)
    before, after = _shortened(told if len((told + after).split()) > 2 else before, after)
    out = _without(before, tells) + " " + _without(after, tells)
    out = re.sub(r"[()\[\]\"“”=*+≈<>]|\s[/–−-]+\s|\$(?!\d)|(?<!\d)%", " ", out)
    out = re.sub(r"\s+", " ", re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s/\s?\w+", " ", out))).strip(" ,.;:-/")
    for _ in range(3):
        out = _OPENING.sub("", out, count=1) if _OPENING.match(out) else out
    words = out.split()[:MAX_WORDS]
    while words and words[-1].strip(",.;:-–/$").lower().replace("’", "'") in DANGLING | {""}:
        words.pop()
    out = " ".join(words).strip(" ,;:-–/")
    return out[:1].upper() + out[1:] if len(words) > 1 else ""


def _told(text: str, tells: Callable[[Number], bool]) -> str:
    """Without the clauses, but for the last, that hold a number which would have to be cut out of them."""
    starts = [0, *(m.start() for m in _CLAUSE.finditer(text.rstrip(" :$"))), len(text)]
    clauses = [text[a:b] for a, b in itertools.pairwise(starts)]
    kept = [c for c in clauses[:-1] if not any(tells(n) for n in numerals(c))]
    return "".join([*kept, *clauses[-1:]])


def _shortened(before: str, after: str) -> tuple[str, str]:
    """Both sides without their outer clauses until they have MAX_WORDS words."""
    while len(before.split()) + len(after.split()) > MAX_WORDS:
        cut = _CLAUSE.search(before)
        if cut is not None and len(before[cut.end() :].split()) > 1:
            before = before[cut.end() :]
            continue
        cuts = list(_CLAUSE.finditer(after))
        if not cuts:
            break
        after = after[: cuts[-1].start()]
    return before, after


def _without(text: str, tells: Callable[[Number], bool]) -> str:
    def cut(match: re.Match[str]) -> str:
        return " " if any(tells(n) for n in numerals(match[0])) else match[0]

    text = NUMERAL.sub(cut, text)
    return re.sub(r"[A-Za-z]+", lambda m: cut(m) if m[0].lower() in NUMBER_WORDS else m[0], text)
