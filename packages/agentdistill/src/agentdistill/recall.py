"""How well a retriever finds what multi-step questions are answered from: recall of their supporting passages.

Read are the forms in which the datasets come: HotpotQA and 2WikiMultiHopQA with ``supporting_facts`` (pairs of title
and sentence, or ``{"title": […]}``), where a passage is told by its title; MuSiQue with ``paragraphs``, each with
``is_supporting``, where a title has several passages and so the text has to fit too.
"""

from __future__ import annotations

import html
import json
import statistics
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError
from agentdistill.progress import Progress, Silent
from agentdistill.retrieval import Passage, Retriever
from agentdistill.stats import mean_interval
from agentdistill.store import read_jsonl

KS = (2, 5, 10)


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
        return _plain(p.title) == _plain(self.title) and (self.text is None or _plain(p.text) == _plain(self.text))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the passages it needs, each once."""

    question: str
    gold: tuple[Gold, ...]


def recall(found: Sequence[Passage], asked: Asked, k: int) -> float:
    """The share of the needed passages that are among the first ``k`` found.

    >>> recall([Passage("A", "…"), Passage("B", "…")], Asked("?", (Gold("B"), Gold("C"))), 2)
    0.5
    """
    return sum(g.is_in(found[:k]) for g in asked.gold) / len(asked.gold)


def measure(
    retriever: Retriever, questions: Sequence[Asked], ks: Sequence[int] = KS, progress: Progress | None = None
) -> dict[str, Any]:
    """Mean recall over the questions at each of ``ks``, with 95 % bootstrap intervals, and milliseconds a query.

    Queries are asked one at a time, after one that is not counted. Raises DataError for no questions.
    """
    if not questions:
        raise DataError("no questions to measure recall on")
    found, seconds = [], []
    retriever.search(questions[0].question, max(ks))
    task = (progress or Silent()).task("recall", f"{len(questions)} questions", len(questions))
    for asked in questions:
        started = time.perf_counter()
        found.append(retriever.search(asked.question, max(ks)))
        seconds.append(time.perf_counter() - started)
        task.advance()
    task.done("")
    out: dict[str, Any] = {"n_questions": len(questions)}
    intervals: dict[str, list[float]] = {}
    for k in ks:
        each = [recall(f, asked, k) for f, asked in zip(found, questions, strict=True)]
        interval = mean_interval({"": each})
        out[f"recall@{k}"] = round(interval.estimate, 4)
        intervals[f"recall@{k}"] = [round(interval.low, 4), round(interval.high, 4)]
    times = {"ms_per_query": statistics.mean(seconds), "ms_per_query_median": statistics.median(seconds)}
    return {**out, "intervals": intervals, **{name: round(s * 1000, 3) for name, s in times.items()}}


def n_missing(questions: Iterable[Asked], passages: Iterable[Passage]) -> int:
    """How many of the passages that questions need are not in a corpus at all: no retriever could find them."""
    needed = {(_plain(g.title), None if g.text is None else _plain(g.text)) for q in questions for g in q.gold}
    titles = {title for title, _ in needed}
    for p in passages:
        if (title := _plain(p.title)) in titles:
            needed -= {(title, None), (title, _plain(p.text))}
    return len(needed)


def read_questions(path: Path) -> list[Asked]:
    """The questions of a JSON list (alone, or under ``data`` or ``examples``) or of JSONL, in order.

    Raises DataError naming file and question for one without its supporting passages.
    """
    questions = [_asked(row, where) for where, row in _rows(path)]
    if not questions:
        raise DataError(f"{path}: no questions")
    return questions


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from ((f"{path}:{n}", row) for n, row in read_jsonl(path))
        return
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    except (ValueError, RecursionError) as e:
        raise DataError(f"{path}: not JSON ({' '.join(str(e).split())[:120]})") from e
    if isinstance(data, dict):
        data = data.get("data", data.get("examples"))
    if not isinstance(data, list):
        raise DataError(f"{path}: expected a list of questions")
    yield from ((f"{path}: question {n}", row) for n, row in enumerate(data, 1))


def _asked(row: Any, where: str) -> Asked:
    if not isinstance(row, dict) or not isinstance(row.get("question"), str) or not row["question"].strip():
        raise DataError(f'{where}: no "question"')
    try:
        gold = tuple(dict.fromkeys(_paragraphs(row) if "paragraphs" in row else _facts(row)))
    except (TypeError, KeyError, ValueError, AttributeError) as e:
        raise DataError(f"{where}: its supporting passages cannot be read ({type(e).__name__}: {e})") from e
    if not gold:
        why = 'supporting passages, as "supporting_facts" or as "paragraphs" with "is_supporting"'
        raise DataError(f"{where}: no {why}")
    return Asked(row["question"], gold)


def _facts(row: Mapping[str, Any]) -> Iterator[Gold]:
    facts = row.get("supporting_facts") or ()
    titles = facts["title"] if isinstance(facts, Mapping) else [fact[0] for fact in facts]
    for title in titles:
        if not isinstance(title, str):
            raise TypeError(f"a title is {title!r}")
        yield Gold(title)


def _paragraphs(row: Mapping[str, Any]) -> Iterator[Gold]:
    for paragraph in row["paragraphs"]:
        if paragraph.get("is_supporting"):
            text = paragraph["paragraph_text"] if "paragraph_text" in paragraph else paragraph["text"]
            if not isinstance(text, str) or not isinstance(paragraph["title"], str):
                raise TypeError("a paragraph's title or text is no string")
            yield Gold(paragraph["title"], text)


def _plain(text: str) -> str:
    """A title or text without what files of one dataset write now this way, now that: entities, spaces, forms."""
    return " ".join(unicodedata.normalize("NFKC", html.unescape(text)).split())
