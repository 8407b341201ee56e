"""Names of variables out of what a solution says around an equation."""

from __future__ import annotations

import builtins
import itertools
import keyword
import re
from collections.abc import Collection, Sequence

from agentdistill.readers._sentence import HOLE
from agentdistill.readers._words import ARTICLES, LINKS, LITTLE, NUMBER_WORDS, PHRASE_ENDS, UNITS

_N_WORDS = 4
_TAKEN = frozenset({"final_answer", "search", "result"})


def phrase(text: str) -> list[str]:
    """The words behind the hole, up to where their noun phrase ends."""
    return _words(text.partition(HOLE)[2], behind=True)


def name(text: str, taken: Collection[str]) -> str:
    """A variable's name from the words behind the hole, or those before it; ``n1``, ``n2``, ... where they give none.

    A valid identifier, no keyword, no built-in, and none of those ``taken``.
    """
    behind = phrase(text)
    if behind and all(w in UNITS for w in behind):
        behind = ["of", *behind]  # what is so many hours long is told before
    lead = [w for w in _words(text.partition(HOLE)[0], behind=False) if w not in LITTLE][-2:]
    while behind and behind[0] in LITTLE - LINKS:
        behind = behind[1:]
    if not behind or behind[0] in LINKS:
        behind = [*lead, *(w for w in behind if (lead and w != "of") or w not in LINKS)]
    base = _joined(behind)
    if base in taken and lead and lead[-1] not in behind:
        base = _joined([*lead, *behind])
    if not base:
        return next(n for i in itertools.count(1) if (n := f"n{i}") not in taken)
    if keyword.iskeyword(base) or keyword.issoftkeyword(base) or hasattr(builtins, base) or base in _TAKEN:
        base += "_value"
    return base if base not in taken else next(n for i in itertools.count(2) if (n := f"{base}_{i}") not in taken)


def _joined(words: Sequence[str]) -> str:
    """At most four words as an identifier that neither begins nor ends with a word that says little."""
    words = [w for w in words if w not in ARTICLES]
    while words and words[0] in LITTLE:
        words = words[1:]
    words = words[:_N_WORDS]
    while words and words[-1] in LITTLE:
        words = words[:-1]
    return "_".join(words)


def _words(text: str, behind: bool) -> list[str]:
    """The lower-case ASCII words of a text: ``behind`` a hole up to the end of a noun phrase, else its last clause."""
    text = re.sub(r"['’]s?\b", "", text)
    if behind:
        text = re.sub(r"\A(?:is|are|was|were)\s", "", text.strip(" .%"))
        text = re.split(r"[,.;:()=+*/\"]|\s-|\s–", text, maxsplit=1)[0]
    else:
        text = re.split(r"[,.;:()]\s", text.rstrip(" ,.:;"))[-1]
    out: list[str] = []
    for word in re.findall(r"[^\W\d_]+|\d\S*", text.replace("-", " ")):
        if behind and word.lower() in PHRASE_ENDS:
            break
        if word.isascii() and word.isalpha() and len(word) > 1 and word.lower() not in NUMBER_WORDS:
            out.append(word.lower())
    return out
