"""Arithmetic as people write it in a solution, as Python expressions: numbers, + - * / ** // % and parentheses."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

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


def names(node: ast.expr) -> set[str]:
    """The variables of an expression."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
