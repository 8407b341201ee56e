"""Sums of money and large numbers as people write them: ``US$29``, ``29 €``, ``70k``, ``7x10^4``."""

from __future__ import annotations

import re
from decimal import Decimal

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
