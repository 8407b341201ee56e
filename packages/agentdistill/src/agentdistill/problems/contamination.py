"""Contamination: training questions that equal or nearly equal a test question.

Two questions are *equal* where nothing but case, Unicode form, punctuation, blanks and the way a number is written
tells them apart (:func:`normalise`). They are *near* where they hold the same numbers and signs in the same order and
the same names, and their word trigrams overlap: a weighted Jaccard index of at least 0.45 where they share two numbers
or more, else of at least 0.6 and with the same question words.

Questions that differ in a number or a name are different questions: SVAMP's are MAWPS' with other numbers, and a
template filled in twice asks twice. For the same reason a trigram weighs ``log((1 + N) / df)``, where ``df`` is the
larger of the counts of training and of test questions that have it and ``N`` the larger of the two sizes: the words of
a template weigh little, those that it is filled in with weigh much. ``docs/limits.md`` says what that misses.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

from agentdistill.types import Problem

T = TypeVar("T")
Level = Literal["equal", "near"]
Gram = tuple[str, ...]

NEAR = 0.6
NEAR_WITH_NUMBERS = 0.45
N_WORDS = 3
_SHOWN = 5
"""Pairs of each level that a report shows."""

# Thai, Lao, Burmese, Khmer, Japanese, Chinese: no spaces between words, so a character stands for one.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(
    r"(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d*\.?\d+)"
    r"|(?P<sign>[+*/^%|~=<>\u00ac\u00b1\u00d7\u00f7\u2190-\u22ff]|-(?=\s*[\d.(]))"
    rf"|(?P<word>[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+)"
)
_CLITIC = re.compile(r"\s*['’](?=(?:s|re|ve|ll|d|m|t)\b)|(?<=\w)['’](?=\w)", re.IGNORECASE)
_NOT = re.compile(r"\s+n['’]t\b", re.IGNORECASE)
_NUMBER_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
"""Not "one", which is a pronoun more often than a number."""
_QUESTION_WORDS = {w: w for w in ("who", "whom", "whose", "what", "when", "where", "why", "how")} | {"which": "what"}
_OPENING = ".?!:;\n"
"""What a word may begin with a capital after, without being a name."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A question taken apart. ``fixed`` is its numbers and signs in order, ``n_numbers`` how many of them numbers."""

    tokens: tuple[str, ...]
    fixed: tuple[str, ...]
    n_numbers: int
    names: frozenset[str]

    @property
    def threshold(self) -> float:
        return NEAR_WITH_NUMBERS if self.n_numbers > 1 else NEAR

    @property
    def asks(self) -> tuple[str, ...]:
        """Its question words, where they tell it from another: beside two numbers they do not."""
        return () if self.n_numbers > 1 else tuple(_QUESTION_WORDS[w] for w in self.tokens if w in _QUESTION_WORDS)

    def grams(self) -> frozenset[Gram]:
        """Its word trigrams; the whole text where it is shorter."""
        t = self.tokens
        return frozenset(t[i : i + N_WORDS] for i in range(max(1, len(t) - N_WORDS + 1)))


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """A training question and the test question most like it. ``overlap`` is 1 for equal ones."""

    train: Problem
    test: Problem
    level: Level
    overlap: float


@dataclass(frozen=True)
class Screening:
    """What was found: one entry for each training question, None for a clean one. With ``drop`` the others go."""

    matches: tuple[QuestionPair | None, ...]
    n_test: int
    drop: bool = True

    @cached_property
    def found(self) -> tuple[QuestionPair, ...]:
        """The matches there are."""
        return tuple(m for m in self.matches if m is not None)

    def kept(self, items: Iterable[T]) -> tuple[T, ...]:
        """Of one item for each training question, those to train on."""
        return tuple(x for x, m in zip(items, self.matches, strict=True) if m is None or not self.drop)

    def facts(self) -> dict[str, Any]:
        """Counts, in all and by families, and some of the pairs, as JSON values."""
        groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for m in self.found:
            groups[m.train.family, m.test.family][m.level] += 1
        levels = Counter(m.level for m in self.found)
        return {
            "n": len(self.matches),
            "n_test": self.n_test,
            "dropped": self.drop,
            "equal": levels["equal"],
            "near": levels["near"],
            "groups": [
                {"train": train, "test": test, "equal": n["equal"], "near": n["near"]}
                for (train, test), n in sorted(groups.items())
            ],
            "examples": self.pairs(_SHOWN),
        }

    def pairs(self, n: int | None = None) -> list[dict[str, Any]]:
        """The first ``n`` pairs of each level, all without ``n``: near ones first, of these the least alike first."""
        near = sorted((m for m in self.found if m.level == "near"), key=lambda m: m.overlap)
        return [_pair(m) for m in (*near[:n], *[m for m in self.found if m.level == "equal"][:n])]


def _pair(m: QuestionPair) -> dict[str, Any]:
    def shown(p: Problem) -> dict[str, str]:
        return {"id": p.id, "family": p.family, "question": p.question}

    return {"level": m.level, "overlap": round(m.overlap, 3), "train": shown(m.train), "test": shown(m.test)}


