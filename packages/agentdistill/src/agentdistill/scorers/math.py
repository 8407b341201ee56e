"""Mathematical answers, compared by value, in two ways that have nothing in common.

:mod:`.exact` reads both answers whole by a grammar of its own and compares exactly; what it cannot read it does not
decide. math-verify knows more of mathematics and is laxer. What ``exact`` decides counts; else what math-verify does.
No text is ever evaluated as Python, and both have time limits.

math-verify parses LaTeX into sympy, which can be made to run for ever, so it works in a process that is killed at its
time limit (:mod:`.math_worker`). It is given the whole answer, unwrapped (:func:`clean`): left to itself it picks a
part of it out. Words and numerals in another base, which it would read as products of letters and as plain numbers, are
compared as text.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from agentdistill.errors import InfrastructureError
from agentdistill.parse import closing_bracket
from agentdistill.scorers import exact
from agentdistill.scorers.exact import Match
from agentdistill.scorers.text import (
    amount,
    in_full,
    last_box,
    same_choice,
    same_day,
    same_time,
    with_strokes,
    words_of,
)  # fmt: skip
from agentdistill.types import Score

TIME_LIMIT_S = 5.0
"""For one comparison by math-verify. What takes longer counts as wrong, and says so."""
MAX_CHARS = 2000
"""A longer prediction is no final answer: it is wrong unless it is the gold answer itself."""

_COMPLEX = re.compile(r"\(?[-+\d.e\s]*\dj\)?")
_GROUPED = re.compile(r"(?<=\d)_(?=(?:\d{3}_)*\d{3}(?!\d))")
_MEMBER = re.compile(r"(?<=[a-z])\s+in\s+(?=[\[(\]])")


@dataclass(frozen=True, slots=True)
class MathScore:
    """The result and why, and that of either comparison: None where it did not decide or was not made."""

    correct: bool
    reason: str
    exact: bool | None = None
    math_verify: bool | None = None


def score(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """Correct where ``prediction`` has the value of ``answer`` or of an alias."""
    result = compare(prediction, answer, aliases)
    return Score(
        correct=result.correct,
        extracted=clean(prediction[: 2 * MAX_CHARS]),
        grader="math",
        reason=result.reason,
    )


def compare(prediction: str, answer: str, aliases: Sequence[str] = (), *, both: bool = False) -> MathScore:
    """Compare a prediction; with ``both``, math-verify is asked even where it is not needed.

    With aliases it is the result for the first gold answer that the prediction equals, else that for ``answer``.
    """
    first, *others = (r for gold in (answer, *aliases) for r in _readings(prediction, gold, both))
    return next((r for r in (first, *others) if r.correct), first)


def _readings(prediction: str, gold: str, both: bool) -> Iterator[MathScore]:
    """The result for two answers; where it is no, those for the other ways to read what they may have meant."""
    said, meant = (amount(with_strokes(t)) if len(t) <= MAX_CHARS else t for t in (prediction, gold))
    first = _compare(said, meant, both)
    yield first
    pairs = {(said, meant)}
    for pair in ((prediction, gold), (in_full(said), in_full(meant)), (_as_formula(said), _as_formula(meant))):
        if not first.correct and len(prediction) <= MAX_CHARS and pair not in pairs:
            pairs.add(pair)
            yield _compare(*pair, both)
    if not first.correct and len(said) > 1 and same_choice(said, meant):
        yield MathScore(True, "same choice")


def _as_formula(text: str) -> str:
    """Numbers that Python writes, and membership in words, as mathematics writes them."""
    out = text.strip()
    if _COMPLEX.fullmatch(out):
        out = out.strip("()").replace("j", "i")
    return _MEMBER.sub(r"\\in ", _GROUPED.sub("", out))


def _compare(prediction: str, gold: str, both: bool) -> MathScore:
    if not prediction.strip():
        return MathScore(False, "empty answer")
    if len(prediction) > MAX_CHARS:
        same = prediction.strip() == gold.strip()
        return MathScore(same, "same text" if same else f"longer than {MAX_CHARS} characters")
    same = prediction.strip() == gold.strip()
    strict = Match(True, "same text") if same else _moment(prediction, gold) or exact.compare(prediction, gold)
    if strict.correct is not None and not both:
        return MathScore(strict.correct, strict.reason, strict.correct)
    verified = with_math_verify(prediction, gold, TIME_LIMIT_S)
    if strict.correct is not None:
        return MathScore(strict.correct, strict.reason, strict.correct, verified.correct)
    return MathScore(bool(verified.correct), f"{verified.reason} (math-verify)", None, verified.correct)


def _moment(prediction: str, gold: str) -> Match | None:
    """Compare dates and times of day, which look like differences and ratios; None for anything else."""
    said, meant = words_of(prediction), words_of(gold)
    same = same_time(said, meant)
    if same is None:
        same = same_day(said, meant)
    return None if same is None else Match(same, "same value" if same else "another value")


# --- math-verify ------------------------------------------------------------------------------------------------------

_ASSIGNMENT = re.compile(r"[a-zA-Z]\s*=\s*(?=[^=])")


def with_math_verify(prediction: str, gold: str, limit_s: float) -> Match:
    """Whether math-verify holds two answers for equal, asked for ``limit_s`` seconds at most."""
    said, meant = clean(prediction), clean(gold)
    if _squeezed(said) == _squeezed(meant):
        return Match(True, "same text")
    as_text = _as_text(said, meant)
    if as_text is not None:
        return as_text
    return Match(*ask_worker(_right_side(meant, said), _right_side(said, meant), limit_s))


def _right_side(text: str, other: str) -> str:
    """``x = 5`` as 5 where the other answer names no variable."""
    match = _ASSIGNMENT.match(text)
    return text[match.end() :] if match and "=" not in other else text


def _as_text(said: str, meant: str) -> Match | None:
    """The result for what must not be read as mathematics: words, and numerals in another base; None for formulas."""
    a, b = _plain_words(said), _plain_words(meant)
    if a is not None or b is not None:
        same = (a or said.strip("()").lower()) == (b or meant.strip("()").lower())
        return Match(same, "same words" if same else "other words")
    numeral, gold_numeral = _subscript(said), _subscript(meant)
    if numeral and gold_numeral:
        return Match(numeral == gold_numeral, "numerals compared as text")
    if gold_numeral:
        return Match(said == gold_numeral[0], "numerals compared as text")
    return None


# --- the bare mathematics of an answer --------------------------------------------------------------------------------

_ANSWER_IS = re.compile(r"^(?:so |thus,? |therefore,? )?(?:the )?(?:final )?answer(?: is|\s*:)\s*", re.I)
_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_SIZES = r"left|right|displaystyle|bigl?|bigr|Bigl?|Bigr"
_SPACING = re.compile(rf"(?<!\\)\\[!;: ]|~|\\q?quad\b|\\hspace\{{[^{{}}]*\}}|\\(?:{_SIZES})(?![a-zA-Z])\.?")
_THIN = re.compile(r"(?<!\\)\\,")
_WRAP = re.compile(r"\\(?:text|textnormal|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_AND_OR = re.compile(r"\s*(?:,\s*)?(?:\\text\s*\{\s*,?\s*(?:and|or)\s*\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z]))\s*")
_DEGREE = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree\b|°")
_FRAC = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_BARE_FRAC = re.compile(r"\\frac\s*(\\[a-zA-Z]+|\d)\s*(\d|\\[a-zA-Z]+(?![a-zA-Z{]))")
_MOD = re.compile(r"\\bmod(?![a-zA-Z])|(?<=[\d)}])\s*(?<![\\a-zA-Z])mod(?=\s*[\d({])")
_SQRT = re.compile(r"\\sqrt\s*\(")
_UNIT = re.compile(r"(?<=[\d}%)])\s*(?:\\(?:text|textnormal|mathrm|mbox)\s*\{[^{}]*\}(?:\s*\^\s*\{?\d\}?)?)$")
_TRAILING_WORDS = re.compile(r"^([-+−]?\\?[$€£¥₹]?\s*[\d.,/]*\d)\s+([A-Za-z][A-Za-z ]*[A-Za-z])\.?$")
# Words after a number that change its value, where others are its unit.
_CHANGES = """hundred thousand million billion trillion dozen percent per half halves third thirds quarter quarters pi
    squared cubed over plus minus times sqrt root factorial in mod choose or and to"""
_SCALE = frozenset(_CHANGES.split())
_SUBSCRIPT = re.compile(r"([0-9A-Za-z]+)_\{?(\d+)\}?")
# Words of mathematics: an answer with any other word in it is words.
_KNOWN = """sin cos tan cot sec csc log exp sqrt abs arcsin arccos arctan sinh cosh tanh asin acos atan min max gcd lcm
    mod Abs Rational Fraction factorial binomial comb Matrix FiniteSet Integer Float float set list alpha beta gamma
    delta theta phi lambda omega sigma inf infinity ceil floor begin end pmatrix bmatrix vmatrix matrix array cases
    Interval open Lopen Ropen Union True False"""
_FUNCTION = frozenset(_KNOWN.split())
_LONG_WORD = re.compile(r"(?<![\\a-zA-Z])[A-Za-z]{3,}")


def clean(text: str) -> str:
    """The bare mathematics of an answer, still as it was written.

    >>> clean(r"The answer is $\\boxed{\\dfrac{1}{2} \\text{ cm}}$.")
    '\\\\frac{1}{2}'
    """
    out = last_box(_ANSWER_IS.sub("", text.strip()))
    out = out.strip().rstrip(".").strip()
    for _ in range(3):
        out = _unwrap(out)
    out = _DEGREE.sub("", _FRAC.sub(r"\\frac", _SPACING.sub("", out)))
    out = _MOD.sub(r"\\mod", out)  # the remainder, by the only name that math-verify has for it
    out = _BARE_FRAC.sub(r"\\frac{\1}{\2}", out)
    out = _AND_OR.sub(",", out) if re.search(r"\d|\\", out) else out
    out = _THIN.sub("", out) if not re.search(r"\d\\,\d{3}", out) else out
    out = _braces_for_root(_UNIT.sub("", out))
    return _without_words(" ".join(out.split()).replace("−", "-")).strip().rstrip(".")


def _unwrap(text: str) -> str:
    for before, after in _DELIMITERS:
        inner = text[len(before) : len(text) - len(after)]
        if (
            len(text) > len(before) + len(after)
            and text.startswith(before)
            and text.endswith(after)
            and before not in inner
        ):
            return inner.strip()
    return text


def _braces_for_root(text: str) -> str:
    r"""``\sqrt(2)`` as ``\sqrt{2}``: math-verify drops the argument in parentheses and keeps the 4 of ``4\sqrt(2)``."""
    while match := _SQRT.search(text):
        end = closing_bracket(text, match.end(), "()")
        if end is None:
            return text
        text = f"{text[: match.start()]}\\sqrt{{{text[match.end() : end]}}}{text[end + 1 :]}"
    return text


def _without_words(text: str) -> str:
    """Without the unit that follows a plain number (``42 apples``), unless the words change its value."""
    match = _TRAILING_WORDS.match(text)
    if match and not _SCALE & set(match[2].lower().split()):
        return match[1]
    return text


def _plain_words(text: str) -> str | None:
    """The words of an answer that is words (a name, a choice) and not mathematics, lower-cased; None otherwise."""
    bare = _WRAP.sub(r"\1", text).strip()
    if re.fullmatch(r"\(?[A-Za-z]\)?", bare):
        return bare.strip("()").lower() if text != bare or bare.startswith("(") else None
    words = [w for w in _LONG_WORD.findall(bare) if w not in _FUNCTION]
    return " ".join(bare.lower().split()) if words else None


def _subscript(text: str) -> tuple[str, str] | None:
    """A numeral and its base (``2516_8``), which math-verify would read without the base; None for anything else."""
    match = _SUBSCRIPT.fullmatch(text.replace(" ", ""))
    return (match[1], match[2]) if match else None


def _squeezed(text: str) -> str:
    """``text`` without text wrappers, and without white space that does not part two numbers: to compare as text."""
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", _WRAP.sub(r"\1", text))


# --- the worker process -----------------------------------------------------------------------------------------------

START_LIMIT_S = 120.0
"""Starting imports sympy: a second or two, much longer on a busy machine."""

_lock = threading.Lock()
_worker: _Worker | None = None


class _Died(Exception):
    """The worker closed its output before it answered."""


class _Worker:
    def __init__(self) -> None:
        script = Path(__file__).with_name("math_worker.py")
        # -P: the script's folder holds a math.py, which must not stand in for the standard library's.
        # A session of its own: Ctrl-C is for us, and the worker ends when its input closes.
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = os.getpid()
        self._buffer = b""
        try:
            ready = self._line(START_LIMIT_S)
        except _Died:
            ready = None
        if ready != "ready":
            self.kill()
            raise InfrastructureError("the math scorer's worker did not start (is math-verify installed and working?)")

    def ask(self, request: dict[str, object], limit_s: float) -> dict[str, object] | None:
        """The reply, or None at the time limit. Raises _Died."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as e:
            raise _Died from e
        line = self._line(limit_s)
        return None if line is None else json.loads(line)

    def _line(self, limit_s: float) -> str | None:
        assert self.process.stdout is not None
        fd, deadline = self.process.stdout.fileno(), time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return None
            chunk = os.read(fd, 1 << 16)
            if not chunk:
                raise _Died
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def kill(self) -> None:
        """End the process and let go of its pipes."""
        if self.pid == os.getpid():
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@lru_cache(maxsize=4096)
def ask_worker(gold: str, prediction: str, limit_s: float) -> tuple[bool | None, str]:
    """Whether two formulas have the same value, and why; None where that was not found out within the limits.

    May be called from any thread. Raises InfrastructureError where the worker cannot be started.
    """
    global _worker
    with _lock:
        if _worker is None or _worker.pid != os.getpid():
            _worker = _Worker()
        try:
            reply = _worker.ask({"gold": gold, "prediction": prediction, "limit_s": limit_s}, limit_s)
        except _Died:
            _stop()
            return None, "too large to ask_worker (the worker died)"
        if reply is None:
            _stop()
            return None, f"not compared within {limit_s:g} s"
        return bool(reply["correct"]), str(reply["reason"])


@atexit.register
def _stop() -> None:
    global _worker
    if _worker is not None:
        _worker.kill()
        _worker = None
