"""Answers as people and models write them, beside the golds they mean, and beside golds they do not mean."""

from __future__ import annotations

import pytest

from agentdistill import scorers
from agentdistill.problems import answer_kind

Row = tuple[str, str, str, bool]
"""Kind, prediction, gold answer, and whether it is right."""

MONEY_AND_LARGE_NUMBERS: list[Row] = [
    ("math", "US$29", "29", True),
    ("math", "29 €", "29", True),
    ("math", "€29", "29 €", True),
    ("math", "70k", "70000", True),
    ("math", "$70k", "70000", True),
    ("math", "7x10^4", "70000", True),
    ("math", "7 x 10^4", "70000", True),
    ("math", "7×10⁴", "70000", True),
    ("math", "7X10^4", "70000", True),
    ("math", "USD 29", "29", True),
    ("math", "29 USD", "29", True),
    ("math", "$29.00", "29", True),
    ("math", "A$29", "29", True),
    ("math", "29 dollars", "$29", True),
    ("math", "29 EUR", "29 €", True),
    ("math", "£29", "29", True),
    ("math", "1.5M", "1500000", True),
    ("math", "$1.5 million", "1500000", True),
    ("math", "2.5B", "2500000000", True),
    ("math", "70K", "70,000", True),
    ("math", "5m", "5 m", True),
    ("math", "29$", "29", True),
    ("math", "₹500", "500", True),
    ("math", "Rs. 500", "500", True),
    ("math", "500 rupees", "500", True),
    ("math", "R$ 29", "29", True),
    ("math", "1.234,56", "1234.56", False),
    ("math", "10^4", "10000", True),
    ("math", "3e4", "30000", True),
    ("math", "3*10^{4}", "30000", True),
    ("math", "US$29", "30", False),
    ("math", "€29", "$29", False),
    ("math", "70k", "70", False),
    ("math", "7k", "7k", True),
    ("math", "5k", "6k", False),
    ("math", "5k", "5", False),
    ("math", "2k+1", "2k+1", True),
    ("math", "29 US dollars", "29", True),
    ("math", "US $29", "29", True),
    ("math", "$29 USD", "29", True),
    ("math", "\\$29", "29", True),
    ("math", "29\\,€", "29", True),
    ("math", "\\euro 29", "29", True),
    ("math", "CAD 29", "29", True),
    ("math", "29 kr", "29", True),
    ("math", "CHF 29", "29", True),
    ("math", "¥2900", "2900", True),
    ("math", "2900円", "2900", True),
    ("math", "29元", "29", True),
    ("math", "7x", "7x", True),
    ("math", "7x10", "70", False),
    ("math", "2x10", "2x10", True),
    ("math", "$3x10^4$", "30000", True),
    ("math", "6.02x10^23", "6.02 \\times 10^{23}", True),
    ("math", "6.02e23", "6.02 \\times 10^{23}", True),
    ("math", "1.5x10^-3", "0.0015", True),
    ("short", "US$29", "29 dollars", True),
    ("short", "$29", "29 USD", True),
    ("short", "29 €", "29 euros", True),
    ("short", "70k", "70,000", True),
    ("short", "70k", "70000", True),
    ("short", "$70k", "$70,000", True),
    ("short", "1.5M", "1.5 million", True),
    ("short", "7x10^4", "70,000", True),
    ("short", "$5", "5 dollars", True),
    ("short", "$42$", "42", True),
    ("short", "\\$50", "$50", True),
]

