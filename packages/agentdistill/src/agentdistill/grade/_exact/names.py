"""The words and commands that mean something in a formula."""

from __future__ import annotations

from agentdistill.grade._exact.tree import EULER, IMAGINARY, INFINITY, PI, REALS, Braces, Node, Sym

_FUNCTIONS = """sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh exp ln log lg sqrt cbrt abs
    min max gcd lcm floor ceil factorial sign log10"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Functions by the names they have in LaTeX (``\\sin``) and in plain text (``sin``)."""
SAME = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log10", "Abs": "abs", "ceiling": "ceil"}

CONSTANTS: dict[str, Node] = {
    "pi": PI,
    "infty": INFINITY,
    "inf": INFINITY,
    "infinity": INFINITY,
    "oo": INFINITY,
    "emptyset": Braces(()),
    "varnothing": Braces(()),
    "R": REALS,
    "e": EULER,
    "i": IMAGINARY,
}
"""Constants by command (``\\pi``) and, but for the one-letter ones, by word (``pi``)."""

_GREEK = """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau
    upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell hbar"""
GREEK = frozenset(_GREEK.split())
VARIANTS = {"varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "ell": "l"}

_PYTHON = """Rational Fraction Matrix FiniteSet Interval Union Eq Abs binomial comb Integer Float set list tuple
    sqrt exp array EmptySet Reals frozenset"""
PYTHON = frozenset(_PYTHON.split())
"""What sympy and Python print."""

RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", "=<": "<=", ">=": ">=", "!=": "!=",
    "lt": "<", "gt": ">", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=",
    "ne": "!=", "neq": "!=", "in": "in",
}  # fmt: skip
TIMES = frozenset({"*", "cdot", "times", "ast"})
OVER = frozenset({"/", "div"})
JOINING = frozenset({"and", "or", "land", "lor"})
CURRENCY = {"dollar": "dollar", "euro": "€", "pound": "£", "yen": "¥"}
MATRICES = frozenset({"pmatrix", "bmatrix", "matrix", "smallmatrix", "Bmatrix", "array", "vmatrix"})


def letter(name: str) -> Node:
    """A one-letter name: a variable, or Euler's or the imaginary number."""
    return {"e": EULER, "i": IMAGINARY}.get(name) or Sym(name)
