"""Working out numbers: exactly where they are rational, else to many digits, and never without a bound on the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from fractions import Fraction
from math import comb, factorial, gcd, lcm
from typing import Any

from agentdistill.grade._exact.tree import EULER, IMAGINARY, PI, Call, Matrix, Node, Num, Sym, TooMuch, Unread

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

    def of(self, node: Node) -> Value:
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
