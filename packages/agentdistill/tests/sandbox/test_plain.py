"""Values read as what they stand for, whatever library they come from; and ``final_answer`` stays a function."""

from __future__ import annotations

import pytest

from agentdistill.sandbox import Sandbox, Stop

VALUES = [
    ("np.mean([1, 2, 3])", "2.0"),
    ("np.int64(7)", "7"),
    ("np.float32(0.1)", "0.1"),
    ("np.float64(3) > 2", "True"),
    ("np.complex128(1 + 2j)", "(1+2j)"),
    ("np.array([1, 2])", "[1, 2]"),
    ("np.array([[1.5, 2], [3, 4]])", "[[1.5, 2.0], [3.0, 4.0]]"),
    ("np.array([0.1, 0.2], dtype='float32')", "[0.1, 0.2]"),
    ("np.array(5)", "5"),
    ("np.array(['a', 'b'])", "['a', 'b']"),
    ("np.matrix([[1, 2]])", "[[1, 2]]"),
    ("np.datetime64('1984-01-02')", "1984-01-02"),
    ("[np.float64(1.5), np.int64(2)]", "[1.5, 2]"),
    ("(np.int64(1),)", "(1,)"),
    ("{'a': np.float64(0.5), np.str_('b'): [np.bool_(True)]}", "{'a': 0.5, 'b': [True]}"),
    ("{np.int64(3)}", "{3}"),
    ("set()", "set()"),
    ("Decimal('2.50')", "2.50"),
    ("Decimal('1E+3')", "1000"),
    ("[Fraction(3, 4)]", "[3/4]"),
    ("mpmath.sqrt(9)", "3.0"),
    ("[mpmath.mpf(1) / 2]", "[0.5]"),
    ("date(1984, 1, 2)", "1984-01-02"),
    ("datetime(1984, 1, 2)", "1984-01-02"),
    ("datetime(1984, 1, 2, 15, 30)", "1984-01-02 15:30:00"),
    ("timedelta(hours=2)", "2:00:00"),
    ("sympy.sqrt(2) / 2", "sqrt(2)/2"),
    ("[sympy.Rational(1, 2), sympy.Symbol('x')]", "[1/2, x]"),
    ("range(3)", "[0, 1, 2]"),
    ("{'a': 1}.keys()", "['a']"),
    ("collections.Counter('aab')", "{'a': 2, 'b': 1}"),
    ("collections.namedtuple('P', 'x y')(1, 2)", "(1, 2)"),
    ("[b'x']", "[b'x']"),
    ("array.array('i', [1, 2])", "[1, 2]"),
    ("Told()", "told"),
    ("Own([1])", "mine"),
    ("loop", "[1, ...]"),
    ("Bad()", "None"),
]
SETUP = """
import array, collections, mpmath, sympy, numpy as np
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
class Told:
    def __str__(self): return "told"
class Own(list):
    def __repr__(self): return "mine"
class Bad:
    def __repr__(self): raise ValueError("no words")
loop = [1]
loop.append(loop)
"""


def test_values_read_as_what_they_stand_for(best: Sandbox) -> None:
    with best.session() as s:
        assert s.exec(SETUP).ok
        for value, text in VALUES:
            given, seen = s.exec(f"final_answer({value})"), s.exec(value)
            if value == "Bad()":
                assert (given.stop, seen.stop) == (Stop.ERROR, Stop.ERROR)
            else:
                assert (value, given.final_answer) == (value, text)
                assert (value, seen.value) == (value, text)


def test_texts_are_answers_as_they_are_and_shown_in_quotes(best: Sandbox) -> None:
    with best.session() as s:
        s.exec("import numpy as np")
        for value in ("'Paris'", "np.str_('Paris')", "np.array(['Paris'])[0]"):
            assert (s.exec(f"final_answer({value})").final_answer, s.exec(value).value) == ("Paris", "'Paris'")
        assert s.exec("print([np.float64(2.0), np.str_('a')], f'{np.int64(3)!r}')").output == "[2.0, 'a'] 3\n"


def test_members_and_bytes_are_answers_by_their_value(best: Sandbox) -> None:
    with best.session() as s:
        s.exec("from enum import Enum, IntEnum\nclass C(Enum):\n    A = 'red'\nclass D(IntEnum):\n    B = 3")
        values = {
            "C.A": "red",
            "D.B": "3",
            "b'Paris'": "Paris",
            "reversed([1, 2])": "[2, 1]",
            "iter({'a': 1})": "['a']",
        }
        for value, text in values.items():
            assert (value, s.exec(f"final_answer({value})").final_answer) == (value, text)
        error = s.exec("final_answer(1, 2)").error
        assert error is not None
        assert error.message.startswith("final_answer() takes 1 positional argument")


def test_iterators_are_answers_but_are_not_used_up_by_looking(best: Sandbox) -> None:
    with best.session() as s:
        assert s.exec("final_answer(map(str, [1, 2]))").final_answer == "['1', '2']"
        assert s.exec("final_answer(x * x for x in range(3))").final_answer == "[0, 1, 4]"
        assert s.exec("g = (x for x in range(3))\ng").ok
        assert s.exec("final_answer(g)").final_answer == "[0, 1, 2]"
        assert "count" in str(s.exec("import itertools\nfinal_answer(itertools.count())").final_answer)
        assert str(s.exec("final_answer(range(10**9))").final_answer) == "range(0, 1000000000)"


@pytest.mark.parametrize(
    "cell",
    [
        "final_answer = 5",
        "def final_answer(x): print(x)",
        "for final_answer in (1, 2): pass",
        "del final_answer",
        "import math as final_answer",
        "final_answer = 5\nfinal_answer(5)",
    ],
)
def test_a_step_that_takes_its_name_is_told_and_later_ones_can_answer(box: Sandbox, cell: str) -> None:
    with box.session() as s:
        told = s.exec(cell)
        assert "final_answer is a function" in told.output
        assert not told.is_final
        assert "final_answer" not in s.exec("x = 1").output
        assert s.exec("final_answer(x + 1)").final_answer == "2"


def test_a_tool_that_a_result_was_given_the_name_of_can_be_called_again(box: Sandbox) -> None:
    with box.session() as s:
        assert s.exec("add = add(1, 2)").ok
        assert s.exec("add + 1").value == "4"  # as a variable it stays
        assert s.exec("add(2, 3)").value == "5"
        assert s.exec("def add(a, b): return 'own'").ok
        assert s.exec("add(2, 3)").value == "'own'"
