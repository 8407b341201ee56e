"""Reading one value: numbers, names, brackets, commands, functions, matrices."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from agentdistill.grade._exact import names, sympyish
from agentdistill.grade._exact.tokens import STOP, Token
from agentdistill.grade._exact.tree import (
    EULER,
    REALS,
    Braces,
    Call,
    Matrix,
    Node,
    Num,
    Quantity,
    Relation,
    Seq,
    Sym,
    Unread,
)
from agentdistill.grade._units import parse_unit

if TYPE_CHECKING:
    from agentdistill.grade._exact.formula import Formula

_FRACTIONS = frozenset(("frac", "dfrac", "tfrac", "cfrac"))
_BINOMIALS = frozenset(("binom", "dbinom", "tbinom"))
_ROUNDING = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil"), "lvert": ("rvert", "abs")}
_FIELDS = {"R": REALS, "Z": Sym("\\Z"), "N": Sym("\\N"), "Q": Sym("\\Q"), "C": Sym("\\C")}


def primary(formula: Formula, *, short: bool = False) -> Node:
    """One value. ``short``: of a word only its first letter, as an exponent or a bare argument is."""
    token = formula.take()
    if token.number is not None:
        if formula.on("_"):
            raise Unread("a numeral in another base inside a formula")
        return token.number
    if token.kind == "word":
        return _word(formula, token, short)
    if token.kind == "cmd":
        return _command(formula, token.text)
    if token.kind == "sign":
        return _sign(formula, token.text)
    if token.kind == "begin":
        return _matrix(formula, token.text)
    raise Unread("a value is missing" if token is STOP else f"no value begins with {token.text!r}")


def _sign(formula: Formula, sign: str) -> Node:
    if sign == "(":
        return _round(formula)
    if sign in ("[", "]"):  # ]0, 1[ is the continental open interval
        items, closing = formula.items_until("]", ")", "[")
        opened = "(" if sign == "]" else "["
        return Seq(opened, {"[": ")"}.get(closing, closing), items)
    if sign == "{":
        items, _ = formula.items_until("}")
        return items[0] if len(items) == 1 else Braces(items)
    if sign == "|":
        return Call("abs", (formula.between_bars(),))
    raise Unread(f"no value begins with {sign!r}")


def _round(formula: Formula) -> Node:
    """Round brackets: a group where one value stands in them, else a sequence."""
    items, closing = formula.items_until(")", "]", "[")
    closing = {"[": ")"}.get(closing, closing)
    if len(items) == 1 and closing == ")" and not isinstance(items[0], Relation):
        return items[0]
    return Seq("(", closing, items)


# --- words and commands ---------------------------------------------------------------------------------------------


def _word(formula: Formula, token: Token, short: bool) -> Node:
    text = names.SAME.get(token.text, token.text)
    if token.text in names.PYTHON and (formula.on("(") or formula.on(".")):
        return sympyish.call(formula, token.text)
    if text in names.FUNCTIONS:
        return _function(formula, text)
    if token.text in names.CONSTANTS and len(token.text) > 1:
        return names.CONSTANTS[token.text]
    if token.text in ("True", "False"):
        return Sym(token.text)
    if token.text in names.GREEK:
        return formula.name(names.VARIANTS.get(token.text, token.text))
    if len(token.text) > 2 and not short:
        raise Unread(f"{token.text!r} is no name in a formula")
    first, rest = token.text[0], token.text[1:]
    if rest:
        formula.put_back(replace(token, text=rest, spaced=False))
    return formula.name(first)


def _command(formula: Formula, name: str) -> Node:
    if name in _FRACTIONS:
        top = formula.argument()
        return Call("/", (top, formula.argument()))
    if name in _BINOMIALS:
        top = formula.argument()
        return Call("binomial", (top, formula.argument()))
    if name == "sqrt":
        return _root(formula)
    if name == "\\{":
        items, _ = formula.items_until("\\}")
        return Braces(items)
    if name == "langle":
        items, _ = formula.items_until("rangle")
        return Seq("<", ">", items)
    if name in _ROUNDING:
        closing, function = _ROUNDING[name]
        inner = formula.sum()
        formula.expect(closing)
        return Call(function, (inner,))
    if name == "mathbb":
        letters = formula.argument()
        return _FIELDS.get(letters.name if isinstance(letters, Sym) else "") or letters
    if name in names.CURRENCY:
        return Quantity(formula.product(), parse_unit(names.CURRENCY[name]))
    return _named(formula, name)


def _named(formula: Formula, name: str) -> Node:
    if name in names.CONSTANTS:
        return names.CONSTANTS[name]
    if name.startswith("vec@"):
        return formula.name(name)
    if name in names.GREEK:
        return formula.name(names.VARIANTS.get(name, name))
    if names.SAME.get(name, name) in names.FUNCTIONS:
        return _function(formula, names.SAME.get(name, name))
    raise Unread(f"\\{name} is not read here")


def _root(formula: Formula) -> Node:
    index: Node = Num(Fraction(2))
    if formula.on("["):
        formula.take()
        items, _ = formula.items_until("]")
        if len(items) != 1:
            raise Unread("a root with several indices")
        index = items[0]
    token = formula.peek()
    if token.number is not None and len(token.text) > 1:
        raise Unread(r"\sqrt12 could be of 1 or of 12")
    return Call("root", (formula.argument(), index))


def _function(formula: Formula, name: str) -> Node:
    power: Node | None = None
    base: Node | None = None
    while formula.on("^", "_"):
        if formula.take().text == "^":
            power = formula.exponent()
        else:
            base = formula.argument()
    if isinstance(power, Call) and power == Call("neg", (Num(Fraction(1), 0, 1),)):
        name, power = "arc" + name, None
    arguments = _arguments(formula)
    if name == "log" and base is not None:
        node = Call("logarithm", (*arguments, base))
    elif name == "exp":
        node = Call("^", (EULER, *arguments))
    else:
        node = Call(name, arguments)
    if name in ("sqrt", "cbrt"):
        node = Call("root", (*arguments, Num(Fraction(2 if name == "sqrt" else 3))))
    return node if power is None else Call("^", (node, power))


def _arguments(formula: Formula) -> tuple[Node, ...]:
    r"""In brackets (``\sin(2x)``), or what follows up to a sign or another function (``\sin 2x \cos x``)."""
    if formula.on("("):
        formula.take()
        items, _ = formula.items_until(")")
        return items
    if formula.on("{"):
        return (formula.argument(),)
    node = formula.power()
    while _continues(formula.peek()):
        node = Call("*", (node, formula.power()))
    return (node,)


def _continues(token: Token) -> bool:
    if token.kind == "word":
        return token.text not in names.FUNCTIONS | names.JOINING and len(token.text) <= 2
    return token.kind == "cmd" and (token.text in names.GREEK or token.text in _FRACTIONS or token.text == "pi")


# --- matrices -------------------------------------------------------------------------------------------------------


def _matrix(formula: Formula, environment: str) -> Node:
    if environment not in names.MATRICES:
        raise Unread(f"the environment {environment} is not read here")
    rows: list[tuple[Node, ...]] = []
    row: list[Node] = []
    while True:
        if formula.peek().kind == "end":
            break
        row.append(formula.sum())
        token = formula.peek()
        if formula.on("&"):
            formula.take()
        elif token.kind == "row":
            formula.take()
            rows.append(tuple(row))
            row = []
        elif token.kind != "end":
            raise Unread("a matrix is not closed")
    formula.take()
    if row:
        rows.append(tuple(row))
    if not rows or len({len(r) for r in rows}) > 1:
        raise Unread("the rows of a matrix differ in length")
    matrix = Matrix(tuple(rows))
    return Call("det", (matrix,)) if environment == "vmatrix" else matrix
