"""Short answers (names, dates, numbers, yes or no): the papers' three measures, and a careful person's verdict.

Exact match and token F1 use the normalisation of SQuAD (Rajpurkar et al. 2016, evaluation script): lower case, no
punctuation, no articles, single spaces. Two departures, both of which only take away false matches or false misses: a
decimal point or a minus sign that belongs to a number stays (their 1.5 equals 15), and punctuation means Unicode's, not
ASCII's alone. Containment is whether a gold answer or an alias stands in the prediction, word by word (Mallen et al.
2023, PopQA). The verdict compares what is said instead: numbers in words and digits, quantities with their units, dates
in any spelling, initials, accents, articles. It knows no middle names and no synonyms: those are what aliases are for.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from agentdistill.grade._amounts import amount, in_full
from agentdistill.grade._choices import same_choice
from agentdistill.grade._dates import parse_dates
from agentdistill.grade._latex import with_strokes, words_of
from agentdistill.grade._places import REGIONS, STATE_CODES
from agentdistill.grade._plain import plain, same_plain
from agentdistill.grade._times import same_time
from agentdistill.grade._units import Unit, parse_unit
from agentdistill.types import Score

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_DECIMAL_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_MINUS = re.compile(r"(?<![\w.)])[-−](?=\.?\d)")
_KEEP = {"\ue000": ".", "\ue001": "-"}  # private-use stand-ins, while punctuation is taken out

MAX_CHARS = 20_000
"""A longer prediction is no short answer."""
_MAX_CAREFUL = 300
"""Longer texts are sentences, which only the papers' measures are taken of."""
_LEAD = re.compile(
    r"^(?:(?:so|thus|therefore),?\s+)?(?:(?:the\s+)?(?:(?:final|correct)\s+)?answer(?:\s+is|\s+was|\s*:)|it(?:\s+is|\s+was|['’]s))"
    r"\s*:?\s+",
    re.I,
)
_HEDGE = re.compile(
    r"^(?:about|approximately|approx\.?|around|roughly|nearly|almost|circa|ca?\.|~)\s*(?=[\d$€¥])", re.I
)
_TITLE = re.compile(
    r"^(?:sir|dame|dr|mr|mrs|ms|president|professor|prof|king|queen|pope|emperor|empress|lord|lady|captain|general|senator)"
    r"\.?\s+(?=\S+\s+\S)",
    re.I,
)
_APPOSITION = re.compile(r",\s+(?:the|an?|who|which|born)\s.*$")
_SURNAME_FIRST = re.compile(r"([A-Z][\w'’-]+),\s+([A-Z][\w'’-]+(?:\s[A-Z]\.?)?)")
_FEET = re.compile(r"(\d+)\s*['′’]\s*(\d+)\s*(?:\"|″|”|''|’’)")
_REMARK = re.compile(r"(?<=\S)\s*\([^()]*\)\.?$")
_YES_NO = re.compile(r"(yes|no|true|false)(?=$|[\s]*[,.;:!–—-])", re.I)
_CHOICE_LEAD = re.compile(r"^\(?[A-J]\)\s+(?=\S)")
_NOUN = re.compile(r"(?P<number>-?\d+(?:\.\d+)?)(?: [a-z]+){1,3}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?) ([a-z/ ]+?)(?= -?\d|$)")


