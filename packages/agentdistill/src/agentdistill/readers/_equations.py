"""The equations of a written solution: where they stand in a line, what they compute, what they are said to give."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentdistill.readers import _arithmetic as arithmetic
from agentdistill.readers._arithmetic import Number, Unreadable

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)"
_ANNOTATED = re.compile(rf"(=?\s*\$?\s*)<<([^<>]*)=([^<>=]*)>>\s*(-?\$?\s*{_NUMBER}%?)?")
_PLAIN = re.compile(rf"\s*=\s*(\$?\s*{_NUMBER})(?![\d%/*+]|\s*[-+*/x×÷=]|\.\d)")
_TOKEN = re.compile(
    rf"(?P<unit>/\s?[A-Za-z]+)|(?P<word>[A-Za-z][\w'’]*(?:-[A-Za-z]+)*|\d+-[A-Za-z]+)|(?P<number>{_NUMBER}%?)"
    r"|(?P<op>[-+*/×÷−–()=])|(?P<other>\S)"
)
_OPERATOR_WORDS = {"x": "*", "X": "*", "times": "*", "plus": "+", "minus": "-"}
_UNITS = 6  # words that may stand behind a number of an equation


@dataclass(frozen=True, slots=True)
class Equation:
    """``line[start:end]`` writes it: its arithmetic, ``=`` and the result.

    ``said`` is the result as it is written; ``units`` the words behind each number of ``expression``, from left to
    right, empty where they are not known.
    """

    start: int
    end: int
    expression: ast.expr
    said: Number | None
    units: tuple[tuple[str, ...], ...] = ()


def equations(line: str) -> list[Equation]:
    """The annotated equations of a line, ``48/2 = <<48/2=24>>24``, and those written plainly that come out, in order.

    An annotation that is no arithmetic is left out, as is one that only repeats a number.
    """
    found: list[Equation] = []
    begin = 0
    for match in _ANNOTATED.finditer(line):
        found += _plain(line, begin, match.start())
        start = _begin(line, max([begin, *(e.end for e in found[-1:])]), match.start())
        begin = match.end()
        try:
            expression = arithmetic.parse(match[2])
        except Unreadable:
            continue
        if any(isinstance(n, ast.BinOp) for n in ast.walk(expression)):
            units = _units(expression, line[start : match.start()])
            found.append(Equation(start, match.end(), expression, _said(match[3]), units))
    return found + _plain(line, begin, len(line))


def _said(text: str) -> Number | None:
    try:
        return arithmetic.number(text.rstrip("% "))
    except Unreadable:
        return None


def _plain(line: str, begin: int, end: int) -> list[Equation]:
    """Equations without an annotation, where both sides are equal."""
    found: list[Equation] = []
    for match in _PLAIN.finditer(line, begin, end):
        start = _begin(line, found[-1].end if found else begin, match.start())
        written = line[start : match.start()].rpartition("=")[2]
        try:
            expression = arithmetic.parse(_formula(written))
            said = arithmetic.number(match[1])
            fits = arithmetic.same(arithmetic.value(expression, {}), said)
        except Unreadable:
            continue
        if fits and isinstance(expression, ast.BinOp):
            found.append(Equation(start, match.end(), expression, said, _units(expression, written)))
    return found


def _formula(written: str) -> str:
    """Only the numbers and operators of arithmetic with units: ``5 snakes/jaguar * 6 jaguars`` as ``5 * 6``."""
    tokens = _TOKEN.finditer(written)
    return " ".join(
        _OPERATOR_WORDS.get(t[0], t[0]) for t in tokens if t.lastgroup in ("number", "op") or t[0] in _OPERATOR_WORDS
    )


def _begin(line: str, floor: int, end: int) -> int:
    """Where the arithmetic that ends at ``end`` begins, not before ``floor``; ``end`` where there is none."""
    start, wants_operator, words = end, False, 0
    for token in reversed(list(_TOKEN.finditer(line, floor, end))):
        text, kind = token[0], token.lastgroup
        if kind == "op" or text in _OPERATOR_WORDS:
            wants_operator, words = text == "(", 0
            start = token.start() if text == "(" else start
        elif kind == "number" and not wants_operator:
            start, wants_operator, words = token.start(), True, 0
        elif text == "$":
            start = token.start() if wants_operator else start
        elif kind in ("word", "unit") and not wants_operator and words < _UNITS:
            words += 1
        else:
            break
    return start


def _units(expression: ast.expr, written: str) -> tuple[tuple[str, ...], ...]:
    """The words behind each number of what is written, where that has the numbers of the expression in its order."""
    out: list[tuple[Number, tuple[str, ...]]] = []
    for token in _TOKEN.finditer(written.rpartition("=")[2] if "=" in written.rstrip(" =$") else written):
        if token.lastgroup == "number":
            try:
                out.append((arithmetic.number(token[0].rstrip("%")), ()))
            except Unreadable:
                return ()
        elif token.lastgroup == "word" and token[0] not in _OPERATOR_WORDS and out:
            out[-1] = (out[-1][0], (*out[-1][1], token[0].lower()))
    numbers = [n.value for n in arithmetic.literals(expression)]
    return tuple(u for _, u in out) if [n for n, _ in out] == numbers else ()


def relate(units: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether a number with these words behind it may be a result with those: they share a word, or none is known."""
    return not units or not phrase or bool(set(_stems(units)) & set(_stems(phrase)))


def _stems(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        yield re.sub(r"(?:ies|es|s|y)\Z", "", word.lower()) or word
