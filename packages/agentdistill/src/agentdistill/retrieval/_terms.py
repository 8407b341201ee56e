"""From text to index terms, and from terms to numbers."""

from __future__ import annotations

import hashlib
import re
import unicodedata

TOKENIZER_VERSION = 1
"""Part of every index's key: raise it whenever ``tokens`` or ``term_hash`` changes."""

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af])")


def tokens(text: str) -> list[str]:
    """The index terms of ``text``: words and numbers, without case, accents or a plural s, in order.

    Scripts written without spaces give a term a character.

    >>> tokens("Los Ángeles' 2 rivers")
    ['los', 'angele', '2', 'river']
    """
    return [_singular(w) for w in _words(text)]


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    return _WORD.findall(_plain(unicodedata.normalize("NFKD", text).casefold()))


def _plain(decomposed: str) -> str:
    return _UNSPACED.sub(r" \1 ", "".join(c for c in decomposed if not unicodedata.combining(c)))


def _singular(word: str) -> str:
    if word[-1] != "s" or len(word) < 4 or word[-2] in "sui":
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1]


def cased_tokens(text: str) -> tuple[list[str], list[bool]]:
    """The terms of ``text``, and for each whether its word is written like a name: it does not begin in lower case."""
    terms: list[str] = []
    raised: list[bool] = []
    for word in _WORD.findall(_plain(unicodedata.normalize("NFKD", text))):
        own = tokens(word)
        terms += own
        raised += [not word[0].islower()] * len(own)
    return terms, raised


def term_hash(term: str) -> int:
    """A number below 2**64 that stands for a term, the same in every process.

    Two of ten million terms share one in one corpus of 400,000; then queries find only one of the two.
    """
    return int.from_bytes(hashlib.blake2b(term.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class Vocabulary(dict[str, int]):
    """Word as written (but for case and accents) -> the column of its term. New terms get the next column."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: dict[str, int] = {}

    def __missing__(self, word: str) -> int:
        column = self.columns.setdefault(_singular(word), len(self.columns))
        self[word] = column
        return column

    def read(self, text: str) -> list[int]:
        """The columns of the terms of ``text``, in order: those of ``tokens(text)``."""
        return list(map(self.__getitem__, _words(text)))
