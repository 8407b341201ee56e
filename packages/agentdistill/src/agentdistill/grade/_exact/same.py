"""Whether two answers are the same, whatever their form: values, sets, intervals, tuples, matrices, equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentdistill.grade._exact.matrices import as_matrix, rows_of
from agentdistill.grade._exact.scalar import DIGITS, proportional, same_scalar
from agentdistill.grade._exact.tree import (
    INFINITY,
    REALS,
    Assigned,
    Based,
    Braces,
    Call,
    Listing,
    Matrix,
    Node,
    Num,
    Quantity,
    Ratio,
    Relation,
    Seq,
    Sym,
    Union,
    Unread,
    Words,
    symbols,
)
from agentdistill.grade._exact.value import Numbers

_NEGATIVE = Call("neg", (INFINITY,))
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
_MAX_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two trees are compared, until a deadline. Every method gives None where it cannot tell."""

    deadline: float

    def same(self, a: Node, b: Node) -> bool | None:
        """Whether the two are the same answer."""
        if a == b:
            return True
        a, b = _without_name(a, b), _without_name(b, a)
        for x, y in ((a, b), (b, a)):
            if isinstance(x, Words):
                return x.text == (y.text if isinstance(y, Words) else _letter(y))
            if isinstance(x, Based):
                return _same_numeral(x, y)
            if isinstance(x, Assigned):
                return self._assigned(x, y)
            if isinstance(x, Ratio):
                return self._ratio(x, y)
        if isinstance(a, Relation) or isinstance(b, Relation):
            return self._relations(a, b)
        if isinstance(a, Union) or isinstance(b, Union) or REALS in (a, b):
            return self._intervals(a, b)
        m, n = as_matrix(a), as_matrix(b)
        if m is not None or n is not None:
            return self._matrices(m or a, n or b)
        if isinstance(a, Seq | Braces | Listing) or isinstance(b, Seq | Braces | Listing):
            return self._collections(a, b)
        return same_scalar(a, b, self.deadline)

    # --- several values ---------------------------------------------------------------------------------------------

    def _ordered(self, xs: Sequence[Node], ys: Sequence[Node]) -> bool | None:
        if len(xs) != len(ys):
            return False
        verdicts = [self.same(x, y) for x, y in zip(xs, ys, strict=True)]
        return False if False in verdicts else None if None in verdicts else True

    def _unordered(self, xs: Sequence[Node], ys: Sequence[Node]) -> bool | None:
        """As sets: every item of either is in the other."""
        if len(xs) > _MAX_ITEMS or len(ys) > _MAX_ITEMS:
            raise Unread("too many items")
        verdicts = [self._among(x, ys) for x in xs] + [self._among(y, xs) for y in ys]
        return False if False in verdicts else None if None in verdicts else True

    def _among(self, x: Node, others: Sequence[Node]) -> bool | None:
        unsure = False
        for other in others:
            verdict = self.same(x, other)
            if verdict:
                return True
            unsure = unsure or verdict is None
        return None if unsure else False

    def _collections(self, a: Node, b: Node) -> bool | None:
        if not isinstance(a, Seq | Braces | Listing):
            return self._collections(b, a)
        if not isinstance(b, Seq | Braces | Listing):
            if len(a.items) == 1 and not (isinstance(a, Seq) and a.opening == "("):
                return self.same(a.items[0], b)
            if not isinstance(a, Seq) and a.items and all(self.same(i, b) for i in a.items):
                return True  # one answer, said in several ways
            return None if symbols(b) else False
        if isinstance(a, Seq) and isinstance(b, Seq):
            return self._sequences(a, b)
        if isinstance(b, Seq):
            a, b = b, a
        if isinstance(a, Seq):
            return self._sequence_and_set(a, b)
        return self._unordered(a.items, b.items)

    def _sequences(self, a: Seq, b: Seq) -> bool | None:
        """Two ends in brackets of different kinds are different intervals; longer sequences are only sequences."""
        could_be_intervals = len(a.items) == len(b.items) == 2 and "<" not in (a.opening, b.opening)
        if could_be_intervals and (a.opening, a.closing) != (b.opening, b.closing):
            return False
        return self._ordered(a.items, b.items)

    def _sequence_and_set(self, a: Seq, b: Node) -> bool | None:
        """A list in square brackets is how programs print several answers; a point has an order."""
        assert isinstance(b, Braces | Listing)
        as_set = self._unordered(a.items, b.items) if len(a.items) == len(b.items) else False
        if as_set is False:
            return False
        if isinstance(b, Listing):
            return as_set if a.opening == "[" else self._ordered(a.items, b.items) or None
        return False if a.opening != "[" else as_set if len(a.items) != 2 else None

    def _assigned(self, a: Assigned, b: Node) -> bool | None:
        if isinstance(b, Assigned):
            if [n for n, _ in a.values] != [n for n, _ in b.values]:
                return False
            return self._ordered([v for _, v in a.values], [v for _, v in b.values])
        if isinstance(b, Seq | Listing):
            return self._ordered([v for _, v in a.values], b.items)
        return None

    def _ratio(self, a: Ratio, b: Node) -> bool | None:
        if isinstance(b, Ratio):
            if len(a.items) != len(b.items):
                return False
            first = [Call("*", (x, b.items[0])) for x in a.items]
            second = [Call("*", (y, a.items[0])) for y in b.items]
            return self._ordered(first, second)
        if len(a.items) != 2:
            return None
        return self.same(Call("/", a.items), b)

    # --- matrices ---------------------------------------------------------------------------------------------------

    def _matrices(self, a: Node, b: Node) -> bool | None:
        if not isinstance(a, Matrix):
            return self._matrices(b, a)
        if isinstance(b, Seq):
            b = rows_of(b, a) or b
        if not isinstance(b, Matrix):
            if len(a.rows) == len(a.rows[0]) == 1:
                return self.same(a.rows[0][0], b)
            return None if symbols(b) or isinstance(b, Listing) else False
        if (len(a.rows), len(a.rows[0])) != (len(b.rows), len(b.rows[0])):
            turned = Matrix(tuple(zip(*b.rows, strict=True)))
            is_vector = 1 in (len(a.rows), len(a.rows[0])) and len(a.rows) == len(turned.rows)
            return None if is_vector and self._matrices(a, turned) else False
        return self._ordered([n for r in a.rows for n in r], [n for r in b.rows for n in r])

    # --- equations and intervals ------------------------------------------------------------------------------------

    def _relations(self, a: Node, b: Node) -> bool | None:
        if not isinstance(a, Relation) or not isinstance(b, Relation) or len(a.ops) != 1 or len(b.ops) != 1:
            return None
        if a.ops == b.ops == ("=",) and a.sides[0] == b.sides[0] and isinstance(a.sides[0], Sym):
            return self.same(a.sides[1], b.sides[1])
        if symbols(a) != symbols(b):
            return False
        sign = proportional(_difference(a), _difference(b), self.deadline)
        if sign is None:
            return None
        return a.ops[0] == (b.ops[0] if sign > 0 else _FLIPPED[b.ops[0]])

    def _intervals(self, a: Node, b: Node) -> bool | None:
        xs, ys = self._pieces(a), self._pieces(b)
        if xs is None or ys is None:
            if isinstance(a, Union) and isinstance(b, Union) and self._unordered(a.parts, b.parts):
                return True
            return False if _is_constant(a) or _is_constant(b) else None
        if len(xs) != len(ys):
            return False
        for x, y in zip(xs, ys, strict=True):
            if (x.closed_low, x.closed_high) != (y.closed_low, y.closed_high):
                return False
            for u, v in ((x.low, y.low), (x.high, y.high)):
                if u != v and not same_scalar(u, v, self.deadline):
                    return False
        return True

    def _pieces(self, node: Node) -> list[_Piece] | None:
        """The pieces of a set of real numbers, from left to right, those that touch joined; None where it is none."""
        if node == REALS:
            node = Seq("(", ")", (_NEGATIVE, INFINITY))
        found: list[_Piece] = []
        for part in node.parts if isinstance(node, Union) else node.items if isinstance(node, Listing) else (node,):
            if isinstance(part, Union):
                found += self._pieces(part) or []
            elif isinstance(part, Braces):
                found += [_Piece(i, True, i, True, self._place(i), self._place(i)) for i in part.items]
            elif isinstance(part, Seq) and len(part.items) == 2 and part.opening in "([":
                low, high = part.items
                closed = part.opening == "[" and low != _NEGATIVE, part.closing == "]" and high != INFINITY
                found.append(_Piece(low, closed[0], high, closed[1], self._place(low), self._place(high)))
            else:
                return None
        return _joined(sorted(found, key=lambda p: (p.at_low, not p.closed_low)))

    def _place(self, node: Node) -> Any:
        """Where an end lies on the line. Raises Unread for one that is no real number."""
        numbers = Numbers(DIGITS, self.deadline)
        if node in (INFINITY, _NEGATIVE):
            return numbers.mp.inf if node == INFINITY else -numbers.mp.inf
        value = numbers.real(numbers.of(node))
        if numbers.mp.im(value) != 0:
            raise Unread("an end that is no real number")
        return value


