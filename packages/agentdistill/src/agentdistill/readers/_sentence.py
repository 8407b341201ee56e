"""What a solution says around an equation: a comment without the numbers that only the code gives, and a name."""

from __future__ import annotations

import builtins
import contextlib
import itertools
import keyword
import re
from collections.abc import Callable, Collection, Sequence

from agentdistill.readers import _arithmetic as arithmetic
from agentdistill.readers._arithmetic import Number, Unreadable
from agentdistill.readers._equations import Equation

MAX_WORDS = 16
_NAME_WORDS = 4
_HOLE = "\0"
_NUMERAL = re.compile(r"-?\$?\s?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?:/\d+)?\s?%?")
_END = re.compile(r"[.!?;](?=\s|\Z)(?<![A-Z]\.)|\n")
_CLAUSE = re.compile(r",\s|\s(?:and|so|because|since|which|but|or|then|while)\s|\s-\s|:\s")
_OPENING = re.compile(
    r"(?:(?:this|that|which|it) means(?: that)?|this is|that is|which is|as a result|we know(?: that)?|so that|so(?! far)|then|thus|"
    r"therefore|hence|and|but|or|now|next|finally|because|since|which|this|that|is|are|was|were|also|to|first,)(?![\w'’])[\s,:]*",
    re.IGNORECASE,
)
_DANGLING = frozenset(
    "a an the is are was were be been to of for at in on by with and or so because since which that than as if "
    "equals equal only just about means therefore thus then from into per another additional there total's = - : "
    "i.e e.g plus minus times divided multiplied x up down if when while have has had its that's it's he's she's there's "
    "leaves leaving they're you're he she it they we therefore".split()
)
_NUMBER_WORDS = {
    w: n
    for n, w in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100}
_AS_WORDS: dict[str, tuple[Number, ...]] = {
    "half": (2, 0.5), "halves": (2,), "twice": (2,), "double": (2,), "doubled": (2,), "doubles": (2,), "both": (2,),
    "couple": (2,), "pair": (2,), "triple": (3,), "thrice": (3,), "third": (3,), "thirds": (3,), "quarter": (4, 0.25),
    "quarters": (4,), "fourth": (4,), "fourths": (4,), "dozen": (12,), "dozens": (12,), "fifth": (5,), "tenth": (10,),
}  # fmt: skip
_LITTLE = frozenset(
    "a an the is are was were be been being am do does did done has have had of for at in on by with to from and or so "
    "because since which that this these those than as if then there their his her hers its it he she they them we us "
    "our you your i me my him who what how only just about also still already therefore thus per each every total "
    "altogether together all more less fewer left over would will can could should must now new one some any other "
    "another into out up down off not no yes but while when after before during between equals equal means mean "
    "s t x mr mrs ms get gets got make makes made need needs needed take takes took give gives gave go goes went".split()
)
_LINKS = frozenset("of in on for per from to at by with".split())
_STOPS = frozenset(
    "and or so because since which that this if then is are was were be will would can could has have had he she they "
    "it we you i does do did but while when after before than as".split()
)


def numbers(text: str) -> set[Number]:
    """The numbers that a text holds, those written as words included: ``half`` as 2 and 0.5."""
    out = numerals(text)
    for word in re.findall(r"[a-z]+", text.lower()):
        out.update(_AS_WORDS.get(word, ()))
    return out


def numerals(text: str) -> set[Number]:
    """The numbers that a text writes in digits (of ``3/4`` both and the fraction) or as ``twelve``."""
    out: set[Number] = set()
    for match in _NUMERAL.finditer(text):
        whole = match[0].replace("%", "").strip()
        for part in (whole, *whole.split("/")):
            with contextlib.suppress(Unreadable):
                out.add(abs(arithmetic.number(part)))
    words = re.findall(r"[a-z]+", text.lower())
    return out | {_NUMBER_WORDS[w] for w in words if w in _NUMBER_WORDS}


