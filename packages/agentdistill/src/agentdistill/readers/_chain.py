"""The thoughts of an agent that searched, as one chain of thought."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentdistill.readers._prose import sentences
from agentdistill.readers._stated import closed, stated
from agentdistill.readers._words import OPENING
from agentdistill.scorers.short import contains

_BARE_WORDS = 10
"""An observation of at most so many words, and no sentence, is a value."""
_VALUE_WORDS = 3
_SENTENCE_WORDS = 6
_ASKS = re.compile(
    r"\b(?:who|whose|whom|what|when|where|which|why|how)\b|^(?:is|are|was|were|do|does|did|can|could|has|have|had)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Z][\w'’.-]*(?: (?:(?:of|the|de|von|van) )*[A-Z][\w'’.-]*)*|\d+")
_GAP = re.compile(r"\s+[;·|](?:\s+|$)|\s*(?:\.{3}|…)(?:\s+|$)")
_LIST_MARK = re.compile(r"[;·|]")
_DANGLING = re.compile(
    r"(?:,?\s+(?:all|one|most|some|and|or|but|a|an|the|of|in|on|at|to|by|for|from|with|as|during|which|who|whose|where|"
    r"that|is|are|was|were|has|had|he|she|it|they|his|her|its|their))+,?\s*$"
)
"""What a text that is cut off after it does not end with."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of thought, ``""`` where there is nothing to say, and how many observations are quoted in it."""

    text: str
    n_quoted: int


def chain(
    question: str, thoughts: Sequence[str], queries: Sequence[str], observations: Sequence[str], answer: str
) -> Chain:
    """What the thoughts state, in order; there is one thought more than there are queries and observations.

    Where a thought does not state what was found, the observation's own sentence is put before it: the one that names
    what the next query is the first to name, or that holds the answer. A bare value follows its query.
    """
    said: list[str] = []
    quoted: dict[int, str] = {}
    for i, thought in enumerate(thoughts):
        own = stated(thought, opens=not any(said) and not quoted)
        if 0 < i < len(queries) and not own.text and not own.missed:
            known = " ".join([question, *queries[:i], *said])
            new = [name for name in _NAME.findall(queries[i]) if name not in known]
            quoted |= _quoted(i - 1, queries[i - 1], observations[i - 1], new)
        said.append(own.text)
    n_words = _missing(" ".join([*quoted.values(), *said]), answer)
    if n_words is not None:
        for i in reversed(range(len(queries))):
            found = _quoted(i, queries[i], observations[i], [answer], n_words)
            if found:
                quoted |= found
                break
    parts = [part for i, own in enumerate(said) for part in (quoted.get(i - 1, ""), own) if part]
    return Chain(" ".join(dict.fromkeys(parts)), len(quoted))


def _missing(text: str, answer: str) -> int | None:
    """Of how many words an observation has to be that ``text`` lacks: any where it does not give the answer, a sentence
    where it names nothing else (``The show is South Park.``); None where it lacks none."""
    if answer.lower() in ("yes", "no"):
        return None
    if not contains(text, answer):
        return 1
    names = _NAME.findall(re.sub(re.escape(answer), "", text, flags=re.IGNORECASE))
    return None if any(n.lower() not in OPENING for n in names) else _SENTENCE_WORDS


def _quoted(i: int, query: str, observation: str, wanted: Sequence[str], n_words: int = 1) -> dict[int, str]:
    """The part of an observation that holds any of ``wanted``, under its place; nothing where none of at least
    ``n_words`` words does. A value follows its query."""
    pieces = _pieces(observation)
    found = next((p for p in pieces if len(p.split()) >= n_words and any(contains(p, w) for w in wanted)), "")
    if not found:
        return {}
    n = len(found.split())
    if n <= _VALUE_WORDS or (len(pieces) == 1 and n <= _BARE_WORDS and not found.endswith(".")):
        lead = closed(query.strip().rstrip("?.")).rstrip(".")
        found = f"{lead}? {closed(found)}" if _ASKS.search(lead) else f"{lead}: {found}"
    return {i: closed(found)}


def _pieces(observation: str) -> list[str]:
    """The sentences of a search snippet, and the parts of those that it cuts off or lists."""
    out: list[str] = []
    for sentence in sentences(observation):
        start = 0
        for gap in _GAP.finditer(sentence):
            piece, start = sentence[start : gap.start()], gap.end()
            is_cut = not _LIST_MARK.search(gap[0]) and piece.rstrip()[-1:] not in (".", "!", "?", "")
            out.append(_DANGLING.sub("", piece) if is_cut else piece)
        out.append(sentence[start:])
    return [bare for piece in out if (bare := piece.strip(" ;·|"))]
