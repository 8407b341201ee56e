"""From text to index terms, and from terms to numbers."""

from __future__ import annotations

import hashlib
import re
import unicodedata

TOKENIZER_VERSION = 2
"""Part of every index's key: raise it whenever ``tokens`` or ``term_hash`` changes."""

# Chinese, Japanese, Korean, Yi: a character says enough to be a term. Korean has spaces, but its words grow endings.
_SYLLABLES = re.compile("([\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\ua000-\ua48f\uac00-\ud7af\U00020000-\U0003ffff])")
# Thai, Lao, Burmese with its extensions, Khmer, Tai Le to Tai Tham, Javanese: letters, without spaces between words.
_BLOCKS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17DD), (0x1950, 0x19DF), (0x1A20, 0x1AAD), (0xA980, 0xA9FF),
    (0xAA60, 0xAADF),
)  # fmt: skip
_LETTERS = "".join(chr(c) for a, b in _BLOCKS for c in range(a, b + 1) if unicodedata.category(chr(c))[0] in "LMN")
_RUN = re.compile(f"[{_LETTERS}]+")
_WORD = re.compile(rf"(?:[^\W_]|[{_LETTERS}])+")
_GRAM = 3


def tokens(text: str) -> list[str]:
    """The index terms of ``text``: words and numbers, without case, accents or a plural s, in order.

    Scripts written without spaces give a term a character where characters are syllables or words, and every three
    characters in a row where they are letters.

    >>> tokens("Los Ángeles' 2 rivers")
    ['los', 'angele', '2', 'river']
    >>> tokens("수도이다 เกาะ")
    ['수', '도', '이', '다', 'เกา', 'กาะ']
    """
    return [_singular(w) for w in _words(text)]


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    return _WORD.findall(_plain(unicodedata.normalize("NFKD", text).casefold()))


def _plain(decomposed: str) -> str:
    """Without accents, with blanks between the terms of scripts that have none. Hangul is put together again first."""
    text = unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))
    return _RUN.sub(_grams, _SYLLABLES.sub(r" \1 ", text))


def _grams(run: re.Match[str]) -> str:
    text = run[0]
    return " ".join(["", *(text[i : i + _GRAM] for i in range(max(1, len(text) - _GRAM + 1))), ""])


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