def told(facts: Mapping[str, Any]) -> str:
    """What :meth:`Screening.facts` says, in a sentence without a full stop.

    >>> told({"n": 800, "n_test": 100, "dropped": True, "equal": 3, "near": 1})
    '4 of 800 training questions are test questions too (3 equal, 1 near): dropped'
    """
    found = facts["equal"] + facts["near"]
    if not found:
        return f"none of {facts['n']:,} training questions is one of the {facts['n_test']:,} test questions"
    are = "is a test question" if found == 1 else "are test questions"
    counts = f"{facts['equal']:,} equal, {facts['near']:,} near"
    what = {True: ": dropped", False: ": kept", None: ""}[facts.get("dropped")]
    return f"{found:,} of {facts['n']:,} training questions {are} too ({counts}){what}"


def normalise(text: str) -> tuple[str, ...]:
    """The words, numbers and signs of a text in one form each; questions with the same are equal.

    >>> " ".join(normalise("Sam’s 1,500 cats—or 7.50% of them?"))
    'sams 1500 cats or 7.5 % of them'
    """
    return _read(text).tokens


def screen(train: Sequence[Problem], test: Sequence[Problem], drop: bool = True) -> Screening:
    """Compare every training question with every test question. Seconds for 10,000 by 3,000; aliases do not count."""
    texts = {q: _read(q) for q in {p.question for p in (*train, *test)}}
    index = _Index([texts[p.question] for p in train], [texts[p.question] for p in test])
    best = {q: index.best(texts[q]) for q in {p.question for p in train}}

    def match(p: Problem) -> QuestionPair | None:
        found = best[p.question]
        return (
            None if found is None else QuestionPair(p, test[found[0]], "equal" if found[1] == 1 else "near", found[1])
        )

    return Screening(tuple(match(p) for p in train), len(test), drop)


def _read(text: str) -> _Text:
    text = _CLITIC.sub("", _NOT.sub("nt", unicodedata.normalize("NFKC", text)))
    tokens, fixed, names, n_numbers = [], [], set(), 0
    for found in _TOKEN.finditer(text):
        token = found.group().casefold()
        if found["word"] and token not in _NUMBER_WORDS:
            before = text[: found.start()].rstrip(" \t\"'“‘([*#")
            if found.group()[0].isupper() and before and before[-1] not in _OPENING and token != "i":
                names.add(token)
        else:
            if not found["sign"]:
                token, n_numbers = _number(token), n_numbers + 1
            fixed.append(token)
        tokens.append(token)
    return _Text(tuple(tokens) or (text.casefold().strip(),), tuple(fixed), n_numbers, frozenset(names))


def _number(text: str) -> str:
    """A number written in one way: ``1,500.0`` as ``1500``, ``.5`` as ``0.5``, ``three`` as ``3``."""
    plain = _NUMBER_WORDS.get(text, text).replace(",", "")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return f"0{plain}" if plain[:1] in ("", ".") else plain


class _Index:
    """Test questions by their numbers and signs, and within that by their trigrams. Places are those in ``test``."""

    def __init__(self, train: Sequence[_Text], test: Sequence[_Text]) -> None:
        self._place = {t.tokens: i for i, t in reversed(list(enumerate(test)))}  # the first of several equal ones
        self._test = {self._place[t.tokens]: t for t in test}
        self._grams = {i: t.grams() for i, t in self._test.items()}
        asked = {t.tokens: t for t in train}.values()
        counts = [Counter(g for t in asked for g in t.grams()), Counter(g for gs in self._grams.values() for g in gs)]
        self._counts, self._n = counts, 1 + max(len(asked), len(self._test))
        self._having: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for i, t in self._test.items():
            for gram in self._grams[i]:
                self._having[t.fixed, t.asks, gram].append(i)

    def best(self, text: _Text) -> tuple[int, float] | None:
        """The place of the test question most like a text, and their overlap (1 where equal); None if none is near."""
        if text.tokens in self._place:
            return self._place[text.tokens], 1.0
        grams, found = text.grams(), None
        for i in sorted(self._candidates(text, grams)):
            other = self._test[i]
            if not (text.names <= set(other.tokens) and other.names <= set(text.tokens)):
                continue
            overlap = self._sum(grams & self._grams[i]) / self._sum(grams | self._grams[i])
            if overlap >= text.threshold and (found is None or overlap > found[1]):
                found = i, min(overlap, 1 - 1e-9)
        return found

    def _candidates(self, text: _Text, grams: frozenset[Gram]) -> set[int]:
        """All test questions that can reach the threshold: they share a trigram with the rarest of the text's that
        weigh more than what may be missing."""
        out: set[int] = set()
        spare = (1 - text.threshold) * self._sum(grams) + 1e-9
        for gram in sorted(grams, key=lambda g: (-self._weight(g), g)):
            out.update(self._having.get((text.fixed, text.asks, gram), ()))
            spare -= self._weight(gram)
            if spare < 0:
                break
        return out

    def _weight(self, gram: Gram) -> float:
        return math.log(self._n / max(1, *(c[gram] for c in self._counts)))

    def _sum(self, grams: Iterable[Gram]) -> float:
        return math.fsum(map(self._weight, grams))  # the same in any order: sets have none