def normalize(text: str) -> str:
    """``text`` as the papers compare it. What would become empty (``"The"``, ``"?"``) is only lower-cased."""
    folded = unicodedata.normalize("NFKC", text).lower().strip()
    marked = _MINUS.sub("\ue001", _DECIMAL_POINT.sub("\ue000", folded))
    bare = "".join(c for c in marked if not _is_punctuation(c))
    words = _ARTICLE.sub(" ", bare)
    for stand_in, char in _KEEP.items():
        words = words.replace(stand_in, char)
    return " ".join(words.split()) or folded


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P") or char in "$+<=>^`|~"


def exact_match(prediction: str, answer: str) -> bool:
    """Whether the two are the same once normalised."""
    return bool(prediction.strip()) and normalize(prediction) == normalize(answer)


def token_f1(prediction: str, answer: str) -> float:
    """The harmonic mean of precision and recall over normalised words, in [0, 1]; 1 where both have no words.

    >>> token_f1("Barack Obama", "Barack Hussein Obama")
    0.8
    """
    predicted, gold = Counter(normalize(prediction).split()), Counter(normalize(answer).split())
    if not predicted or not gold:
        return float(predicted == gold)
    return 2 * (predicted & gold).total() / (predicted.total() + gold.total())


def contains(prediction: str, answer: str) -> bool:
    """Whether the normalised answer stands in the normalised prediction, as whole words.

    >>> contains("He was born in Ulm, Germany.", "Ulm"), contains("Ulmer", "Ulm")
    (True, False)
    """
    gold = normalize(answer)
    return bool(gold) and f" {gold} " in f" {normalize(prediction)} "


@dataclass(frozen=True, slots=True)
class Measures:
    """The best of the papers' measures over the gold answer and its aliases."""

    exact_match: bool
    f1: float
    contains: bool


def measure(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Measures:
    """All three measures of a prediction; none of them holds for one longer than ``MAX_CHARS``."""
    if len(prediction) > MAX_CHARS:
        return Measures(False, 0.0, False)
    golds = (answer, *aliases)
    return Measures(
        any(exact_match(prediction, g) for g in golds),
        max(token_f1(prediction, g) for g in golds),
        any(contains(prediction, g) for g in golds),
    )


def grade(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """Correct where the prediction says what the answer or one of its aliases says."""
    golds = (answer, *aliases)
    if len(prediction) > MAX_CHARS:
        same = prediction.strip() == answer.strip()
        reason = "same text" if same else f"longer than {MAX_CHARS} characters"
        return Score(correct=same, extracted=prediction[:100], grader="short", reason=reason)
    extracted = normalize(prediction)
    for gold in golds:
        how = _how_same(prediction, gold)
        if how:
            reason = how if gold is answer else f"{how} with the alias {gold!r}"
            return Score(correct=True, extracted=extracted, grader="short", reason=reason)
    best = max(token_f1(prediction, gold) for gold in golds)
    return Score(correct=False, extracted=extracted, grader="short", reason=f"no match; F1 {best:.2f}")


# --- the verdict ------------------------------------------------------------------------------------------------------


def _how_same(prediction: str, gold: str) -> str:
    """Why two answers are the same; ``""`` where they are not."""
    said, meant = (words_of(with_strokes(t)).strip() for t in (prediction, gold))
    if not said or not meant:
        return ""
    if said.casefold() == meant.casefold():
        return "exact match"
    if max(len(said), len(meant)) > _MAX_CAREFUL:
        return "exact match" if exact_match(said, meant) else ""
    if (choice := same_choice(_LEAD.sub("", said), meant)) is not None:
        return "same choice" if choice else ""
    said, meant = (_FEET.sub(r"\1 feet \2 inches", _LEAD.sub("", t)) for t in (said, meant))
    verdict = _same_yes_no(said, meant)
    if verdict is None:
        verdict = same_time(said, meant)
    if verdict is None:
        verdict = _same_date(said, meant)
    if verdict is not None:
        return "same value" if verdict else ""
    forms = dict.fromkeys(((said, meant), (amount(said), amount(meant)), (_in_full(said), _in_full(meant))))
    return next((how for a, b in forms if (how := _how_same_amount(a, b))), "")


def _in_full(text: str) -> str:
    return in_full(amount(text))


def _how_same_amount(said: str, meant: str) -> str:
    verdict = _same_quantity(_HEDGE.sub("", said), _HEDGE.sub("", meant))
    if verdict is not None:
        return "same value" if verdict else ""
    return _same_words(said, meant)


def _same_yes_no(said: str, meant: str) -> bool | None:
    gold = meant.lower().strip(" .!")
    if gold not in ("yes", "no"):
        return None
    match = _YES_NO.match(said)
    return match is not None and {"true": "yes", "false": "no"}.get(match[1].lower(), match[1].lower()) == gold


def _same_date(said: str, meant: str) -> bool | None:
    """Whether a date says all that the gold date says: a day where only the year was asked for is right."""
    a, b = parse_dates(said), parse_dates(meant)
    if a is None or b is None:
        return None
    return len(a) == len(b) and all(x.says(y) for x, y in zip(a, b, strict=True))


def _same_words(said: str, meant: str) -> str:
    a, b = plain(said), plain(meant)
    if same_plain(a, b):
        return "exact match" if exact_match(said, meant) else "same words"
    if not a and not b:
        return "exact match" if exact_match(said, meant) else ""
    # What one of them adds and the other leaves out; never both, or Paris, Texas were Paris, France.
    if any(same_plain(plain(v), b) for v in _shorter(said)) or any(same_plain(a, plain(v)) for v in _shorter(meant)):
        return "same but for an addition"
    return ""


def _shorter(text: str) -> Iterator[str]:
    """``text`` without what may be left out: a remark, a letter, an office, a hedge, a region."""
    for pattern in (_REMARK, _CHOICE_LEAD, _TITLE, _HEDGE, _APPOSITION):
        bare = pattern.sub("", text)
        if bare != text:
            yield bare
    surname_first = _SURNAME_FIRST.fullmatch(text)
    if surname_first:
        yield f"{surname_first[2]} {surname_first[1]}"
    head, comma, tail = text.rstrip(".").rpartition(",")
    while comma and (" ".join(tail.lower().split()) in REGIONS or tail.strip() in STATE_CODES):
        yield head
        head, comma, tail = head.rpartition(",")


# --- quantities -------------------------------------------------------------------------------------------------------


def _same_quantity(said: str, meant: str) -> bool | None:
    """A verdict on two numbers with units, or one with and one without; None for anything else."""
    x, y = _quantity(plain(said)), _quantity(plain(meant))
    if x is not None and y is not None:
        return x == y
    for one, other in ((said, meant), (meant, said)):
        if _NUMBER.fullmatch(plain(one)):
            counted = _NOUN.fullmatch(plain(other))
            is_name = re.search(r"\s[A-Z]", other)  # 12 Monkeys is no twelve
            return None if counted is None or is_name else counted["number"] == plain(one)
    return None


def _quantity(text: str) -> tuple[Fraction, tuple[tuple[str, int], ...]] | None:
    """The size in base units and the dimensions of ``100 km``, ``5 feet 11 inches``, ``dollar 5000000``."""
    money = re.fullmatch(r"(dollar|euro|yen) (-?\d+(?:\.\d+)?)", text)
    if money:
        text = f"{money[2]} {money[1]}"
    pieces = list(_QUANTITY.finditer(text))
    if not pieces or " ".join(p[0] for p in pieces) != text:
        return None
    units: list[Unit | None] = [parse_unit(p[2]) for p in pieces]
    first = units[0]
    if first is None or first.n_pi or any(u is None or u.dimensions != first.dimensions for u in units):
        return None
    sizes = (Fraction(p[1]) * u.size for p, u in zip(pieces, units, strict=True) if u is not None)
    return sum(sizes, Fraction(0)), first.dimensions
