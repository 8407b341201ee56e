"""Two tokenizers over one text: where both cut at the same place, and which of their tokens say the same there.

Nothing is assumed of vocabularies but that tokens have bytes. A token of one vocabulary belongs together with the
longest token of the other that it begins with, and the classes of tokens that this connects are what both models can
be compared by: for two vocabularies that are alike nearly every class holds one token of each, for bytes beside words
a class is "what begins with this byte". Where one cuts a span in more tokens than the other, the rest of the span is
compared as a whole, by its log-probability (as GOLD does, in TRL, at every such span).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from agentdistill.models.reading import Reading


@dataclass(frozen=True, slots=True)
class Unit:
    """What a teacher makes of the student's tokens ``start`` to ``stop`` (counted from the first that it wrote).

    ``logprobs`` are those of the ``classes`` that the first of them may be of; the others share what is left. ``rest``
    is the log-probability of all of them, given that the first one's class is known: None where that leaves nothing
    open. Without classes it is that of the whole span.
    """

    start: int
    stop: int
    classes: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    rest: float | None = None


class Vocabulary:
    """A tokenizer's tokens as bytes. ``spelt`` has them by id; special tokens have their names there."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int]) -> None:
        self.end_ids = frozenset(end_ids)
        self.special = frozenset(i for i, t in tokenizer.added_tokens_decoder.items() if t.special)
        self.spelt = _spelt(tokenizer)
        self.ids: dict[bytes, int] = {}
        for i, text in enumerate(self.spelt):
            if text and i not in self.special:
                self.ids.setdefault(text, i)

    def longest(self, text: bytes) -> int | None:
        """The longest token that ``text`` begins with."""
        return next((self.ids[text[:n]] for n in range(len(text), 0, -1) if text[:n] in self.ids), None)


def _spelt(tokenizer: Any) -> list[bytes]:
    """The bytes of every token: what it adds to a decoded text, or, where that is no whole character, what its name
    stands for in the two spellings of single bytes that are in use."""
    n = len(tokenizer)
    anchor = tokenizer.encode("a", add_special_tokens=False)[-1]
    decode = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    n_anchor = len(tokenizer.decode([anchor], **decode))
    # Some decoders drop a blank at the beginning of a text: behind an anchor none is dropped.
    texts = [t[n_anchor:] for t in tokenizer.batch_decode([[anchor, i] for i in range(n)], **decode)]
    names = tokenizer.convert_ids_to_tokens(range(n))
    return [
        _of_name(name or "") if "\ufffd" in text else text.encode() for text, name in zip(texts, names, strict=True)
    ]


def _of_name(name: str) -> bytes:
    if found := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", name):
        return bytes.fromhex(found[1])
    try:
        return bytes(_BYTE_OF[c] for c in name)
    except KeyError:
        return name.encode()