@dataclass(frozen=True, slots=True)
class _Piece:
    low: Node
    closed_low: bool
    high: Node
    closed_high: bool
    at_low: Any
    at_high: Any


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    out: list[_Piece] = []
    for p in pieces:
        last = out[-1] if out else None
        touches = last is not None and (
            p.at_low < last.at_high or (p.at_low == last.at_high and (p.closed_low or last.closed_high))
        )
        if last is None or not touches:
            out.append(p)
        elif p.at_high > last.at_high or (p.at_high == last.at_high and p.closed_high):
            out[-1] = _Piece(last.low, last.closed_low, p.high, p.closed_high, last.at_low, p.at_high)
    return out


def _without_name(node: Node, other: Node) -> Node:
    """``y = 2x`` as ``2x`` beside an answer that is no equation."""
    if not isinstance(node, Relation) or set(node.ops) != {"="} or isinstance(other, Relation | Assigned):
        return node
    if len(node.sides) != 2 or not _is_name(node.sides[0]):
        return node
    return node.sides[1]


def _is_name(node: Node) -> bool:
    """A variable, a function of variables, or a tuple of variables."""
    if isinstance(node, Seq):
        return all(map(_is_name, node.items))
    if isinstance(node, Call) and node.name == "*":
        return all(map(_is_name, node.args))
    return isinstance(node, Sym)


def _letter(node: Node) -> str | None:
    """A single letter, which may be the name of a choice."""
    return node.name.lstrip("\\").lower() if isinstance(node, Sym) else None


def _same_numeral(a: Based, b: Node) -> bool | None:
    if isinstance(b, Based):
        return (a.digits, a.base) == (b.digits, b.base)
    if isinstance(b, Num):
        return a.digits == str(b.value)
    return False if _is_constant(b) else None


def _is_constant(node: Node) -> bool:
    """A single value without variables."""
    return isinstance(node, Num | Call | Quantity) and not symbols(node)


def _difference(relation: Relation) -> Node:
    return Call("+", (relation.sides[0], Call("neg", (relation.sides[1],))))
