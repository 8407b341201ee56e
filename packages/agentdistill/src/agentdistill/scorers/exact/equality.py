"""Whether two answers are the same, whatever their form: values, sets, intervals, tuples, matrices, equations.

Numbers are worked out exactly where they are rational, else to many digits, and never without a bound on the work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, gcd, lcm
from random import Random
from typing import Any

from agentdistill.scorers.exact.syntax import (
    EULER,
    IMAGINARY,
    INFINITY,
    PI,
    REALS,
    Assigned,
    Based,
    Braces,
    Call,
    Expression,
    Listing,
    Matrix,
    Num,
    Quantity,
    Ratio,
    Relation,
    Seq,
    Sym,
    TooMuch,
    Union,
    Unread,
    Words,
    symbols,
)  # fmt: skip

Value = Any
"""A Fraction, or a real or complex number of mpmath."""
MAX_BITS = 60_000
"""Exact numbers larger than this are not worked out."""
MAX_FACTORIAL = 4_000
MAX_LOG = 200_000
"""The natural logarithm of the largest number that is worked out approximately."""
MAX_ANGLE = 10**6
_MAX_MATRIX = 5

_contexts = threading.local()


class Undefined(Unread):
    """Division by zero and its kind: no number."""


class Numbers:
    """Arithmetic to so many decimal digits, until a deadline (of ``time.monotonic``); ``names`` gives variables values.

    The contexts of mpmath hold their precision as state, so every thread has its own.
    """

    def __init__(self, digits: int, deadline: float, names: Mapping[str, Fraction] | None = None) -> None:
        self.mp = _context(digits)
        self._deadline = deadline
        self._names = names or {}

    def of(self, node: Expression) -> Value:
        """The value of a tree. Raises Unread for what is no number, TooMuch beyond the bounds, Undefined for 1/0."""
        if isinstance(node, Num):
            return node.value
        if isinstance(node, Sym):
            return self._constant(node)
        if time.monotonic() > self._deadline:
            raise TooMuch("not worked out in time")
        if isinstance(node, Call) and node.name == "det" and isinstance(node.args[0], Matrix):
            return self._determinant([[self.of(n) for n in row] for row in node.args[0].rows])
        if not isinstance(node, Call):
            raise Unread("not a number")
        work = _WORK.get(node.name)
        if work is None:
            raise Unread(f"{node.name} is not worked out here")
        try:
            return self._tidy(work(self, *map(self.of, node.args)))
        except TypeError as e:  # the wrong number of arguments, or one that has to be whole
            raise Unread(f"{node.name} cannot be worked out") from e
        except ZeroDivisionError as e:
            raise Undefined("division by zero") from e
        except (ValueError, OverflowError) as e:
            raise Unread(f"{node.name} has no value there") from e

    def _constant(self, node: Sym) -> Value:
        if node.name in self._names:
            return self._names[node.name]
        if node == PI:
            return +self.mp.pi
        if node == EULER:
            return +self.mp.e
        if node == IMAGINARY:
            return self.mp.mpc(0, 1)
        raise Unread(f"{node.name} has no value")

    def _tidy(self, value: Value) -> Value:
        if isinstance(value, int):
            value = Fraction(value)
        if isinstance(value, Fraction):
            if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
                raise TooMuch("a number too large to work out")
            return value
        if not self.mp.isfinite(value):
            raise Undefined("no finite value")
        return value

    def real(self, value: Value) -> Any:
        """A value as one of mpmath's numbers."""
        return self.mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value

    # --- operations -------------------------------------------------------------------------------------------------

    def add(self, a: Value, b: Value) -> Value:
        """a + b."""
        return a + b if isinstance(a, Fraction) and isinstance(b, Fraction) else self.real(a) + self.real(b)

    def times(self, a: Value, b: Value) -> Value:
        """a · b."""
        return a * b if isinstance(a, Fraction) and isinstance(b, Fraction) else self.real(a) * self.real(b)

    def over(self, a: Value, b: Value) -> Value:
        """a / b."""
        return a / b if isinstance(a, Fraction) and isinstance(b, Fraction) else self.real(a) / self.real(b)

    def power(self, a: Value, b: Value) -> Value:
        """a to the power of b: exactly for a rational base and a whole exponent, else the principal value."""
        if isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1:
            size = max(a.numerator.bit_length(), a.denominator.bit_length()) - (a.denominator == 1)
            if size * abs(b.numerator) > MAX_BITS and a not in (0, 1, -1):
                raise TooMuch("a power too large to work out")
            if abs(b.numerator) > MAX_BITS:
                return (a if b.numerator % 2 else a * a) if b > 0 or a else 1 / a
            return a**b.numerator
        base, exponent = self.real(a), self.real(b)
        if base == 0:
            if self.mp.re(exponent) > 0:
                return Fraction(0)
            raise Undefined("zero to a power that is not positive")
        if abs(exponent) * (abs(self.mp.log(abs(base))) + 4) > MAX_LOG:
            raise TooMuch("a power too large to work out")
        return self.mp.power(base, exponent)

    def root(self, a: Value, n: Value) -> Value:
        """The n-th root, real where there is a real one."""
        if not isinstance(n, Fraction) or n == 0:
            return self.power(a, self.over(Fraction(1), n))
        if isinstance(a, Fraction) and a < 0 and n.denominator == 1 and n.numerator % 2:
            return -self.power(-a, 1 / n)
        return self.power(a, 1 / n)

    def factorial(self, a: Value) -> Value:
        """a!, by the gamma function where a is not whole."""
        if isinstance(a, Fraction) and a.denominator == 1:
            if a < 0:
                raise Undefined("the factorial of a negative number")
            if a > MAX_FACTORIAL:
                raise TooMuch("a factorial too large to work out")
            return Fraction(factorial(a.numerator))
        x = self.real(a)
        if abs(x) > MAX_FACTORIAL:
            raise TooMuch("a factorial too large to work out")
        return self.mp.gamma(x + 1)

    def binomial(self, n: Value, k: Value) -> Value:
        """n choose k."""
        if all(isinstance(v, Fraction) and v.denominator == 1 and 0 <= v <= MAX_FACTORIAL for v in (n, k)):
            return Fraction(comb(n.numerator, k.numerator))
        if abs(self.real(n)) > MAX_FACTORIAL or abs(self.real(k)) > MAX_FACTORIAL:
            raise TooMuch("a binomial coefficient too large to work out")
        return self.mp.binomial(self.real(n), self.real(k))

    def absolute(self, a: Value) -> Value:
        """|a|."""
        return abs(a)

    def logarithm(self, a: Value, base: Value) -> Value:
        """The logarithm of a in a base."""
        return self.over(self.natural(a), self.natural(base))

    def natural(self, a: Value) -> Value:
        """ln a."""
        if a == 0:
            raise Undefined("the logarithm of zero")
        return Fraction(0) if a == 1 else self.mp.log(self.real(a))

    def circular(self, name: str, a: Value) -> Value:
        """A circular or hyperbolic function or its inverse."""
        x = self.real(a)
        if abs(x) > (MAX_LOG if name.endswith("h") else MAX_ANGLE):
            raise TooMuch("an angle too large to work out")
        return getattr(self.mp, name)(x)

    def rounded(self, name: str, a: Value) -> Value:
        """Floor or ceiling of a real number."""
        if isinstance(a, Fraction):
            return Fraction(a.__floor__() if name == "floor" else a.__ceil__())
        return getattr(self.mp, name)(a)

    def extreme(self, name: str, *values: Value) -> Value:
        """The least or greatest of real numbers."""
        if not values:
            raise Unread("of nothing")
        return (min if name == "min" else max)(values, key=self.real)

    def degrees(self, a: Value) -> Value:
        """An angle in degrees as the number that it is."""
        return self.times(self.over(a, Fraction(180)), +self.mp.pi)

    def whole(self, name: str, *values: Value) -> Value:
        """The greatest common divisor or the least common multiple of whole numbers."""
        if not all(isinstance(v, Fraction) and v.denominator == 1 for v in values):
            raise Unread("not whole numbers")
        return Fraction((gcd if name == "gcd" else lcm)(*(v.numerator for v in values)))

    def _determinant(self, rows: list[list[Value]]) -> Value:
        if len(rows) > _MAX_MATRIX or any(len(r) != len(rows) for r in rows):
            raise Unread("no determinant of that")
        if len(rows) == 1:
            return rows[0][0]
        total: Value = Fraction(0)
        for j, head in enumerate(rows[0]):
            minor = self._determinant([r[:j] + r[j + 1 :] for r in rows[1:]])
            total = self.add(total, self.times(self.times(Fraction((-1) ** j), head), minor))
        return total


