"""The tool check of what a solution calculates: what is read, what is true, and what kind of verdict the rest is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_pools import matrix_of

from agentdistill.environment import Environment
from agentdistill.verify import Verdict, read_pools
from agentdistill.verify.select import SelectionPolicy
from agentdistill.verify.verifiers import LIMITS, Checker, calculations, with_calculations

GSM8K = Path(__file__).parents[5] / "shared/data/math/gsm8k_model_solutions_first660.jsonl"


@pytest.fixture(scope="module")
def checker():
    with Environment(limits=LIMITS) as environment:
        checker = Checker(environment)
        yield checker
        checker.close()


@pytest.mark.parametrize(
    ("solution", "kinds"),
    [
        ("16 - 3 = <<16-3=13>>13 and <<13*2=$26>>", ["true", "true"]),
        ("<<16-3=14>>", ["false"]),
        ("<<10/3=3.33>> <<10/3=3.3333333333333335>> <<2/3=0.66>> <<2/3=0.68>>", ["true", "true", "true", "false"]),
        ("<<7/2=3>> <<20%*50=10>> <<17%5=2>> <<1,200*2=2,400>>", ["false", "true", "true", "true"]),
        ("<<0.1+0.2=0.3>>", ["true"]),  # exact, as fractions are
        ("<<3/0=0>> <<1+1=2>>", ["error", "true"]),
        ("<<2*x=4>> <<1+1=2>>", ["malformed", "true"]),
        ("<<16-=13>> <<1+1=2>>", ["malformed", "true"]),
        ("12 * 4 = 48\n48 - 5 = 42\nAnswer: 42", ["true", "false"]),
        ("I think it is 12.", ["no_code"]),
        ("", ["no_code"]),
    ],
)
def test_every_calculation_gets_a_verdict_of_its_kind(checker, solution, kinds):
    assert [c.verdict for c in checker.check(solution)] == kinds


PLAIN = {
    "-3 + 5 = 2": "true",
    "-3 + 5 = 3": "false",
    "3 - 7 = -4": "true",
    "5 * (-2) = -10": "true",
    r"\( 3 \times 4 = 12 \), so \$3 \cdot 4 = \$12": "true true",
    "3 − 1 = 2, 3 · 4 = 12, 2^3 = 8, 3 x 4 = 12, 3x4 = 13": "true true true true false",
    "7 apples\n- 3 + 4 = 7\n* 3 + 4 = 7\n1) 3 + 4 = 7": "true true true",
    "**3 * 4 = 12**\nthat is **3 * 4 = 12**, **Total** 3 * 4 = 12 (3 + 4 = 7)": "true true true true",
    "3 + 4 = 7 + 5 = 12": "true",
    "20 / 4 = 5 - that is it, 12 * 4 = 48cm.": "true true",
    "((3 + 4) * 2 = 14)": "true",
    "12 * 4\n= 48": "true",
    # Parts of formulas, times of day:
    "x - 3 + 5 = 10": "no_code",
    "x -3 + 5 = 10": "no_code",
    "2 * x + 3 + 4 = 15": "no_code",
    "x ** 3 + 4 = 31, x**3 + 4 = 31": "no_code",
    "x * (3 + 5) = 40, x * (-3 + 5) = 4, 2 * (x + 3 + 5) = 40": "no_code",
    "sqrt(9) + 4 = 7, sqrt(9 + 7) = 4": "no_code",
    "3 + 4 = 5 + 2, 2 * 3 = 6 * x, 3 + 4 = 7.5 + 1, 10 * 5 = 50% * 100": "no_code",
    "10:30 + 2 = 12:30": "no_code",
}


@pytest.mark.parametrize(("solution", "kinds"), PLAIN.items())
def test_plain_text_is_read_where_it_is_a_calculation_of_its_own(checker, solution, kinds):
    assert [c.verdict for c in checker.check(solution)] == kinds.split()


def test_a_calculation_without_end_takes_no_other_solution_with_it(checker):
    kinds = [c.verdict for c in checker.check("<<9**9**9**9=1>> <<1+1=2>>")]
    assert kinds[0] in ("timeout", "error")
    assert [c.verdict for c in checker.check("<<1+1=2>>")] == ["true"]


@given(st.text())
def test_whatever_is_written_becomes_numbers_and_signs_or_nothing(text):
    for c in (*calculations(text), *calculations(f"<<{text}=1>>")):
        assert c.code is None or not set(c.code) - set("absF('0123456789.,)(+-*/% <=)")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from("+-*"), st.integers(-3, 3))
def test_what_is_right_is_true_and_what_is_off_is_not(checker, a, b, sign, off):
    result = {"+": a + b, "-": a - b, "*": a * b}[sign] + off
    [check] = checker.check(f"<<{a}{sign}{b}={result}>>")
    assert check.verdict is (Verdict.TRUE if off == 0 else Verdict.FALSE)


@pytest.mark.skipif(not GSM8K.exists(), reason=f"{GSM8K} is not there")
def test_real_solutions_are_checked():
    """Right solutions hardly ever calculate wrong; wrong ones mostly calculate right, since they had a calculator."""
    pools = with_calculations(read_pools(GSM8K, limit=60))
    matrix = matrix_of(pools, "calculations", SelectionPolicy())
    assert matrix.n == 240
    assert matrix.recall > 0.95
    assert 0 < matrix.tn / (matrix.tn + matrix.fp) < 0.3
    kinds = Counter(v for p in pools for said in p.judgements for v in said[0].verdicts)
    assert kinds[Verdict.TRUE] > 0.9 * kinds.total()
    assert kinds[Verdict.FALSE] > 0
