"""The pieces of a formula: numbers, names, commands, signs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from agentdistill.grade._exact.tree import Num, TooMuch, Unread

MAX_TOKENS = 1200
_MAX_DIGITS = 1500
_MAX_EXPONENT = 2000
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s*\{(\d+)\}")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,6}(?![\d.]))?")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d|,\d)(?:\.\d+)?")
_SPACED = re.compile(r"\d{1,3}(?: \d{3})+(?![\d ])(?:\.\d+)?")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([a-z]+)(\*?)\}(?:\s*\{[clr| ]*\})?")
_NEWLINE = re.compile(r"\\\\(?:\[[^\]]*\])?(?:\s*\\hline)?")
_COMMAND = re.compile(r"\\(?:vec@[A-Za-z]+|[A-Za-z]+|.)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_SIGN = re.compile(r"\*\*|<=|>=|!=|==|=<|\|\||[-+*/^_!'=<>(){}\[\],;:&|%.]")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is ``num``, ``word``, ``cmd``, ``sign``, ``begin``, ``end``, ``row`` or ``stop``."""

    kind: str
    text: str
    number: Num | None = None
    spaced: bool = False
    """White space stands before it."""


STOP = Token("stop", "")


def tokenize(text: str) -> list[Token]:
    """The pieces of ``text``. Raises Unread at a character that belongs to no formula."""
    out: list[Token] = []
    at = depth = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token, end = _next(text, at, depth)
        depth += (token.text in _OPENING) - (token.text in _CLOSING) if token.kind == "sign" else 0
        out.append(Token(token.kind, token.text, token.number, at > 0 and text[at - 1].isspace()))
        at = end
        if len(out) > MAX_TOKENS:
            raise TooMuch("too many signs")
    return out


def _next(text: str, at: int, depth: int) -> tuple[Token, int]:
    if match := _REPEATING.match(text, at):
        return Token("num", match[0], _repeating(match)), match.end()
    # A comma between digits parts thousands, but inside brackets it parts items.
    grouped = None if depth else (_GROUPED.match(text, at) or _SPACED.match(text, at))
    if match := grouped or _NUMBER.match(text, at):
        return Token("num", match[0], number(match[0].replace(",", "").replace(" ", ""))), match.end()
    if match := _ENVIRONMENT.match(text, at):
        return Token(match[1], match[2]), match.end()
    if match := _NEWLINE.match(text, at):
        return Token("row", "\\\\"), match.end()
    if match := _COMMAND.match(text, at):
        return Token("cmd", _command(match[0])), match.end()
    if match := _WORD.match(text, at):
        return Token("word", match[0]), match.end()
    if match := _SIGN.match(text, at):
        return Token("sign", match[0]), match.end()
    raise Unread(f"no formula has {text[at]!r} in it")


def _command(text: str) -> str:
    r"""``\sin`` as ``sin``; ``\{`` keeps its stroke, which tells it from a group."""
    return text[1:] if text[1].isalpha() or text[1] == "%" else text


def number(text: str) -> Num:
    """A decimal as it is written, exactly. Raises TooMuch for what is absurdly long or large."""
    plain, _, exponent = text.lower().partition("e")
    power = int(exponent or 0)
    if len(plain) > _MAX_DIGITS or abs(power) > _MAX_EXPONENT:
        raise TooMuch("a number too large to work with")
    whole, _, decimals = plain.partition(".")
    value = Fraction(int((whole + decimals) or 0)) * Fraction(10) ** (power - len(decimals))
    return Num(value, max(0, len(decimals) - power), len((whole + decimals).lstrip("0")))


def _repeating(match: re.Match[str]) -> Num:
    whole, fixed, period = match[1] or "0", match[2], match[3]
    if len(whole + fixed + period) > _MAX_DIGITS:
        raise TooMuch("a number too long to work with")
    head = Fraction(int(whole + fixed), 10 ** len(fixed))
    return Num(head + Fraction(int(period), 10 ** len(fixed) * (10 ** len(period) - 1)))
