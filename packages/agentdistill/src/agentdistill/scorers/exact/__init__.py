"""Strict, exact comparison of mathematical answers, with nothing in common with math-verify but the question.

Both answers are read whole, by a grammar of their own, into trees; what is not understood is not decided. Rational
numbers are compared exactly, irrational ones to forty digits, expressions with variables at several points, sets,
intervals, tuples and matrices by their parts. There is no sympy in it, nothing is evaluated as Python, and every step
has a bound, so that it needs no process to be killed.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from fractions import Fraction

from agentdistill.scorers.exact.equality import Comparison
from agentdistill.scorers.exact.parser import Formula, compound
from agentdistill.scorers.exact.syntax import (
    FUNCTIONS,
    INFINITY,
    PYTHON,
    REALS,
    Assigned,
    Based,
    Braces,
    Call,
    Expression,
    Listing,
    Num,
    Quantity,
    Relation,
    Seq,
    Sym,
    TooMuch,
    Union,
    Unread,
    Words,
    spelled,
    symbols,
    tokenize,
)  # fmt: skip
from agentdistill.scorers.text import cardinal, number_in_words, parse_unit

TIME_LIMIT_S = 2.0
"""For one comparison. What takes longer is not decided."""


@dataclass(frozen=True, slots=True)
class Match:
    """Whether two answers are the same, and why; ``correct`` is None where that cannot be told."""

    correct: bool | None
    reason: str


def compare(prediction: str, gold: str) -> Match:
    """Whether two answers are the same; undecided where either cannot be read. Never raises, on any text.

    >>> compare("0.5", r"\\frac{1}{2}").correct, compare("[1, 2)", "[1, 2]").correct
    (True, False)
    """
    deadline = time.monotonic() + TIME_LIMIT_S
    try:
        meant = read(gold)
    except (Unread, RecursionError) as e:
        return Match(None, f"the gold answer: {e}")
    try:
        same = Comparison(deadline).same(read(prediction), meant)
    except (Unread, RecursionError) as e:
        return Match(None, str(e))
    if same is None:
        return Match(None, "not decided")
    return Match(same, "same value" if same else "another value")


# --- reading ----------------------------------------------------------------------------------------------------------

MAX_CHARS = 2000
_BASED = re.compile(
    r"(?P<numeral>-?(?=[0-9A-Z]*\d)[0-9A-Z]+)\s*(?:_\s*\{?|\(?\s*(?:in\s+)?base[-\s])\s*(?P<base>\d{1,2}|[a-z]+)\s*[})]?"
)
_BUILDER = re.compile(r"\\?\{\s*[a-z]\s*(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?(?:\\mid|\\vert|\||:)(.*)\\?\}", re.DOTALL)
_WITH_CHOICE = re.compile(r"\(([A-Z])\)\s+[^-+*/^=].*")
_CHOICE = re.compile(r"\(?[A-Za-z]\)?")
_LONG = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_PERCENT = re.compile(r"\s*(?:percent|per cent)$", re.I)
_NOTHING = (
    "no solution",
    "no solutions",
    "no real solution",
    "no real solutions",
    "empty set",
    "the empty set",
    "none",
)
_EVERYTHING = ("all real numbers", "all reals", "the real numbers", "real numbers", "any real number")
_OPPOSITE = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
_NEGATIVE = Call("neg", (INFINITY,))


def read(text: str) -> Expression:
    """The tree of an answer. Raises Unread where it is no answer of any form that is known here."""
    if len(text) > MAX_CHARS:
        raise TooMuch(f"longer than {MAX_CHARS} characters")
    bare = spelled(text)
    if not bare:
        raise Unread("empty")
    based = _BASED.fullmatch(bare)
    if based:
        base = cardinal([based["base"]]) if based["base"].isalpha() else int(based["base"])
        if base:
            return Based(based["numeral"], base)
    if _CHOICE.fullmatch(bare) and ("(" in bare or "\\text" in text):
        return Words(bare.strip("()").lower())
    if with_choice := _WITH_CHOICE.fullmatch(bare):
        return Words(with_choice[1].lower())
    if builder := _BUILDER.fullmatch(bare):
        bare = builder[1].removesuffix("\\")
    said = number_in_words(_PERCENT.sub("", bare))
    if said is not None:
        return Call("percent", (Num(said),)) if _PERCENT.search(bare) else Num(said)
    try:
        python = "*" in bare or any(f"{name}(" in bare for name in PYTHON)
        return normal(Formula(tokenize(bare), python=python and "\\" not in bare).answer())
    except TooMuch:
        raise
    except Unread:
        if not _is_words(bare):
            raise
    words = " ".join(re.findall(r"\w+", bare.lower()))
    return Braces(()) if words in _NOTHING else REALS if words in _EVERYTHING else Words(words)


def _is_words(text: str) -> bool:
    """Whether a text is a name or a sentence, with no mathematics in it."""
    if re.search(r"[\d\\^=<>{}+*/|]", text):
        return False
    return any(w not in FUNCTIONS for w in _LONG.findall(text))


# --- one form for what can be written in several --------------------------------------------------------------------


def normal(node: Expression) -> Expression:
    """Both values of ±, inequalities as intervals, equations of a system as its solution, degrees as a quantity."""
    if isinstance(node, Listing):
        return _listing(node)
    if isinstance(node, Braces):
        return Braces(tuple(n for i in node.items for n in _expanded(i)))
    if isinstance(node, Relation):
        return _relation(node)
    if isinstance(node, Call):
        both = _expanded(node)
        return Listing(both) if len(both) > 1 else _quantity(node)
    return node


def _listing(node: Listing) -> Expression:
    items = [normal(i) for i in node.items]
    if all(isinstance(i, Union) for i in items) and node.word == "or":
        return Union(tuple(p for i in items if isinstance(i, Union) for p in i.parts))
    if node.word == "and":
        both = _overlap(items) or _sum(items)
        if both is not None:
            return both
    equations = [i for i in items if isinstance(i, Relation) and i.ops == ("=",) and isinstance(i.sides[0], Sym)]
    if len(equations) == len(items):
        named = {i.sides[0].name for i in equations if isinstance(i.sides[0], Sym)}
        if len(named) == len(items):
            pairs = [(i.sides[0].name, i.sides[1]) for i in equations if isinstance(i.sides[0], Sym)]
            return Assigned(tuple(sorted(pairs, key=lambda p: p[0])))
        if len(named) == 1:
            items = [normal(i.sides[1]) for i in equations]
    flat = [n for i in items for n in (i.items if isinstance(i, Listing) else (i,))]
    return Listing(tuple(flat), node.word)


def _overlap(items: list[Expression]) -> Expression | None:
    """``x > 1 and x < 3``: two rays that face each other."""
    rays = [i.parts[0] for i in items if isinstance(i, Union) and len(i.parts) == 1]
    rays = [r for r in rays if isinstance(r, Seq)]
    if len(rays) != 2 or len(items) != 2:
        return None
    up = [r for r in rays if isinstance(r, Seq) and r.items[1] == INFINITY]
    down = [r for r in rays if isinstance(r, Seq) and r.items[0] == _NEGATIVE]
    if len(up) != 1 or len(down) != 1:
        return None
    return Union((Seq(up[0].opening, down[0].closing, (up[0].items[0], down[0].items[1])),))


def _sum(items: list[Expression]) -> Expression | None:
    """``1 hour and 30 minutes``: quantities of one kind in units that grow smaller."""
    quantities = [i for i in items if isinstance(i, Quantity) and i.unit is not None]
    if len(quantities) != 2 or len(items) != 2:
        return None
    first, second = quantities
    if first.unit is None or second.unit is None or first.unit.dimensions != second.unit.dimensions:
        return None
    if first.unit.size <= second.unit.size:
        return None
    return compound(first, second)


def _relation(node: Relation) -> Expression:
    if node.ops == ("in",):
        return normal(node.sides[1])
    if node.ops == ("=",) and isinstance(node.sides[1], Sym) and not isinstance(node.sides[0], Sym):
        node = Relation(node.ops, node.sides[::-1])
    if node.ops == ("=",):
        node = Relation(node.ops, (node.sides[0], normal(node.sides[1])))
    if "in" in node.ops:
        raise Unread("a chain with ∈ in it")
    return _interval(node) or node


def _interval(node: Relation) -> Expression | None:
    """An inequality of one variable as the interval that it is; None for any other relation."""
    at = [i for i, side in enumerate(node.sides) if isinstance(side, Sym) and symbols(side) and side != INFINITY]
    others = [s for i, s in enumerate(node.sides) if i not in at]
    if len(at) != 1 or "=" in node.ops or any(symbols(o) - {INFINITY.name} for o in others):
        return None
    if node.ops == ("!=",):
        (value,) = others
        return Union((Seq("(", ")", (_NEGATIVE, value)), Seq("(", ")", (value, INFINITY))))
    low: Expression = _NEGATIVE
    high: Expression = INFINITY
    opening, closing = "(", ")"
    ends: dict[str, tuple[Expression, str]] = {}
    for i, op in enumerate(node.ops):
        if at[0] not in (i, i + 1) or op == "!=":
            return None
        value, facing = (node.sides[i + 1], op) if at[0] == i else (node.sides[i], _OPPOSITE[op])
        if facing[0] in ends:
            return None
        ends[facing[0]] = value, facing
    low, opening = (ends[">"][0], "[" if ends[">"][1] == ">=" else "(") if ">" in ends else (low, opening)
    high, closing = (ends["<"][0], "]" if ends["<"][1] == "<=" else ")") if "<" in ends else (high, closing)
    return Union((Seq(opening, closing, (low, high)),))


def _quantity(node: Call) -> Expression:
    """``60^\\circ`` standing alone is a quantity; inside a function it is a number."""
    if node.name == "degree":
        return Quantity(node.args[0], parse_unit("degree"))
    if node.name == "neg":
        inner = _quantity(node.args[0]) if isinstance(node.args[0], Call) else node.args[0]
        if isinstance(inner, Quantity):
            return Quantity(Call("neg", (inner.amount,)), inner.unit)
    return node


def _expanded(node: Expression) -> tuple[Expression, ...]:
    """Both values of an expression with one ±; of an expression without, itself."""
    n = _count(node)
    if n == 0:
        return (node,)
    if n > 1:
        raise Unread("several ±")
    return _chosen(node, 1), _chosen(node, -1)


def _count(node: Expression) -> int:
    return (node.name == "pm") + sum(map(_count, node.args)) if isinstance(node, Call) else 0


def _chosen(node: Expression, sign: int) -> Expression:
    if not isinstance(node, Call):
        return node
    args = tuple(_chosen(a, sign) for a in node.args)
    if node.name != "pm":
        return Call(node.name, args)
    right = args[1] if sign > 0 else Call("neg", (args[1],))
    return right if args[0] == Num(Fraction(0)) else Call("+", (args[0], right))
