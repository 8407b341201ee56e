"""Gold answers: the forms in which datasets give them, and which scorer they are for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agentdistill.parse import after_reasoning, extract_answer, last_boxed
from agentdistill.problems.sources import as_texts
from agentdistill.scorers.text import same_choice, same_day, same_time
from agentdistill.types import Problem

_MARKED = re.compile(
    r"(?:(?:^|\n)[ \t]*#{4,5}\s*|\s#{4}[ \t]*(?=[-$\d]))(\S[^\n]*?)(?:[ \t]*#{4})?"
    r"[ \t]*(?:\n\s*(?:the )?(?:final )?answer[^\n]*)?\s*\Z",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[#*_ \t]*(?:final[ \t]+)?answer[ \t]*:?[*_: \t]*", re.IGNORECASE)
_CONCLUDED = re.compile(
    r"(?:[.!?;][ \t]+|\A(?:so|thus|therefore|hence),?[ \t]+)(?:\w+,?[ \t]+)?the .*answer", re.IGNORECASE
)
_LONG_CHARS = 300
_LONG_WORDS = 12
_SHOWN_CHARS = 60


def final_answer_of(text: str) -> str:
    """The answer that a worked solution ends in, behind its reasoning: after ``####``, in its last ``\\boxed{}``, in
    ``<answer>`` tags, in the last of several lines after "The answer is" or below a heading, or the number or letter
    that the last of several sentences says; any other text as it is.

    >>> final_answer_of("He pays 2*3 = <<2*3=6>>6.\\n#### 6"), final_answer_of("42")
    ('6', '42')
    """
    solution = after_reasoning(text).strip() or text
    marked = _MARKED.search(solution)
    if marked:
        said = extract_answer(marked[1]) or marked[1]
        return said.removesuffix(".")
    if "</answer>" in solution or last_boxed(solution) is not None:
        return extract_answer(solution) or solution
    *earlier, last = [line for line in solution.splitlines() if line.strip()] or [""]
    if earlier:
        said = extract_answer(f"{earlier[-1]}\n{last}" if _HEADING.fullmatch(earlier[-1]) else last)
        return said.removesuffix(".") if said else solution
    said = (extract_answer(last) or "").removesuffix(".") if _CONCLUDED.search(last) else ""
    return said if said and (_looks_mathematical(said) or same_choice(said, said)) else solution


_HOLDERS = ("text", "spans", "ground_truth", "answer")


def golds(value: Any) -> list[str] | None:
    """The right answers of a cell, the first one first: a value, a list of them, or an object that holds a ``value``
    and ``aliases``, as TriviaQA's, ``text``, as SQuAD's, ``spans``, as DROP's, ``ground_truth``, as verl's, or
    ``answer``. None where it is none of these."""
    if isinstance(value, dict):
        named = ("value", *_HOLDERS) if "aliases" in value else _HOLDERS
        inner = next((value[k] for k in named if value.get(k) not in (None, "", [])), None)
        others = as_texts(value.get("aliases"))
        first = as_texts(inner)
        found = None if inner is None or first is None or others is None else [*first, *others]
    elif isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value):
        parts = [golds(v) for v in value]
        found = None if None in parts else [g for part in parts for g in part or []]
    else:
        found = as_texts(value)
    return None if found is None else list(dict.fromkeys(final_answer_of(g) for g in found))


def too_long_to_answer(problems: Sequence[Problem], where: str) -> str:
    """A line that warns of gold answers that no answer will equal, as worked solutions are; "" where there are none."""
    read = [p for p in problems if p.kind != "gym"]
    long, unit = [p for p in read if len(p.answer) > _LONG_CHARS], f"{_LONG_CHARS} characters"
    wordy = [p for p in read if len(p.answer.split()) > _LONG_WORDS]
    if not long and 2 * len(wordy) > len(read):
        long, unit = wordy, f"{_LONG_WORDS} words"
    if not long:
        return ""
    start = " ".join(long[0].answer.split())[:_SHOWN_CHARS]
    return (
        f"{where}: {len(long)} of {len(problems)} gold answers have over {unit} ({long[0].id}: "
        f'"{start}…"); is that the column of solutions? name the answers\': fields = {{ answer = "COLUMN" }}'
    )


# --- which scorer -----------------------------------------------------------------------------------------------------

_NUMBER = r"[-+−±]?\s*(?:[$€£¥]|US\$)?\s*[-+−]?(?:\d[\d,]*(?:\.\d+)?\s?[½⅓⅔¼¾⅕⅛]?|\.\d+|[½⅓⅔¼¾⅕⅛]|∞)(?:[eE][-+]?\d+)?"
_UNITS = (
    "mm|cm|dm|m|km|in|ft|yd|mi|mg|g|kg|t|oz|lb|lbs|ml|cl|l|L|s|sec|min|h|hr|hrs|mph|kmh|km/h|m/s|Hz|kHz|MHz|W|kW|V|A|J|kJ"
    "|k|M|B|bn|million|billion|N|Pa|kPa|K|°C|°F|cm2|m2|km2|cm3|m3|cm\\^2|m\\^2|km\\^2|cm\\^3|m\\^3|USD|EUR"
)
_QUANTITY = re.compile(rf"{_NUMBER}\s*(?:\\?[%°€£$]|(?:{_UNITS}))?")
_YEAR = re.compile(r"1\d{3}|20\d{2}")
# What has digits and is read, not computed: dates, times, scores, ranges of years, seasons, telephone numbers, decades.
_READ = re.compile(
    r"\d+(?:[-–—/.:]\d+){2,}|\d+[-–—]\d+|\d{1,2}:\d{2}|\d{4}/\d{2}|\d*0s|\d{4}-\d{2}-\d{2}[T ].*|[nwac]/[aoc]"
)
_FUNCTION_NAMES = """sin cos tan cot sec csc arcsin arccos arctan log ln exp sqrt pi mod gcd lcm max min inf infty"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_SUFFIXES = frozenset(["st", "nd", "rd", "th", "am", "pm", "bc", "ad", "ce", "up"])
_TOKEN = re.compile(r"\s*(?:(\d+(?:[.,]\d+)*)|([^\W\d_]+)|([-+−*/·×÷^=<>≤≥≠()\[\]{},;|!√∞∪∩°%$±:._]))")
_OPERATORS = frozenset("+*/·×÷^=<>≤≥≠√∪∩|-−±")


