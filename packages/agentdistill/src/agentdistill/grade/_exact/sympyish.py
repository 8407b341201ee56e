"""What sympy and Python print: ``Rational(1, 2)``, ``Interval.open(0, 1)``, ``Matrix([[1, 2]])``. Read, never run."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from agentdistill.grade._exact.tree import (
    EULER,
    INFINITY,
    REALS,
    Braces,
    Call,
    Matrix,
    Node,
    Num,
    Relation,
    Seq,
    Sym,
    Union,
    Unread,
)

if TYPE_CHECKING:
    from agentdistill.grade._exact.formula import Formula

_SAME = ("Integer", "Float")
_SETS = ("FiniteSet", "set", "frozenset")


def call(formula: Formula, name: str) -> Node:
    """A call by its printed name; the name has been read."""
    ends = ""
    if formula.on("."):
        formula.take()
        ends = formula.take().text
    if name in ("EmptySet", "Reals"):
        return Braces(()) if name == "EmptySet" else REALS
    formula.expect("(")
    items, _ = formula.items_until(")")
    if name == "Interval" and len(items) >= 2:
        return _interval(items, ends)
    return _plain(name, items)


def _plain(name: str, items: tuple[Node, ...]) -> Node:
    match name, items:
        case (("Rational" | "Fraction"), (top, bottom)):
            return Call("/", (top, bottom))
        case (("Matrix" | "array"), (Seq(items=rows),)):
            return _matrix(rows)
        case "Union", _ if items:
            return Union(items)
        case "Eq", (left, right):
            return Relation(("=",), (left, right))
        case (("Abs" | "exp" | "sqrt"), (inner,)):
            return {
                "Abs": Call("abs", (inner,)),
                "exp": Call("^", (EULER, inner)),
                "sqrt": Call("root", (inner, Num(Fraction(2)))),
            }[name]
        case (("binomial" | "comb"), (top, bottom)):
            return Call("binomial", (top, bottom))
        case "FiniteSet", _:
            return Braces(items)
        case _, (inner,) if name in _SAME:
            return inner
        case _, (Seq(items=inside) | Braces(items=inside),) if name in _SETS:
            return Braces(inside)
        case (("list" | "tuple"), (Seq(items=inside),)):
            return Seq("[", "]", inside) if name == "list" else Seq("(", ")", inside)
        case _ if name in _SETS and not items:
            return Braces(())
    raise Unread(f"{name}(…) is not read here")


def _matrix(rows: tuple[Node, ...]) -> Node:
    cells = [r.items if isinstance(r, Seq) else (r,) for r in rows]
    if not cells or len({len(r) for r in cells}) > 1 or not cells[0]:
        raise Unread("the rows of a matrix differ in length")
    return Matrix(tuple(cells))


def _interval(items: tuple[Node, ...], ends: str) -> Node:
    """``Interval(a, b, left_open, right_open)`` and its short forms. An infinite end is open, however it is printed."""
    flags = [isinstance(i, Sym) and i.name == "True" for i in items[2:4]] + [False, False]
    left = ends in ("open", "Lopen") or flags[0] or items[0] in (Call("neg", (INFINITY,)), INFINITY)
    right = ends in ("open", "Ropen") or flags[1] or items[1] == INFINITY
    return Seq("(" if left else "[", ")" if right else "]", items[:2])