def _context(digits: int) -> Any:
    found: dict[int, Any] = _contexts.__dict__.setdefault("by_digits", {})
    if digits not in found:
        import mpmath

        found[digits] = mpmath.MPContext()
        found[digits].dps = digits
    return found[digits]


def _circular(name: str) -> Any:
    return lambda n, a: n.circular(name, a)


_INVERSES = {f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")}
_WORK: dict[str, Any] = {
    "+": Numbers.add,
    "*": Numbers.times,
    "/": Numbers.over,
    "^": Numbers.power,
    "neg": lambda n, a: -a,
    "root": Numbers.root,
    "factorial": Numbers.factorial,
    "binomial": Numbers.binomial,
    "abs": Numbers.absolute,
    "logarithm": Numbers.logarithm,
    "ln": Numbers.natural,
    "log": Numbers.natural,
    "log10": lambda n, a: n.logarithm(a, Fraction(10)),
    "percent": lambda n, a: n.over(a, Fraction(100)),
    "degree": Numbers.degrees,
    "floor": lambda n, a: n.rounded("floor", a),
    "ceil": lambda n, a: n.rounded("ceil", a),
    "min": lambda n, *a: n.extreme("min", *a),
    "max": lambda n, *a: n.extreme("max", *a),
    "gcd": lambda n, *a: n.whole("gcd", *a),
    "lcm": lambda n, *a: n.whole("lcm", *a),
    **{name: _circular(name) for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")},
    **{name: _circular(own) for name, own in _INVERSES.items()},
}


# --- values and expressions -------------------------------------------------------------------------------------------

DIGITS = 60
_AGREE = 40
"""Irrational values that agree to so many digits are equal."""
_ROUNDED_DIGITS = 6
"""A decimal of at least so many significant digits stands for what rounds to it: 0.333333 is a third, 0.33 is not."""
_NOISE = Fraction(1, 10**12)
"""The relative error that floating point leaves in a decimal."""
_N_POINTS = 3


def same_scalar(a: Expression, b: Expression, deadline: float) -> bool | None:
    """Whether two values agree, units, degrees and per cent considered; None where that cannot be told here."""
    results: list[bool | None] = []
    for x, y in _readings(a, b):
        try:
            result = _same(x, y, deadline)
        except Unread:
            result = None
        if result:
            return True
        results.append(result)
    return None if None in results else False


def _readings(a: Expression, b: Expression) -> Iterator[tuple[Expression, Expression]]:
    """The ways to take two values together. A unit or a per cent sign that only one of them has is the question's."""
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        yield from _quantities(a, b)
    elif _is_percent(a) and not _is_percent(b):
        yield from ((_inner(a), b), (a, b))
    elif _is_percent(b) and not _is_percent(a):
        yield from ((a, _inner(b)), (a, b))
    else:
        yield a, b


def _quantities(a: Expression, b: Expression) -> Iterator[tuple[Expression, Expression]]:
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
    options: list[Expression] = [quantity.amount]
    if quantity.product is not None and symbols(other):
        options.append(quantity.product)
    if quantity.unit is not None and quantity.unit.n_pi:
        options.append(_in_base(quantity))  # an angle without a unit is in radians, or in the question's degrees
    for option in options:
        yield (other, option) if flipped else (option, other)


def _in_base(quantity: Quantity) -> Expression:
    assert quantity.unit is not None
    node: Expression = Call("*", (quantity.amount, Num(quantity.unit.size)))
    for _ in range(quantity.unit.n_pi):
        node = Call("*", (node, PI))
    return node


def _is_percent(node: Expression) -> bool:
    return isinstance(node, Call) and node.name == "percent"


def _inner(node: Expression) -> Expression:
    assert isinstance(node, Call)
    return node.args[0]


def _same(a: Expression, b: Expression, deadline: float) -> bool | None:
    if a == b:
        return True
    names = symbols(a) | symbols(b)
    if INFINITY.name in names:
        return False
    result = _same_function(a, b, names, deadline) if names else _same_number(a, b, deadline)
    # Whose logarithm is it, the natural one or the decimal? Where they agree it does not matter.
    return None if result is False and (_has_log(a) or _has_log(b)) else result


def _has_log(node: Expression) -> bool:
    return isinstance(node, Call) and (node.name == "log" or any(map(_has_log, node.args)))


# --- constants ------------------------------------------------------------------------------------------------------


def _same_number(a: Expression, b: Expression, deadline: float) -> bool:
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


def _vanishes(a: Expression, b: Expression, gap: Any, deadline: float) -> bool:
    """Whether a tiny difference is nothing: worked out with twice the digits it all but disappears."""
    finer = Numbers(2 * DIGITS, deadline)
    rest = abs(finer.real(finer.of(a)) - finer.real(finer.of(b)))
    return bool(rest <= finer.mp.mpf(str(gap)) * finer.mp.mpf(10) ** -(DIGITS // 2))


def _rational(value: Any) -> Fraction:
    """A small positive number of mpmath as a fraction; exactness no longer matters."""
    return Fraction(str(value)) if abs(value) < 10**300 else Fraction(10**300)


def _rounds(gap: Fraction, size: Fraction, a: Expression, b: Expression) -> bool:
    written = [w for w in (_written(a), _written(b)) if w is not None]
    if any(places and digits >= _ROUNDED_DIGITS and gap <= Fraction(1, 2 * 10**places) for places, digits in written):
        return True
    return any(places for places, _ in written) and gap <= size * _NOISE


def _written(node: Expression) -> tuple[int, int] | None:
    """The decimals and significant digits of a number that is written out; None for any other expression."""
    if isinstance(node, Num):
        return node.places, node.digits
    if isinstance(node, Call) and node.name in ("neg", "percent"):
        inner = _written(node.args[0])
        return inner and (inner[0] + 2 * (node.name == "percent"), inner[1])
    return None


# --- expressions with variables -------------------------------------------------------------------------------------


def _same_function(a: Expression, b: Expression, names: frozenset[str], deadline: float) -> bool | None:
    """Whether two expressions agree at several points (Schwartz, Zippel): everywhere, or only where all is positive."""
    positive = [_agree_at(a, b, p, deadline) for p in points(names, negative=False)]
    if False in positive:
        return False
    if sum(v is True for v in positive) < 2:
        return None
    return None if False in [_agree_at(a, b, p, deadline) for p in points(names, negative=True)] else True


def _agree_at(a: Expression, b: Expression, point: dict[str, Fraction], deadline: float) -> bool | None:
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


def proportional(a: Expression, b: Expression, deadline: float) -> int | None:
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


# --- matrices ---------------------------------------------------------------------------------------------------------


def as_matrix(node: Expression) -> Matrix | None:
    """A matrix, or a number times a matrix, or its negative; None for anything else."""
    if isinstance(node, Matrix):
        return node
    if not isinstance(node, Call) or node.name not in ("*", "/", "neg"):
        return None
    inner = [as_matrix(a) for a in node.args]
    if node.name == "neg" and inner[0] is not None:
        return _scaled(inner[0], Num(Fraction(-1)))
    if node.name == "*" and (inner[0] is None) != (inner[1] is None):
        matrix, factor = (inner[0], node.args[1]) if inner[0] is not None else (inner[1], node.args[0])
        return _scaled(matrix, factor) if matrix is not None else None
    return None


def _scaled(matrix: Matrix, factor: Expression) -> Matrix:
    return Matrix(tuple(tuple(Call("*", (factor, n)) for n in row) for row in matrix.rows))


def rows_of(seq: Seq, like: Matrix) -> Matrix | None:
    """A sequence of rows, or a vector that stands or lies as the other one does."""
    if all(isinstance(i, Seq) for i in seq.items):
        rows = tuple(i.items for i in seq.items if isinstance(i, Seq))
        return Matrix(rows) if rows and len({len(r) for r in rows}) == 1 and rows[0] else None
    if len(like.rows) == 1:
        return Matrix((seq.items,))
    return Matrix(tuple((i,) for i in seq.items)) if seq.items else None


# --- answers ----------------------------------------------------------------------------------------------------------

_NEGATIVE = Call("neg", (INFINITY,))
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
_MAX_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two trees are compared, until a deadline. Every method gives None where it cannot tell."""

    deadline: float

    def same(self, a: Expression, b: Expression) -> bool | None:
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

    def _ordered(self, xs: Sequence[Expression], ys: Sequence[Expression]) -> bool | None:
        if len(xs) != len(ys):
            return False
        return _all([self.same(x, y) for x, y in zip(xs, ys, strict=True)])

    def _unordered(self, xs: Sequence[Expression], ys: Sequence[Expression]) -> bool | None:
        """As sets: every item of either is in the other."""
        if len(xs) > _MAX_ITEMS or len(ys) > _MAX_ITEMS:
            raise Unread("too many items")
        return _all([self._among(x, ys) for x in xs] + [self._among(y, xs) for y in ys])

    def _among(self, x: Expression, others: Sequence[Expression]) -> bool | None:
        unsure = False
        for other in others:
            result = self.same(x, other)
            if result:
                return True
            unsure = unsure or result is None
        return None if unsure else False

    def _collections(self, a: Expression, b: Expression) -> bool | None:
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

    def _sequence_and_set(self, a: Seq, b: Expression) -> bool | None:
        """A list in square brackets is how programs print several answers; a point has an order."""
        assert isinstance(b, Braces | Listing)
        as_set = self._unordered(a.items, b.items) if len(a.items) == len(b.items) else False
        if as_set is False:
            return False
        if isinstance(b, Listing):
            return as_set if a.opening == "[" else self._ordered(a.items, b.items) or None
        return False if a.opening != "[" else as_set if len(a.items) != 2 else None

    def _assigned(self, a: Assigned, b: Expression) -> bool | None:
        if isinstance(b, Assigned):
            if [n for n, _ in a.values] != [n for n, _ in b.values]:
                return False
            return self._ordered([v for _, v in a.values], [v for _, v in b.values])
        if isinstance(b, Seq | Listing):
            return self._ordered([v for _, v in a.values], b.items)
        return None

    def _ratio(self, a: Ratio, b: Expression) -> bool | None:
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

    def _matrices(self, a: Expression, b: Expression) -> bool | None:
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

    def _relations(self, a: Expression, b: Expression) -> bool | None:
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

    def _intervals(self, a: Expression, b: Expression) -> bool | None:
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

    def _pieces(self, node: Expression) -> list[_Piece] | None:
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

    def _place(self, node: Expression) -> Any:
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
    low: Expression
    closed_low: bool
    high: Expression
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


def _all(results: Sequence[bool | None]) -> bool | None:
    return False if False in results else None if None in results else True


def _without_name(node: Expression, other: Expression) -> Expression:
    """``y = 2x`` as ``2x`` beside an answer that is no equation."""
    if not isinstance(node, Relation) or set(node.ops) != {"="} or isinstance(other, Relation | Assigned):
        return node
    if len(node.sides) != 2 or not _is_name(node.sides[0]):
        return node
    return node.sides[1]


def _is_name(node: Expression) -> bool:
    """A variable, a function of variables, or a tuple of variables."""
    if isinstance(node, Seq):
        return all(map(_is_name, node.items))
    if isinstance(node, Call) and node.name == "*":
        return all(map(_is_name, node.args))
    return isinstance(node, Sym)


def _letter(node: Expression) -> str | None:
    """A single letter, which may be the name of a choice."""
    return node.name.lstrip("\\").lower() if isinstance(node, Sym) else None


def _same_numeral(a: Based, b: Expression) -> bool | None:
    if isinstance(b, Based):
        return (a.digits, a.base) == (b.digits, b.base)
    if isinstance(b, Num):
        return a.digits == str(b.value)
    return False if _is_constant(b) else None


def _is_constant(node: Expression) -> bool:
    """A single value without variables."""
    return isinstance(node, Num | Call | Quantity) and not symbols(node)


def _difference(relation: Relation) -> Expression:
    return Call("+", (relation.sides[0], Call("neg", (relation.sides[1],))))
