"""Whether two numbers or two expressions have the same value."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Any

from agentdistill.grade._exact.tree import INFINITY, PI, Call, Node, Num, Quantity, Unread, symbols
from agentdistill.grade._exact.value import Numbers, Undefined, Value

DIGITS = 60
_AGREE = 40
"""Irrational values that agree to so many digits are equal."""
_ROUNDED_DIGITS = 6
"""A decimal of at least so many significant digits stands for what rounds to it: 0.333333 is a third, 0.33 is not."""
_NOISE = Fraction(1, 10**12)
"""The relative error that floating point leaves in a decimal."""
_N_POINTS = 3


def same_scalar(a: Node, b: Node, deadline: float) -> bool | None:
    """Whether two values agree, units, degrees and per cent considered; None where that cannot be told here."""
    verdicts: list[bool | None] = []
    for x, y in _readings(a, b):
        try:
            verdict = _same(x, y, deadline)
        except Unread:
            verdict = None
        if verdict:
            return True
        verdicts.append(verdict)
    return None if None in verdicts else False


def _readings(a: Node, b: Node) -> Iterator[tuple[Node, Node]]:
    """The ways to take two values together. A unit or a per cent sign that only one of them has is the question's."""
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        yield from _quantities(a, b)
    elif _is_percent(a) and not _is_percent(b):
        yield from ((_inner(a), b), (a, b))
    elif _is_percent(b) and not _is_percent(a):
        yield from ((a, _inner(b)), (a, b))
    else:
        yield a, b


def _quantities(a: Node, b: Node) -> Iterator[tuple[Node, Node]]:
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        if a.unit is None or b.unit is None:
            yield from _readings(a.amount, b.amount)
        elif a.unit == b.unit:
            yield a.amount, b.amount
        elif a.unit.dimensions == b.unit.dimensions:
            yield _in_base(a), _in_base(b)
        return
    flipped = isinstance(b, Quantity)
    quantity, other = (b, a) if isinstance(b, Quantity) else (a, b)
    assert isinstance(quantity, Quantity)
    options: list[Node] = [quantity.amount]
    if quantity.product is not None and symbols(other):
        options.append(quantity.product)
    if quantity.unit is not None and quantity.unit.n_pi:
        options.append(_in_base(quantity))  # an angle without a unit is in radians, or in the question's degrees
    for option in options:
        yield (other, option) if flipped else (option, other)


def _in_base(quantity: Quantity) -> Node:
    assert quantity.unit is not None
    node: Node = Call("*", (quantity.amount, Num(quantity.unit.size)))
    for _ in range(quantity.unit.n_pi):
        node = Call("*", (node, PI))
    return node


def _is_percent(node: Node) -> bool:
    return isinstance(node, Call) and node.name == "percent"


def _inner(node: Node) -> Node:
    assert isinstance(node, Call)
    return node.args[0]


def _same(a: Node, b: Node, deadline: float) -> bool | None:
    if a == b:
        return True
    names = symbols(a) | symbols(b)
    if INFINITY.name in names:
        return False
    verdict = _same_function(a, b, names, deadline) if names else _same_number(a, b, deadline)
    # Whose logarithm is it, the natural one or the decimal? Where they agree it does not matter.
    return None if verdict is False and (_has_log(a) or _has_log(b)) else verdict


def _has_log(node: Node) -> bool:
    return isinstance(node, Call) and (node.name == "log" or any(map(_has_log, node.args)))


# --- constants ------------------------------------------------------------------------------------------------------