def around(line: str, found: Sequence[Equation], place: int) -> str:
    """The sentence of one of a line's equations, the arithmetic and the result replaced by a hole.

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
    return before + _HOLE + after


def comment(text: str, known: Collection[Number], hidden: Sequence[Number | None]) -> str:
    """The sentence without its hole and without any number that is not ``known`` or is ``hidden``; ``""`` if that
    leaves nothing. At most MAX_WORDS words, cut where a clause begins or ends."""
    results = [abs(n) for n in hidden if n is not None]

    def tells(n: Number) -> bool:
        return any(arithmetic.same(n, h) for h in results) or not any(arithmetic.same(n, k) for k in known)

    before, _, after = text.partition(_HOLE)
    told = _told(before, tells)
    before, after = _shortened(told if len((told + after).split()) > 2 else before, after)
    out = _without(before, tells) + " " + _without(after, tells)
    out = re.sub(r"[()\[\]\"“”=*+≈<>]|\s[/–−-]+\s|\$(?!\d)|(?<!\d)%", " ", out)
    out = re.sub(r"\s+", " ", re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s/\s?\w+", " ", out))).strip(" ,.;:-/")
    for _ in range(3):
        out = _OPENING.sub("", out, count=1) if _OPENING.match(out) else out
    words = out.split()[:MAX_WORDS]
    while words and words[-1].strip(",.;:-–/$").lower().replace("’", "'") in _DANGLING | {""}:
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

    text = _NUMERAL.sub(cut, text)
    return re.sub(r"[A-Za-z]+", lambda m: cut(m) if m[0].lower() in _NUMBER_WORDS else m[0], text)


def phrase(text: str) -> list[str]:
    """The words behind the hole, up to where their noun phrase ends."""
    return _words(text.partition(_HOLE)[2], ends=True)


def name(text: str, taken: Collection[str]) -> str:
    """A variable's name from the words behind the hole, or those before it; ``n1``, ``n2``, ... where they give none."""
    behind = phrase(text)
    if behind and all(w in _UNITS for w in behind):
        behind = ["of", *behind]
    lead = [w for w in _words(text.partition(_HOLE)[0], ends=False) if w not in _LITTLE][-2:]
    while behind and behind[0] in _LITTLE - _LINKS:
        behind = behind[1:]
    if not behind or behind[0] in _LINKS:
        behind = [*lead, *(w for w in behind if lead and w != "of" or w not in _LINKS)]
    base = _joined(behind)
    if base in taken and lead and lead[-1] not in behind:
        base = _joined([*lead, *behind])
    if not base:
        return next(f"n{i}" for i in range(1, 1000) if f"n{i}" not in taken)
    if keyword.iskeyword(base) or keyword.issoftkeyword(base) or hasattr(builtins, base) or base in _RESERVED:
        base += "_value"
    return base if base not in taken else next(f"{base}_{i}" for i in range(2, 1000) if f"{base}_{i}" not in taken)


def _joined(words: Sequence[str]) -> str:
    """At most four words as an identifier that neither begins nor ends with a word that says little."""
    words = [w for w in words if w not in _ARTICLES]
    while words and words[0] in _LITTLE:
        words = words[1:]
    words = words[:_NAME_WORDS]
    while words and words[-1] in _LITTLE:
        words = words[:-1]
    return "_".join(words)


_UNITS = frozenset(
    "pound pounds ounce ounces year years old mile miles hour hours minute minutes second seconds day days week weeks "
    "month months dollar dollars cent cents foot feet inch inches meter meters kilometer kilometers km gallon gallons "
    "liter liters gram grams tall long big people times".split()
)
_RESERVED = frozenset({"final_answer", "search", "result"})
_ARTICLES = frozenset("a an the his her their its".split())


def _words(text: str, ends: bool) -> list[str]:
    """The lower-case ASCII words of a text, up to where its noun phrase ends; from its last clause without ``ends``."""
    text = re.sub(r"['’]s?\b", "", text)
    if ends:
        text = re.sub(r"\A(?:is|are|was|were)\s", "", text.strip(" .%"))
        text = re.split(r"[,.;:()=+*/\"]|\s-|\s–", text, maxsplit=1)[0].replace("-", " ")
    else:
        text = re.split(r"[,.;:()]\s", text.rstrip(" ,.:;"))[-1].replace("-", " ")
    out: list[str] = []
    for word in re.findall(r"[^\W\d_]+|\d\S*", text):
        if ends and word.lower() in _STOPS:
            break
        if word.isascii() and word.isalpha() and len(word) > 1 and word.lower() not in _NUMBER_WORDS:
            out.append(word.lower())
    return out