LATEX: list[Row] = [
    ("short", "\\boxed{Paris}", "Paris", True),
    ("short", "$\\text{Paris}$", "Paris", True),
    ("short", "\\text{A}", "A", True),
    ("short", "\\mathrm{No}", "no", True),
    ("short", "\\boxed{\\text{Paris}}", "Paris", True),
    ("short", "\\textbf{Paris}", "Paris", True),
    ("short", "\\(\\text{Paris}\\)", "Paris", True),
    ("short", "Paris", "\\text{Paris}", True),
    ("short", "\\[\\boxed{\\text{New York}}\\]", "New York", True),
    ("short", "\\text{London}", "Paris", False),
    ("short", "**Paris**", "Paris", True),
    ("short", "\\emph{Paris}", "Paris", True),
    ("short", "\\operatorname{Paris}", "Paris", True),
    ("short", "\\text{New}\\ \\text{York}", "New York", True),
    ("short", "\\boxed{42}", "42", True),
    ("short", "42\\text{ km}", "42 km", True),
    ("short", "50\\%", "50%", True),
    ("short", "\\textit{Yes}", "yes", True),
    ("math", "\x0crac{3}{4}", "\\frac{3}{4}", True),
    ("math", "\x08oxed{42}", "42", True),
    ("math", "\text{B}", "B", True),
    ("math", "\theta", "\\theta", True),
    ("math", "3 \times 10^4", "30000", True),
    ("math", "\x08egin{pmatrix}1\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", True),
    ("math", "\rho/2", "\\frac{\\rho}{2}", True),
    ("math", "2\nu", "2\\nu", True),
    ("math", "\x07lpha", "\\alpha", True),
    ("math", "\x0bec{a}", "\\vec{a}", True),
    ("math", "\tfrac{1}{2}", "\\frac{1}{2}", True),
    ("math", "x \neq 2", "x \\neq 2", True),
    ("math", "\tan x", "\\tan x", True),
    ("math", "\nabla f", "\\nabla f", True),
    ("math", "\x0crac{\rho}{\theta}", "\\frac{\\rho}{\\theta}", True),
    ("math", "\x08inom{5}{2}", "10", True),
    ("math", "x \rightarrow 3", "x \\rightarrow 3", True),
    ("math", "\x08eta", "\\beta", True),
    ("math", "5 \text{ cm}", "5 cm", True),
    ("math", "\\left(\x0crac{1}{2}, 3\right)", "\\left(\\frac{1}{2}, 3\\right)", True),
    ("math", "\x0cbox{7}", "7", True),
    ("math", "(-\\infty, 3]\n", "(-\\infty,3]", True),
    ("math", "\\\\frac{1}{2}", "\\frac{1}{2}", True),
    ("short", "\text{Paris}", "Paris", True),
    ("short", "\x08oxed{Paris}", "Paris", True),
    ("math", "\x0crac{1}{2}", "0.5", True),
    ("math", "0.5", "\x0crac{1}{2}", True),
    ("math", "\x0crac{1}{3}", "0.5", False),
]

TIMES: list[Row] = [
    ("math", "1:00", "12:00", False),
    ("math", "3:00 PM", "5:00 PM", False),
    ("math", "0:15", "0:45", False),
    ("math", "3:00 PM", "15:00", True),
    ("math", "3 PM", "3:00 PM", True),
    ("math", "3:00 p.m.", "3:00 PM", True),
    ("math", "3:00", "3:00", True),
    ("math", "03:00", "3:00", True),
    ("math", "3:00 AM", "3:00 PM", False),
    ("math", "12:00 PM", "noon", True),
    ("math", "2:10", "1:5", True),
    ("math", "1:2", "2:4", True),
    ("math", "10:15", "2:3", True),
    ("math", "3:4", "6:8", True),
    ("math", "7:30 \\text{ p.m.}", "7:30 PM", True),
    ("math", "7:30", "7:45", False),
    ("math", "1:30:00", "1:30:00", True),
    ("math", "1:30:00", "2:00:00", False),
    ("math", "2 : 3", "2:3", True),
    ("math", "3:20 PM", "3:20", True),
    ("math", "5 o'clock", "5:00", True),
    ("short", "3 PM", "3:00 PM", True),
    ("short", "15:00", "3:00 PM", True),
    ("short", "3:00 p.m.", "3:00 PM", True),
    ("short", "1:00", "12:00", False),
    ("short", "3pm", "3:00 pm", True),
    ("short", "3:00 AM", "3:00 PM", False),
    ("short", "noon", "12:00 PM", True),
    ("short", "midnight", "12:00 AM", True),
    ("math", "3:00-5:00 PM", "3:00 PM to 5:00 PM", True),
    ("math", "15:20", "3:20", False),
    ("short", "13:30", "1:30", False),
    ("math", "3:15", "1:5", True),
]

DATES: list[Row] = [
    ("short", "\\text{January }2", "January 2", True),
    ("math", "2018", "2020-01-01", False),
    ("math", "January 1, 2020", "2020-01-01", True),
    ("math", "2020-01-01", "January 1, 2020", True),
    ("math", "1 January 2020", "2020-01-01", True),
    ("math", "2020-01-02", "2020-01-01", False),
    ("math", "2020-1-1", "2020-01-01", True),
    ("math", "2020/01/01", "2020-01-01", True),
    ("math", "01/13/2020", "2020-01-13", True),
    ("math", "13.01.2020", "2020-01-13", True),
    ("math", "2020-01-01T00:00:00", "2020-01-01", True),
    ("math", "2020-01-01 00:00:00", "2020-01-01", True),
    ("math", "July 4", "July 4", True),
    ("math", "2018", "2018", True),
    ("math", "2018.0", "2018", True),
    ("math", "2020", "2020-01-01", False),
    ("math", "2020-01-01", "2018", False),
    ("math", "5-3", "2", True),
    ("math", "10-8", "2", True),
    ("math", "3/4/2020", "3/4/2020", True),
    ("math", "Sunday", "Sunday", True),
]


