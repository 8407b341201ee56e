"""How well a retriever finds what multi-step questions are answered from: recall of their supporting passages, and how
often what it found says the answer.

Read are the forms in which the datasets come (:mod:`agentdistill.problems`). A passage of HotpotQA and 2WikiMultiHopQA
is told by its title; MuSiQue has several of a title, and so the text has to fit too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError
from agentdistill.problems import Row, as_text, as_texts, open_source, plain_text, supporting_passages
from agentdistill.progress import Progress, Silent
from agentdistill.report.stats import mean_interval
from agentdistill.retrieval import Passage, Retriever, shortened
from agentdistill.scorers.short import contains

KS = (2, 5, 10)
_ANSWERS = ("answer", "aliases", "answer_aliases")


@dataclass(frozen=True, slots=True)
class Gold:
    """A passage that a question needs: any of that title, or where ``text`` is given the one that says it."""

    title: str
    text: str | None = None

    def is_in(self, found: Iterable[Passage]) -> bool:
        """Whether it is among the passages."""
        return any(self.is_(p) for p in found)

    def is_(self, p: Passage) -> bool:
        """Whether a passage is the one."""
        return plain_text(p.title) == plain_text(self.title) and (
            self.text is None or plain_text(p.text) == plain_text(self.text)
        )


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the passages it needs, each once, and its answer with aliases, where they are known."""

    question: str
    gold: tuple[Gold, ...]
    answers: tuple[str, ...] = ()

    @property
    def is_named(self) -> bool:
        """Whether passages could say the answer: one of yes or no they do not."""
        return bool(self.answers) and self.answers[0].strip().lower() not in ("yes", "no")


def recall(found: Sequence[Passage], question: Question, k: int) -> float:
    """The share of the needed passages that are among the first ``k`` found.

    >>> recall([Passage("A", "…"), Passage("B", "…")], Question("?", (Gold("B"), Gold("C"))), 2)
    0.5
    """
    return sum(g.is_in(found[:k]) for g in question.gold) / len(question.gold)


def says_answer(found: Sequence[Passage], question: Question, k: int, n_chars: int | None = None) -> bool:
    """Whether an answer stands, word for word, in the first ``k`` found, each cut to ``n_chars``."""
    text = "\n".join(f"{p.title}: {shortened(p, n_chars).text}" for p in found[:k])
    return any(contains(text, answer) for answer in question.answers)


def measure(
    retriever: Retriever,
    questions: Sequence[Question],
    ks: Sequence[int] = KS,
    progress: Progress | None = None,
    chars: Sequence[int] = (),
) -> dict[str, Any]:
    """Mean recall over the questions at each of ``ks``, with 95 % bootstrap intervals, and milliseconds a query.

    ``answer@k`` is the share of questions whose answer the first ``k`` passages say, ``answer@k/300`` the same of
    passages cut to 300 characters, one for each of ``chars``; questions that are answered by yes or no are left out.
    Queries are asked one at a time, after one that is not counted. Raises DataError for no questions.
    """
    if not questions:
        raise DataError("no questions to measure recall on")
    found, seconds = [], []
    retriever.search(questions[0].question, max(ks))
    task = (progress or Silent()).task("recall", f"{len(questions)} questions", len(questions))
    for question in questions:
        started = time.perf_counter()
        found.append(retriever.search(question.question, max(ks)))
        seconds.append(time.perf_counter() - started)
        task.advance()
    task.done("")
    pairs = list(zip(found, questions, strict=True))
    named = [(f, question) for f, question in pairs if question.is_named]
    each = {f"recall@{k}": [recall(f, question, k) for f, question in pairs] for k in ks}
    for n in (None, *chars) if named else ():
        cut = "" if n is None else f"/{n}"
        each |= {f"answer@{k}{cut}": [float(says_answer(f, question, k, n)) for f, question in named] for k in ks}
    out: dict[str, Any] = {"n_questions": len(questions), "n_answers": len(named)}
    intervals: dict[str, list[float]] = {}
    for name, values in each.items():
        interval = mean_interval({"": values})
        out[name] = round(interval.estimate, 4)
        intervals[name] = [round(interval.low, 4), round(interval.high, 4)]
    times = {"ms_per_query": statistics.mean(seconds), "ms_per_query_median": statistics.median(seconds)}
    return {**out, "intervals": intervals, **{name: round(s * 1000, 3) for name, s in times.items()}}


def n_missing(questions: Iterable[Question], passages: Iterable[Passage]) -> int:
    """How many of the passages that questions need are not in a corpus at all: no retriever could find them."""
    needed = {(plain_text(g.title), None if g.text is None else plain_text(g.text)) for q in questions for g in q.gold}
    titles = {title for title, _ in needed}
    for p in passages:
        if (title := plain_text(p.title)) in titles:
            needed -= {(title, None), (title, plain_text(p.text))}
    return len(needed)


def read_questions(path: Path) -> list[Question]:
    """The questions of a file (JSON, JSONL, CSV or Parquet), in order.

    Raises DataError naming file and question for one without its supporting passages.
    """
    questions = [_question(row) for row in open_source(str(path)).rows]
    if not questions:
        raise DataError(f"{path}: no questions")
    return questions


def _question(row: Row) -> Question:
    values = row.values
    if row.fault:
        raise DataError(f"{row.where}: {row.fault}")
    if not isinstance(values, Mapping) or not as_text(values.get("question")):
        raise DataError(f'{row.where}: no "question"')
    try:
        gold = tuple(Gold(title, text) for title, text in supporting_passages(values))
    except ValueError as e:
        raise DataError(f"{row.where}: {e}") from e
    if not gold:
        why = 'supporting passages, as "supporting_facts" or as "paragraphs" with "is_supporting"'
        raise DataError(f"{row.where}: no {why}")
    answers = [a for column in _ANSWERS for a in as_texts(values.get(column)) or ()]
    return Question(as_text(values["question"]), gold, tuple(dict.fromkeys(answers)))
