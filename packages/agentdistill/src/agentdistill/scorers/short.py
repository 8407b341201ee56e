"""Short answers (names, dates, numbers, yes or no): the papers' three measures, and a comparison of what is said.

Exact match and token F1 use the normalisation of SQuAD (Rajpurkar et al. 2016, evaluation script): lower case, no
punctuation, no articles, single spaces. Two departures, both of which only take away false matches or false misses: a
decimal point or a minus sign that belongs to a number stays (their 1.5 equals 15), and punctuation means Unicode's, not
ASCII's alone. Containment is whether a gold answer or an alias occurs in the prediction, word by word (Mallen et al.
2023, PopQA). The score compares what is said instead: numbers in words and digits, quantities with their units, dates
in any spelling, initials, accents, articles. It knows no middle names and no synonyms: those are what aliases are for.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from agentdistill.scorers.text import (
    ORDINALS,
    SCALES,
    TENS,
    UNITS,
    Unit,
    amount,
    cardinal,
    in_full,
    parse_unit,
    same_choice,
    same_date,
    same_time,
    with_strokes,
    words_of,
)  # fmt: skip
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


def score(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
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


# --- the comparison ---------------------------------------------------------------------------------------------------


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
    for compare in (_same_yes_no, same_time, same_date):
        if (same := compare(said, meant)) is not None:
            return "same value" if same else ""
    forms = dict.fromkeys(((said, meant), (amount(said), amount(meant)), (_in_full(said), _in_full(meant))))
    return next((how for a, b in forms if (how := _how_same_amount(a, b))), "")


def _in_full(text: str) -> str:
    return in_full(amount(text))


def _how_same_amount(said: str, meant: str) -> str:
    same = _same_quantity(_HEDGE.sub("", said), _HEDGE.sub("", meant))
    if same is not None:
        return "same value" if same else ""
    return _same_words(said, meant)


def _same_yes_no(said: str, meant: str) -> bool | None:
    gold = meant.lower().strip(" .!")
    if gold not in ("yes", "no"):
        return None
    match = _YES_NO.match(said)
    return match is not None and {"true": "yes", "false": "no"}.get(match[1].lower(), match[1].lower()) == gold


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
    """Whether two numbers with units are the same, or one with and one without; None for anything else."""
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


# --- one plain spelling -----------------------------------------------------------------------------------------------

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


# Regions that may follow the name of a place without changing which place is meant: Denver, Colorado.
_REGIONS = """
Afghanistan, Albania, Algeria, Andorra, Angola, Argentina, Armenia, Australia, Austria, Azerbaijan, Bahamas, Bahrain,
Bangladesh, Barbados, Belarus, Belgium, Belize, Benin, Bhutan, Bolivia, Bosnia and Herzegovina, Botswana, Brazil,
Brunei, Bulgaria, Burkina Faso, Burundi, Cambodia, Cameroon, Canada, Cape Verde, Chad, Chile, China, Colombia, Comoros,
Congo, Costa Rica, Croatia, Cuba, Cyprus, Czech Republic, Czechia, Denmark, Djibouti, Dominica, Dominican Republic,
East Timor, Ecuador, Egypt, El Salvador, England, Eritrea, Estonia, Eswatini, Ethiopia, Fiji, Finland, France, Gabon,
Gambia, Georgia, Germany, Ghana, Great Britain, Greece, Grenada, Guatemala, Guinea, Guyana, Haiti, Honduras, Hungary,
Iceland, India, Indonesia, Iran, Iraq, Ireland, Israel, Italy, Ivory Coast, Jamaica, Japan, Jordan, Kazakhstan, Kenya,
Kiribati, Kosovo, Kuwait, Kyrgyzstan, Laos, Latvia, Lebanon, Lesotho, Liberia, Libya, Liechtenstein, Lithuania,
Luxembourg, Madagascar, Malawi, Malaysia, Maldives, Mali, Malta, Mauritania, Mauritius, Mexico, Moldova, Monaco,
Mongolia, Montenegro, Morocco, Mozambique, Myanmar, Namibia, Nepal, Netherlands, New Zealand, Nicaragua, Niger, Nigeria,
North Korea, North Macedonia, Northern Ireland, Norway, Oman, Pakistan, Palau, Palestine, Panama, Papua New Guinea,
Paraguay, Peru, Philippines, Poland, Portugal, Qatar, Romania, Russia, Rwanda, Samoa, San Marino, Saudi Arabia,
Scotland, Senegal, Serbia, Seychelles, Sierra Leone, Singapore, Slovakia, Slovenia, Somalia, South Africa, South Korea,
South Sudan, Soviet Union, Spain, Sri Lanka, Sudan, Suriname, Sweden, Switzerland, Syria, Taiwan, Tajikistan, Tanzania,
Thailand, Togo, Tonga, Trinidad and Tobago, Tunisia, Turkey, Turkmenistan, Uganda, Ukraine, United Arab Emirates,
United Kingdom, UK, United States, United States of America, USA, US, Uruguay, Uzbekistan, Vanuatu, Venezuela, Vietnam,
Wales, Yemen, Zambia, Zimbabwe,
Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, Hawaii, Idaho, Illinois,
Indiana, Iowa, Kansas, Kentucky, Louisiana, Maine, Maryland, Massachusetts, Michigan, Minnesota, Mississippi, Missouri,
Montana, Nebraska, Nevada, New Hampshire, New Jersey, New Mexico, New York, North Carolina, North Dakota, Ohio,
Oklahoma, Oregon, Pennsylvania, Rhode Island, South Carolina, South Dakota, Tennessee, Texas, Utah, Vermont, Virginia,
Washington, West Virginia, Wisconsin, Wyoming,
Alberta, British Columbia, Manitoba, New Brunswick, Newfoundland and Labrador, Nova Scotia, Ontario,
Prince Edward Island, Quebec, Saskatchewan,
New South Wales, Queensland, South Australia, Tasmania, Victoria, Western Australia
"""
REGIONS = frozenset(" ".join(name.split()).lower() for name in _REGIONS.replace("\n", " ").split(","))
"""Countries, the states of the United States and Australia, the provinces of Canada; lower case."""

_CODES = """AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK
    OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC D.C"""
STATE_CODES = frozenset(_CODES.split())
"""The postal codes of the states of the United States."""
