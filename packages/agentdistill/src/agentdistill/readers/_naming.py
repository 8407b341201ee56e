"""Names of variables out of what a solution says around an equation."""

from __future__ import annotations

import builtins
import itertools
import keyword
import re
from collections.abc import Collection, Iterator, Sequence

from agentdistill.readers._sentence import HOLE
from agentdistill.readers._words import ARTICLES, LINKS, LITTLE, NUMBER_WORDS, PHRASE_ENDS, UNITS

_N_WORDS = 4
_ROLES = {
    role: re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for role, words in {
        "total": "total|altogether|in all|combined|together|sum",
        "left": "left|remain|remains|remaining",
        "more": "more|difference|longer|extra|additional",
        "fewer": "fewer|less|shorter",
        "average": "average|mean",
        "first": "first", "second": "second", "third": "third", "last": "last|final", "new": "new|now",
        "each": "each|every|per",
    }.items()
}  # fmt: skip
_TAKEN = frozenset({"final_answer", "search", "result"})


def phrase(text: str) -> list[str]:
    """The words behind the hole, up to where their noun phrase ends."""
    return _words(text.partition(HOLE)[2], behind=True)


def name(text: str, taken: Collection[str]) -> str:
    """A variable's name from the words behind the hole, or before it; ``number`` or the like where they give none.

    A valid identifier, no keyword, no built-in, and none of those ``taken``. Of taken names more words are tried before
    a number: a student that sees many ``eggs_2``, ``eggs_3`` learns to count on.
    """
    behind = phrase(text)
    if behind and all(w in UNITS for w in behind):
        behind = ["of", *behind]  # what is so many hours long is told before
    before = [w for w in _words(text.partition(HOLE)[0], behind=False) if w not in LITTLE]
    while behind and behind[0] in LITTLE - LINKS:
        behind = behind[1:]
    lead = before[-2:]
    if not behind or behind[0] in LINKS:
        behind = [*lead, *(w for w in behind if (lead and w != "of") or w not in LINKS)]
    base = _joined(behind)
    roles = [role for role, told in _ROLES.items() if told.search(text)]
    base = base or next(iter(roles), "amount" if "$" in text else "number")
    longer = [_joined(words, n) for words, n in _longer(behind, before)]
    longer += [f"{role}_{base}" for role in roles if role not in base.split("_")]
    base = next((b for b in [base, *longer] if b and _usable(b) not in taken), base)
    base = _usable(base)
    return base if base not in taken else next(n for i in itertools.count(2) if (n := f"{base}_{i}") not in taken)


def _longer(behind: list[str], before: list[str]) -> Iterator[tuple[list[str], int]]:
    """Words that say more, and how many of them a name may take."""
    lead = before[-2:]
    if lead and lead[-1] not in behind:
        yield [*lead, *behind], _N_WORDS
    yield behind, _N_WORDS + 2
    for word in before:
        if word not in behind:
            yield [word, *behind], _N_WORDS
    yield [*before[-4:], *behind], _N_WORDS + 2


def _usable(base: str) -> str:
    """The name, or a longer one where Python or an agent has another use for it."""
    taken = keyword.iskeyword(base) or keyword.issoftkeyword(base) or hasattr(builtins, base) or base in _TAKEN
    return f"{base}_value" if taken else base


def _joined(words: Sequence[str], most: int = _N_WORDS) -> str:
    """At most so many words as an identifier that neither begins nor ends with a word that says little."""
    words = [w for w in words if w not in ARTICLES]
    while words and words[0] in LITTLE:
        words = words[1:]
    words = words[:most]
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
