"""The second grader of mathematics: strict, exact, and with nothing in common with math-verify but the question.

Both answers are read whole, by a grammar of their own, into trees; what is not understood gives no verdict. Rational
numbers are compared exactly, irrational ones to forty digits, expressions with variables at several points, sets,
intervals, tuples and matrices by their parts. There is no sympy in it, nothing is evaluated as Python, and every step
has a bound, so that it needs no process to be killed.
"""

from __future__ import annotations

import time

from agentdistill.grade._exact.read import read
from agentdistill.grade._exact.same import Comparison
from agentdistill.grade._exact.tree import Unread
from agentdistill.grade._opinion import Opinion

__all__ = ["TIME_LIMIT_S", "compare"]

TIME_LIMIT_S = 2.0
"""For one comparison. What takes longer gets no verdict."""


def compare(prediction: str, gold: str) -> Opinion:
    """Whether two answers are the same; no verdict where either cannot be read. Never raises, on any text.

    >>> compare("0.5", r"\\frac{1}{2}").correct, compare("[1, 2)", "[1, 2]").correct
    (True, False)
    """
    deadline = time.monotonic() + TIME_LIMIT_S
    try:
        meant = read(gold)
    except (Unread, RecursionError) as e:
        return Opinion(None, f"the gold answer: {e}")
    try:
        verdict = Comparison(deadline).same(read(prediction), meant)
    except (Unread, RecursionError) as e:
        return Opinion(None, str(e))
    if verdict is None:
        return Opinion(None, "not decided")
    return Opinion(verdict, "same value" if verdict else "another value")