def _same_number(a: Node, b: Node, deadline: float) -> bool:
    numbers = Numbers(DIGITS, deadline)
    x, y = numbers.of(a), numbers.of(b)
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        if x == y or x.denominator == y.denominator == 1:
            return x == y  # two whole numbers are the same or they are not, however large
        return _rounds(abs(x - y), max(abs(x), abs(y)), a, b)
    if _agree(numbers, x, y):
        return True
    gap, size = abs(numbers.real(x) - numbers.real(y)), max(abs(numbers.real(x)), abs(numbers.real(y)))
    if gap < numbers.mp.mpf(10) ** -(DIGITS // 2) and _vanishes(a, b, gap, deadline):
        return True
    return _rounds(_rational(gap), _rational(size), a, b)


def _agree(numbers: Numbers, x: Value, y: Value) -> bool:
    u, v = numbers.real(x), numbers.real(y)
    return bool(abs(u - v) <= max(abs(u), abs(v)) * numbers.mp.mpf(10) ** -_AGREE)


def _vanishes(a: Node, b: Node, gap: Any, deadline: float) -> bool:
    """Whether a tiny difference is nothing: worked out with twice the digits it all but disappears."""
    finer = Numbers(2 * DIGITS, deadline)
    rest = abs(finer.real(finer.of(a)) - finer.real(finer.of(b)))
    return bool(rest <= finer.mp.mpf(str(gap)) * finer.mp.mpf(10) ** -(DIGITS // 2))


def _rational(value: Any) -> Fraction:
    """A small positive number of mpmath as a fraction; exactness no longer matters."""
    return Fraction(str(value)) if abs(value) < 10**300 else Fraction(10**300)


def _rounds(gap: Fraction, size: Fraction, a: Node, b: Node) -> bool:
    written = [w for w in (_written(a), _written(b)) if w is not None]
    if any(places and digits >= _ROUNDED_DIGITS and gap <= Fraction(1, 2 * 10**places) for places, digits in written):
        return True
    return any(places for places, _ in written) and gap <= size * _NOISE


def _written(node: Node) -> tuple[int, int] | None:
    """The decimals and significant digits of a number that is written out; None for any other expression."""
    if isinstance(node, Num):
        return node.places, node.digits
    if isinstance(node, Call) and node.name in ("neg", "percent"):
        inner = _written(node.args[0])
        return inner and (inner[0] + 2 * (node.name == "percent"), inner[1])
    return None


# --- expressions with variables -------------------------------------------------------------------------------------


def _same_function(a: Node, b: Node, names: frozenset[str], deadline: float) -> bool | None:
    """Whether two expressions agree at several points (Schwartz, Zippel): everywhere, or only where all is positive."""
    positive = [_agree_at(a, b, p, deadline) for p in points(names, negative=False)]
    if False in positive:
        return False
    if sum(v is True for v in positive) < 2:
        return None
    return None if False in [_agree_at(a, b, p, deadline) for p in points(names, negative=True)] else True


def _agree_at(a: Node, b: Node, point: dict[str, Fraction], deadline: float) -> bool | None:
    """None where one of them has no value there."""
    numbers = Numbers(DIGITS, deadline, point)
    try:
        x, y = numbers.of(a), numbers.of(b)
    except Undefined:
        return None
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x == y
    return _agree(numbers, x, y) or bool(abs(numbers.real(x) - numbers.real(y)) < numbers.mp.mpf(10) ** -(DIGITS - 10))


def points(names: frozenset[str], *, negative: bool) -> list[dict[str, Fraction]]:
    """The same few points for the same variables, fractions without any pattern; ``negative``: of either sign."""
    found = []
    for i in range(_N_POINTS):
        point = {}
        for j, name in enumerate(sorted(names)):
            rng = Random(f"{name} {i} {negative}")
            value = Fraction(rng.randrange(300, 2900), rng.choice((733, 877, 991)))
            point[name] = -value if negative and (i + j) % 2 == 0 else value
        found.append(point)
    return found


def proportional(a: Node, b: Node, deadline: float) -> int | None:
    """The sign of ``a / b`` where that is the same number at every point; None where it is not."""
    names = symbols(a) | symbols(b)
    ratios = []
    for point in points(names, negative=True) + points(names, negative=False):
        numbers = Numbers(DIGITS, deadline, point)
        try:
            ratios.append(numbers.real(numbers.of(Call("/", (a, b)))))
        except Undefined:
            continue
    if len(ratios) < 2:
        return None
    first = ratios[0]
    if first == 0 or any(abs(r - first) > abs(first) * numbers.mp.mpf(10) ** -_AGREE for r in ratios):
        return None
    return 1 if numbers.mp.re(first) > 0 else -1
