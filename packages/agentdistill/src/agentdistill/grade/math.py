"""Mathematical answers, compared by value, by two graders that have nothing in common.

``exact`` (see ``_exact``) reads both answers whole by a grammar of its own and compares exactly; what it cannot read it
has no verdict on. ``math-verify`` (see ``_verify``) knows more of mathematics and is laxer. Where ``exact`` has a
verdict, that is the verdict; else it is math-verify's. No text is ever evaluated as Python, and both have time limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentdistill.grade import _exact, _verify
from agentdistill.grade._amounts import amount, in_full
from agentdistill.grade._choices import same_choice
from agentdistill.grade._clean import clean
from agentdistill.grade._dates import same_day
from agentdistill.grade._latex import with_strokes, words_of
from agentdistill.grade._opinion import Opinion
from agentdistill.grade._times import same_time
from agentdistill.types import Score

TIME_LIMIT_S = 5.0
"""For one comparison by math-verify. What takes longer counts as wrong, and says so."""
MAX_CHARS = 2000
"""A longer prediction is no final answer: it is wrong unless it is the gold answer itself."""

_COMPLEX = re.compile(r"\(?[-+\d.e\s]*\dj\)?")
_GROUPED = re.compile(r"(?<=\d)_(?=(?:\d{3}_)*\d{3}(?!\d))")
_MEMBER = re.compile(r"(?<=[a-z])\s+in\s+(?=[\[(\]])")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict and why, and what each grader said: None where it had no verdict or was not asked."""

    correct: bool
    reason: str
    exact: bool | None = None
    math_verify: bool | None = None


def grade(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """Correct where ``prediction`` has the value of ``answer`` or of an alias."""
    judgement = judge(prediction, answer, aliases)
    return Score(
        correct=judgement.correct,
        extracted=clean(prediction[: 2 * MAX_CHARS]),
        grader="math",
        reason=judgement.reason,
    )


def judge(prediction: str, answer: str, aliases: Sequence[str] = (), *, both: bool = False) -> Judgement:
    """The verdict on a prediction; with ``both``, math-verify is asked even where it is not needed.

    With aliases it is the judgement of the first gold answer that the prediction equals, else that of ``answer``.
    """
    first, *others = (j for gold in (answer, *aliases) for j in _readings(prediction, gold, both))
    return next((j for j in (first, *others) if j.correct), first)


def _readings(prediction: str, gold: str, both: bool) -> Iterator[Judgement]:
    """The judgement on two answers; where it is no, those on the other ways to read what they may have meant."""
    said, meant = (amount(with_strokes(t)) if len(t) <= MAX_CHARS else t for t in (prediction, gold))
    told = _judge(said, meant, both)
    yield told
    pairs = {(said, meant)}
    for pair in ((prediction, gold), (in_full(said), in_full(meant)), (_as_formula(said), _as_formula(meant))):
        if not told.correct and len(prediction) <= MAX_CHARS and pair not in pairs:
            pairs.add(pair)
            yield _judge(*pair, both)
    if not told.correct and len(said) > 1 and same_choice(said, meant):
        yield Judgement(True, "same choice")


def _as_formula(text: str) -> str:
    """Numbers that Python writes, and membership in words, as mathematics writes them."""
    out = text.strip()
    if _COMPLEX.fullmatch(out):
        out = out.strip("()").replace("j", "i")
    return _MEMBER.sub(r"\\in ", _GROUPED.sub("", out))


def _judge(prediction: str, gold: str, both: bool) -> Judgement:
    if not prediction.strip():
        return Judgement(False, "empty answer")
    if len(prediction) > MAX_CHARS:
        same = prediction.strip() == gold.strip()
        return Judgement(same, "same text" if same else f"longer than {MAX_CHARS} characters")
    same = prediction.strip() == gold.strip()
    exact = Opinion(True, "same text") if same else _moment(prediction, gold) or _exact.compare(prediction, gold)
    if exact.correct is not None and not both:
        return Judgement(exact.correct, exact.reason, exact.correct)
    verified = _verify.compare(prediction, gold, TIME_LIMIT_S)
    if exact.correct is not None:
        return Judgement(exact.correct, exact.reason, exact.correct, verified.correct)
    return Judgement(bool(verified.correct), f"{verified.reason} (math-verify)", None, verified.correct)


def _moment(prediction: str, gold: str) -> Opinion | None:
    """The verdict on dates and times of day, which look like differences and ratios; None for anything else."""
    said, meant = words_of(prediction), words_of(gold)
    same = same_time(said, meant)
    if same is None:
        same = same_day(said, meant)
    return None if same is None else Opinion(same, "same value" if same else "another value")