def _byte_alphabet() -> dict[str, int]:
    """The characters that byte-level vocabularies write bytes as: printable ones as they are, others from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + i): b for i, b in enumerate(others)}


_BYTE_OF = _byte_alphabet()


class Alignment:
    """A student's and a teacher's vocabulary. ``student`` and ``teacher`` give the class of every id, -1 for those that
    have no counterpart; there are ``n`` classes."""

    def __init__(self, student: Vocabulary, teacher: Vocabulary) -> None:
        self._student, self._teacher = student, teacher
        self.student, self.teacher, self.n = _classes(student, teacher)
        self._n_student = Counter(self.student)

    def units(self, ids: Sequence[int], teacher_ids: Sequence[int], read: Sequence[Reading]) -> list[Unit]:
        """What the teacher makes of what a student wrote, as far as both spell the same text.

        ``teacher_ids`` spell it in the teacher's tokens, ``read`` has what it makes of each. Blanks before the text,
        which some templates put there, and after it, which some take away, need not be the same. What is left out
        is in no unit.
        """
        mine, its = _Text(self._student, ids), _Text(self._teacher, teacher_ids)
        n_common = next((i for i, (a, b) in enumerate(zip(mine.text, its.text, strict=False)) if a != b), None)
        if n_common is None:
            n_common = min(len(mine.text), len(its.text))
        out: list[Unit] = []
        spans = list(_cuts(mine.stops, its.stops, n_common))
        if mine.ended and its.ended and not (mine.text[n_common:].strip() or its.text[n_common:].strip()):
            spans.append((range(len(ids) - 1, len(ids)), range(len(teacher_ids) - 1, len(teacher_ids))))
        for span, its_span in spans:
            if unit := self._unit(ids, span, teacher_ids, its_span, read):
                out.append(unit)
        return out

    def _unit(
        self, ids: Sequence[int], span: range, teacher_ids: Sequence[int], its_span: range, read: Sequence[Reading]
    ) -> Unit | None:
        """A span that both cut out. None where the teacher said nothing of it."""
        own = [read[j].logprob for j in its_span]
        if any(p is None for p in own):
            return None
        whole = math.fsum(p for p in own if p is not None)
        home = self.student[ids[span[0]]]
        if home < 0 or home != self.teacher[teacher_ids[its_span[0]]]:
            return Unit(span.start, span.stop, rest=min(whole, 0.0))
        found = self._of_classes(teacher_ids[its_span[0]], read[its_span[0]])
        # A class of one token of the student's leaves it nothing open once the class is known.
        closed = len(span) == 1 and self._n_student[home] == 1
        rest = None if closed else min(whole - found[home], 0.0)
        return Unit(span.start, span.stop, tuple(found), tuple(found.values()), rest)

    def _of_classes(self, own: int, read: Reading) -> Mapping[int, float]:
        """The log-probability of every class that the teacher named a token of, its own among them."""
        found: dict[int, float] = {}
        assert read.logprob is not None
        for i, p in {**dict(read.top), own: read.logprob}.items():
            if 0 <= i < len(self.teacher) and (c := self.teacher[i]) >= 0:
                found[c] = _log_add(found[c], p) if c in found else p
        return found


def _log_add(a: float, b: float) -> float:
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


class _Text:
    """What was written: its bytes without blanks before them, where each token stops in them, and whether the last
    token, which is none of them then, ends the turn."""

    def __init__(self, vocabulary: Vocabulary, ids: Sequence[int]) -> None:
        self.ended = bool(ids) and ids[-1] in vocabulary.end_ids
        pieces = [vocabulary.spelt[i] for i in ids[: len(ids) - self.ended]]
        whole = b"".join(pieces)
        self.text = whole.lstrip()
        self.stops = [n - len(whole) + len(self.text) for n in accumulate(map(len, pieces))]


def _cuts(mine: Sequence[int], its: Sequence[int], n_common: int) -> Iterator[tuple[range, range]]:
    """The spans of tokens between places at which both cut, in the first ``n_common`` bytes."""
    after, its_after = ({stop: i + 1 for i, stop in enumerate(stops)} for stops in (mine, its))
    i, j = (sum(stop <= 0 for stop in stops) for stops in (mine, its))
    for stop, a in after.items():
        if 0 < stop <= n_common and stop in its_after:
            yield range(i, a), range(j, its_after[stop])
            i, j = a, its_after[stop]


def _classes(student: Vocabulary, teacher: Vocabulary) -> tuple[list[int], list[int], int]:
    """The class of every id of the student's and of the teacher's, and how many there are."""
    n = len(student.spelt)
    home = list(range(n + len(teacher.spelt)))

    def find(i: int) -> int:
        while home[i] != i:
            home[i] = i = home[home[i]]
        return i

    def join(i: int | None, j: int | None) -> None:
        if i is not None and j is not None:
            a, b = find(i), find(n + j)
            home[max(a, b)] = min(a, b)

    for text, i in student.ids.items():
        join(i, teacher.longest(text))
    for text, j in teacher.ids.items():
        join(student.longest(text), j)
    named = {teacher.spelt[j]: j for j in teacher.special}
    for i in student.special:
        join(i, named.get(student.spelt[i]))
    for i in student.end_ids:
        for j in teacher.end_ids:
            join(i, j)
    both = {find(i) for i in range(n)} & {find(n + j) for j in range(len(teacher.spelt))}
    number = {root: k for k, root in enumerate(sorted(both))}
    found = [number.get(find(i), -1) for i in range(len(home))]
    return found[:n], found[n:], len(number)
