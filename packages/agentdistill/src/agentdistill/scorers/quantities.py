"""Numbers in words, units of measure and sums of money, so that "half a dozen" is 6 and 0.05 m is 5 cm.

Units are those of the SI and of the international yard.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

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
_MAX_CHARS = 200


def number_in_words(text: str) -> Fraction | None:
    """The number that the whole of ``text`` says in words; None where it says anything else.

    >>> number_in_words("two hundred and five"), number_in_words("Minus three and a half")
    (Fraction(205, 1), Fraction(-7, 2))
    """
    if len(text) > _MAX_CHARS:
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
