"""Units of measure, so that 0.05 m is 5 cm and 30 mph is not 30 km/h. Facts of the SI and of the international yard."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cache


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