@pytest.mark.parametrize(("kind", "prediction", "gold", "correct"), MONEY_AND_LARGE_NUMBERS)
def test_money_and_large_numbers(kind: str, prediction: str, gold: str, correct: bool) -> None:
    """Sums of money in any of their spellings, and numbers with their zeros left out."""
    assert scorers.score(kind, prediction, gold).correct is correct


@pytest.mark.parametrize(("kind", "prediction", "gold", "correct"), LATEX)
def test_latex(kind: str, prediction: str, gold: str, correct: bool) -> None:
    """Commands that a plain string spoilt, and commands around words."""
    assert scorers.score(kind, prediction, gold).correct is correct


@pytest.mark.parametrize(("kind", "prediction", "gold", "correct"), TIMES)
def test_times(kind: str, prediction: str, gold: str, correct: bool) -> None:
    """Times of day are no ratios, and ratios are no times."""
    assert scorers.score(kind, prediction, gold).correct is correct


@pytest.mark.parametrize(("kind", "prediction", "gold", "correct"), DATES)
def test_dates(kind: str, prediction: str, gold: str, correct: bool) -> None:
    """Dates are no differences, and differences are no dates."""
    assert scorers.score(kind, prediction, gold).correct is correct


CHOICES: list[Row] = [
    ("short", "(B) Paris", "B", True),
    ("short", "B. Paris", "B", True),
    ("short", "B) Paris", "(B)", True),
    ("short", "option B", "B", True),
    ("short", "Option (b).", "B", True),
    ("short", "(B) Paris", "(B) Paris", True),
    ("short", "B", "(B) Paris", True),
    ("short", "Paris", "(B) Paris", True),
    ("short", "(C) Paris", "B", False),
    ("short", "(C) Paris", "(B) Paris", False),
    ("short", "Rome", "(B) Paris", False),
    ("short", "(A) and (B)", "A", False),
    ("short", "C. S. Lewis", "C", False),
    ("short", "A dog", "A", False),
    ("math", "C. 5", "C", True),
    ("math", "option C", "C", True),
    ("math", "(C) 5", "C", True),
    ("math", "(B) 5", "C", False),
]
PYTHON: list[Row] = [
    ("math", "(2+3j)", "2+3i", True),
    ("math", "2-3j", "2-3i", True),
    ("math", "(2.0 + 3.0j)", "2+3i", True),
    ("math", "1j", "i", True),
    ("math", "(2+3j)", "2-3i", False),
    ("math", "1_000", "1000", True),
    ("math", "1_000_000", "10^6", True),
    ("math", "10_2", "2", False),
    ("math", "x in [1, 2]", "[1,2]", True),
    ("math", "x in (1, 2]", "[1,2]", False),
    ("short", "Mon, 2 Jan 1984", "2 January 1984", True),
    ("short", "Tue 3 January 1984", "2 January 1984", False),
    ("short", "{\\bf Paris}", "Paris", True),
]


@pytest.mark.parametrize(("kind", "prediction", "gold", "correct"), CHOICES + PYTHON)
def test_choices_and_what_python_writes(kind: str, prediction: str, gold: str, correct: bool) -> None:
    assert scorers.score(kind, prediction, gold).correct is correct


@pytest.mark.parametrize("answers", [["2020-01-01", "1999-12-31"], ["3:00", "12:30"], ["3/14/2015", "12/25/2000"]])
def test_dates_and_times_are_no_mathematics(answers: list[str]) -> None:
    assert answer_kind(answers) == "short"


@pytest.mark.parametrize("answers", [["10 - 8", "5 - 3"], ["1:2", "3:4"], ["3/4", "1/2"], ["2018", "17"]])
def test_differences_ratios_and_numbers_are(answers: list[str]) -> None:
    assert answer_kind(answers) == "math"


@pytest.mark.parametrize("answer", [r"7 \bmod 4", r"$7 \bmod 4$", "7 mod 4", "(5 + 2) mod 4", r"7 \mod 4", "3"])
def test_remainders_by_any_name(answer):
    assert scorers.score("math", answer, "3").correct
    assert scorers.score("math", "3", answer).correct
    assert not scorers.score("math", "2", answer).correct