def answer_kind(answers: Sequence[str]) -> str:
    """``math`` where nine in ten answers are numbers or formulas and not all of them are years; else ``short``.

    >>> answer_kind(["no", "yes", "UK", "10-8"]), answer_kind(["12", "2x + 1", "$1,000"]), answer_kind(["1999"])
    ('short', 'math', 'short')
    """
    if all(_YEAR.fullmatch(a.strip()) for a in answers):
        return "short"
    looks = sum(_looks_mathematical(a.strip()) for a in answers)
    return "math" if looks >= 0.9 * len(answers) else "short"


def _looks_mathematical(answer: str) -> bool:
    if "\\" in answer:
        return True
    if same_time(answer, answer) or same_day(answer, answer):
        return False
    return not _READ.fullmatch(answer) and (bool(_QUANTITY.fullmatch(answer)) or _is_formula(answer.strip("$")))


def _is_formula(answer: str) -> bool:
    """Whether it is made of numbers, variables, functions and operators, and is more than a name."""
    at, tokens = 0, []
    while at < len(answer):
        found = _TOKEN.match(answer, at)
        if found is None:
            return False
        tokens.append(found)
        at = found.end()
    pieces = [t[t.lastindex or 0] for t in tokens]
    if not pieces or pieces[-1] in _OPERATORS:  # C++, A+
        return False
    letters = [(i, t[2]) for i, t in enumerate(tokens) if t[2]]
    if not all(_is_symbol(word, pieces[i - 1] if i else "", pieces[i + 1 : i + 2]) for i, word in letters):
        return False
    variables = [w for _, w in letters if w.islower()]
    has_operator = any(p in _OPERATORS for p in pieces)
    if any(t[1] for t in tokens):  # digits
        return not letters or bool(variables) or any(p in _OPERATORS - {"-"} for p in pieces)
    applied = len(letters) > 1 and letters[0][1] in _FUNCTIONS
    return answer in ("pi", "π", "∞") or applied or (has_operator and bool(variables))


def _is_symbol(word: str, before: str, after: list[str]) -> bool:
    """A variable, a product of two (``2ab``) or the name of a function; not a word, a suffix or an identifier."""
    if word in _FUNCTIONS:
        return True
    if after and after[0][0].isdigit() and word.isascii():  # B2, R2-D2; but 2 x 10
        return word == "x" and before[:1].isdigit()
    return len(word) == 1 or (len(word) == 2 and word.islower() and word not in _SUFFIXES and before[:1].isdigit())
