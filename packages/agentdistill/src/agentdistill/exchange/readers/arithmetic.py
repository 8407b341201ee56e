"""Arithmetic in written solutions: expressions as Python's, the numbers in a text, the equations of a line.

An expression holds numbers, + - * / ** // % and parentheses.
"""

from __future__ import annotations

import ast
import contextlib
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Number = int | float

_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_AS_PYTHON = str.maketrans({"×": "*", "÷": "/", "−": "-", "–": "-", "^": " ** ", "x": "*", "X": "*", "$": " "})
_COMMAS = re.compile(r"(?<=\d),(?=\d{3})")
_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")
_PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)%(?!\s*[\d(])")
_LARGEST = 10**15


class Unreadable(ValueError):
    """A text that is no arithmetic."""


def parse(text: str) -> ast.expr:
    """The expression that ``text`` writes; ``20%`` is 20 / 100. Raises Unreadable for anything else than arithmetic.

    >>> ast.unparse(parse("$1,000 x 20%"))
    '1000 * (20 / 100)'
    """
    python = _ZEROS.sub("", _COMMAS.sub("", text.translate(_AS_PYTHON)))
    python = _PERCENT.sub(r"(\1/100)", python).strip().lstrip("+ ")
    try:
        return _plain(ast.parse(python, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise Unreadable(text) from e


def _plain(node: ast.expr) -> ast.expr:
    """The expression with whole numbers as such (``18.00`` as 18) and no sign but minus."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return ast.Constant(int(value) if value == int(value) and abs(value) < _LARGEST else value)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return ast.BinOp(_plain(left), op, _plain(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return ast.UnaryOp(ast.USub(), _plain(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _plain(operand)
    raise Unreadable(ast.unparse(node))


def value(node: ast.expr, variables: Mapping[str, Number]) -> Number:
    """What Python computes. Raises Unreadable where it would raise, and for numbers too large to be meant."""
    try:
        out = _value(node, variables)
    except (ArithmeticError, TypeError) as e:
        raise Unreadable(ast.unparse(node)) from e
    if isinstance(out, complex) or abs(out) > _LARGEST:
        raise Unreadable(ast.unparse(node))
    return out


def _value(node: ast.expr, variables: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant(value=int() | float() as constant):
            return constant
        case ast.Name(id=name):
            return variables[name]
        case ast.UnaryOp(operand=operand):
            return -_value(operand, variables)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, variables), _value(right, variables)
            if isinstance(op, ast.Pow) and (abs(a) > 1000 or abs(b) > 20):
                raise ArithmeticError("a power too large")
            return _OPERATORS[type(op)](a, b)
    raise Unreadable(ast.unparse(node))


def number(text: str) -> Number:
    """The number that ``$1,250.00`` or ``.5`` writes. Raises Unreadable for anything else."""
    node = parse(text)
    return value(node, {})


def same(a: Number, b: Number) -> bool:
    """Whether two numbers are equal but for what floating point makes of them."""
    return abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b))


def literals(node: ast.expr) -> list[ast.Constant]:
    """The numbers of an expression, from left to right."""
    match node:
        case ast.BinOp(left=left, right=right):
            return literals(left) + literals(right)
        case ast.UnaryOp(operand=operand):
            return literals(operand)
    return [node] if isinstance(node, ast.Constant) else []


# --- numbers in a text ------------------------------------------------------------------------------------------------


NUMERAL = re.compile(r"-?\$?\s?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?:/\d+)?\s?%?")


_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred")
NUMBER_WORDS: dict[str, int] = {w: n for n, w in enumerate(_ONES)} | {w: 10 * n for n, w in enumerate(_TENS, 2)}
NUMBER_WORDS["hundred"] = 100
_TOLD_BY: dict[str, tuple[Number, ...]] = {
    "half": (2, 0.5), "halves": (2,), "twice": (2,), "double": (2,), "doubled": (2,), "doubles": (2,), "both": (2,),
    "couple": (2,), "pair": (2,), "triple": (3,), "thrice": (3,), "third": (3,), "thirds": (3,), "quarter": (4, 0.25),
    "quarters": (4,), "fourth": (4,), "fourths": (4,), "dozen": (12,), "dozens": (12,), "fifth": (5,), "tenth": (10,),
}  # fmt: skip


def numerals(text: str) -> set[Number]:
    """The numbers that a text writes in digits (of ``3/4`` both and the fraction) or as ``twelve``, without signs."""
    out: set[Number] = set()
    for match in NUMERAL.finditer(text):
        whole = match[0].replace("%", "").strip()
        for part in (whole, *whole.split("/")):
            with contextlib.suppress(Unreadable):
                out.add(abs(number(part)))
    words = re.findall(r"[a-z]+", text.lower())
    return out | {NUMBER_WORDS[w] for w in words if w in NUMBER_WORDS}


def numbers(text: str) -> set[Number]:
    """The numbers that a text holds, those of ``half`` (2 and 0.5) or ``dozen`` included."""
    words = re.findall(r"[a-z]+", text.lower())
    return numerals(text).union(*(_TOLD_BY.get(w, ()) for w in words))


# --- equations --------------------------------------------------------------------------------------------------------


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
        found += _unannotated(line, begin, match.start())
        start = _begin(line, max([begin, *(e.end for e in found[-1:])]), match.start())
        begin = match.end()
        try:
            expression = parse(match[2])
        except Unreadable:
            continue
        if any(isinstance(n, ast.BinOp) for n in ast.walk(expression)):
            units = _units(expression, line[start : match.start()])
            found.append(Equation(start, match.end(), expression, _said(match[3]), units))
    return found + _unannotated(line, begin, len(line))


def _said(text: str) -> Number | None:
    try:
        return number(text.rstrip("% "))
    except Unreadable:
        return None


def _unannotated(line: str, begin: int, end: int) -> list[Equation]:
    """Equations without an annotation, where both sides are equal."""
    found: list[Equation] = []
    for match in _PLAIN.finditer(line, begin, end):
        start = _begin(line, found[-1].end if found else begin, match.start())
        written = line[start : match.start()].rpartition("=")[2]
        try:
            expression = parse(_formula(written))
            said = number(match[1])
            fits = same(value(expression, {}), said)
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
                out.append((number(token[0].rstrip("%")), ()))
            except Unreadable:
                return ()
        elif token.lastgroup == "word" and token[0] not in _OPERATOR_WORDS and out:
            out[-1] = (out[-1][0], (*out[-1][1], token[0].lower()))
    numbers = [n.value for n in literals(expression)]
    return tuple(u for _, u in out) if [n for n, _ in out] == numbers else ()


def relate(units: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether a number with these words behind it may be a result with those: they share a word, or none is known."""
    return not units or not phrase or bool(set(_stems(units)) & set(_stems(phrase)))


def _stems(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        yield re.sub(r"(?:ies|es|s|y)\Z", "", word.lower()) or word
