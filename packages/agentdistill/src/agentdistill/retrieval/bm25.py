"""BM25: scores are worked out when the index is built, so that a query only adds up a few sparse columns.

BM25 in Lucene's form (Kamphuis et al. 2020), k1 1.5, b 0.75, with every title counted twice. On the 100 HotpotQA
questions this was measured on (994 passages), counting titles twice and dropping the plural s lifts recall@2/5/10
from 0.60/0.77/0.90 to 0.64/0.78/0.90; removing stop words lowered it, so none are removed.

In a large corpus most of a query's work would be its commonest words. They are left to the end, and then only looked
up in the passages that can still be among the best (Turtle and Flood 1995, MaxScore); what is found is the same.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import DataError, InfrastructureError, UserError
from agentdistill.progress import Progress
from agentdistill.retrieval.corpus import Passage
from agentdistill.retrieval.mapped import MappedCorpus, corpus_digest, kept, watched
from agentdistill.store import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# --- terms ------------------------------------------------------------------------------------------------------------


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


# --- the index --------------------------------------------------------------------------------------------------------


BLOCK = 1 << 22
"""Terms of a block. With the sort that is about 100 MB."""
_FILES = ("hashes", "columns", "starts", "tops", "rows", "scores")
_SHIFT = 32  # a posting is one number: its column, then its row in the lower 32 bits


@dataclass(frozen=True, slots=True)
class Postings:
    """Column ``c`` holds ``rows[starts[c]:starts[c + 1]]``, ascending, and ``scores`` at the same places.

    ``tops[c]`` is the largest score of the column. ``hashes`` are the terms', ascending; ``columns`` those of the same.
    """

    hashes: NDArray[np.uint64]
    columns: NDArray[np.int32]
    starts: NDArray[np.int64]
    tops: NDArray[np.float32]
    rows: NDArray[np.int32]
    scores: NDArray[np.float32]


def load_postings(folder: Path) -> Postings:
    """The index that ``build_postings`` left in ``folder``, mapped. Raises OSError or ValueError if it is damaged."""
    import numpy as np

    # Views of plain type on the mapped files: slicing a memmap itself costs more than the sum it feeds.
    arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in _FILES}
    index = Postings(**arrays)
    if not len(index.rows) == len(index.scores) == index.starts[-1]:
        raise ValueError("its files do not fit together")
    return index


def build_postings(
    passages: Iterable[Passage],
    folder: Path | None,
    *,
    title_weight: int,
    k1: float,
    b: float,
    advance: Callable[[int], None],
) -> Postings | None:
    """The index of ``passages``; with ``folder`` it is left there and None returned.

    ``title_weight`` is how often a title's words count, ``advance`` is told of passages done. Raises DataError for
    passages without a word.
    """
    counts = _Counts(folder)
    for p in passages:
        counts.add(p, title_weight)
        if len(counts.lengths) % 1000 == 0:
            advance(1000)
    advance(len(counts.lengths) % 1000)
    counts.close_block()
    if not counts.vocabulary.columns:
        raise DataError("the corpus has no words to search")
    return _merge(counts, folder, k1, b)


class _Counts:
    """How often each term stands in each passage, in blocks: on disk where there is a folder, in memory otherwise."""

    def __init__(self, folder: Path | None) -> None:
        self.vocabulary = Vocabulary()
        self.lengths = array("i")
        self.blocks: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []
        self._folder = folder
        self._columns = array("i")
        self._first = 0  # row of the block

    def add(self, p: Passage, title_weight: int) -> None:
        # The title first: columns are numbered as terms are met, and scores are summed in that order.
        columns = self.vocabulary.read(p.title) * title_weight if title_weight else []
        columns += self.vocabulary.read(p.text)
        self._columns.extend(columns)
        self.lengths.append(len(columns))
        if len(self._columns) >= BLOCK:
            self.close_block()

    def close_block(self) -> None:
        import numpy as np

        if not self._columns:
            self._first = len(self.lengths)
            return
        lengths = np.frombuffer(self.lengths, dtype=np.int32)[self._first :]
        keys = np.frombuffer(self._columns, dtype=np.int32).astype(np.int64) << _SHIFT
        keys |= np.repeat(np.arange(self._first, self._first + len(lengths)), lengths)
        keys.sort()
        heads = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        block = keys[heads], np.diff(heads, append=len(keys)).astype(np.int32)
        self.blocks.append(self._put_away(*block))
        self._columns, self._first = array("i"), len(self.lengths)

    def _put_away(self, keys: Any, counts: Any) -> tuple[Any, Any]:
        import numpy as np

        if self._folder is None:
            return keys, counts
        paths = [self._folder / f"block-{len(self.blocks)}-{what}.npy" for what in ("keys", "counts")]
        for path, values in zip(paths, (keys, counts), strict=True):
            np.save(path, values)
        return np.load(paths[0], mmap_mode="r"), np.load(paths[1], mmap_mode="r")

    def clear(self) -> None:
        self.blocks.clear()
        for path in self._folder.glob("block-*.npy") if self._folder else ():
            path.unlink()


def _merge(counts: _Counts, folder: Path | None, k1: float, b: float) -> Postings | None:
    import numpy as np

    terms = counts.vocabulary.columns
    in_passages = sum(np.bincount(keys >> _SHIFT, minlength=len(terms)) for keys, _ in counts.blocks)
    starts = np.concatenate(([0], np.cumsum(in_passages)))
    rows = _empty(folder, "rows", int(starts[-1]), np.int32)
    scores = _empty(folder, "scores", int(starts[-1]), np.float32)
    score = _scorer(counts, np.asarray(in_passages), k1, b)
    for first, last in _ranges(starts):
        keys, n_times = _range(counts.blocks, first, last)
        place = slice(int(starts[first]), int(starts[last]))
        rows[place] = keys & (2**_SHIFT - 1)
        scores[place] = score(keys >> _SHIFT, rows[place], n_times)
    tops = np.maximum.reduceat(scores, starts[:-1])
    hashes = np.fromiter(map(term_hash, terms), dtype=np.uint64, count=len(terms))
    columns = np.argsort(hashes, kind="stable").astype(np.int32)
    index = Postings(hashes[columns], columns, starts, tops, rows, scores)
    counts.clear()
    if folder is None:
        return index
    for name in ("hashes", "columns", "starts", "tops"):
        np.save(folder / f"{name}.npy", getattr(index, name))
    for mapped in (rows, scores):
        mapped.flush()
    return None


def _empty(folder: Path | None, name: str, n: int, dtype: Any) -> Any:
    import numpy as np

    if folder is None:
        return np.empty(n, dtype)
    return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(n,))


def _ranges(starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of columns with at most about a block of postings each; a longer column is a range by itself."""
    first, n = 0, len(starts) - 1
    while first < n:
        last = max(first + 1, int(starts.searchsorted(starts[first] + BLOCK, side="right")) - 1)
        yield first, min(last, n)
        first = last


def _range(blocks: list[tuple[Any, Any]], first: int, last: int) -> tuple[Any, Any]:
    """The postings of some columns out of every block, in order, and how often each term stands there."""
    import numpy as np

    if len(blocks) == 1 and first == 0 and last << _SHIFT > blocks[0][0][-1]:
        return blocks[0]
    keys, counts = [], []
    for own, times in blocks:
        i, j = own.searchsorted([first << _SHIFT, last << _SHIFT])
        keys.append(own[i:j])
        counts.append(times[i:j])
    merged = np.concatenate(keys)
    order = np.argsort(merged, kind="stable")
    return merged[order], np.concatenate(counts)[order]


def _scorer(counts: _Counts, in_passages: NDArray[Any], k1: float, b: float) -> Callable[[Any, Any, Any], Any]:
    """BM25 in Lucene's form (Kamphuis et al. 2020): idf(t) · tf / (tf + k1 (1 − b + b · length / mean length))."""
    import numpy as np

    lengths = np.frombuffer(counts.lengths, dtype=np.int32)
    norms = k1 * ((1 - b) + b * lengths.astype(np.int64) / lengths.mean())
    n = len(lengths)
    # By the standard library's logarithm, whose last bit is not everywhere that of numpy's.
    distinct, places = np.unique(in_passages, return_inverse=True)
    idf = np.array([math.log(1 + (n - df + 0.5) / (df + 0.5)) for df in distinct.tolist()], dtype=np.float32)[places]

    def score(columns: Any, rows: Any, n_times: Any) -> Any:
        return (idf[columns] * (n_times / (norms[rows] + n_times))).astype(np.float32)

    return score


# --- search -----------------------------------------------------------------------------------------------------------


FORMAT = 2
"""Part of the cache key: raise it whenever the index on disk changes."""
SMALL = 50_000
"""Corpora of up to so many passages are summed up whole: finding out what can be left out would take longer."""
_SLACK = 1e-4  # the sums that decide what is left out are rounded in another order than the scores


class BM25:
    """Passages with their BM25 index. ``title_weight`` is how often a title's words count. Passages that share no word
    with a query are never returned."""

    def __init__(
        self,
        passages: Sequence[Passage],
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
        title_weight: int = 2,
        k1: float = 1.5,
        b: float = 0.75,
    ) -> None:
        if not passages:
            raise DataError("the corpus has no passages to search")
        if title_weight < 0 or k1 < 0 or not 0 <= b <= 1:
            raise UserError("bm25: title_weight and k1 have to be at least 0, and b from 0 to 1")
        self.passages = passages if isinstance(passages, MappedCorpus) else tuple(passages)
        settings = {"title_weight": title_weight, "k1": k1, "b": b}
        self._index = self._build(None, settings, progress) if cache is None else self._kept(cache, settings, progress)
        self._starts: list[int] | NDArray[np.int64] = self._index.starts
        if len(self._starts) < 1_000_000:
            self._starts = self._index.starts.tolist()  # a list gives out numbers faster than an array
        self._whole: dict[int, NDArray[np.float32]] = {}

    @cached_property
    def corpus(self) -> str:
        """The hash of the corpus's content."""
        return corpus_digest(self.passages)

    def _build(self, folder: Path | None, settings: dict[str, Any], progress: Progress | None) -> Any:
        with watched(progress, "bm25", len(self.passages)) as advance:
            return build_postings(self.passages, folder, **settings, advance=advance)

    def _kept(self, cache: Path, settings: dict[str, Any], progress: Progress | None) -> Postings:
        folder = cache / f"bm25-{digest([FORMAT, TOKENIZER_VERSION, settings, self.corpus])}"
        kept(folder, lambda half: self._build(half, settings, progress))
        try:
            return load_postings(folder)
        except (OSError, ValueError, EOFError) as e:
            raise InfrastructureError(f"{folder}: the search index is damaged ({e}); delete it and try again") from e

    def search(self, query: str, k: int) -> list[Passage]:
        """The ``k`` best passages, best first; equal scores in the order of the corpus."""
        return [self.passages[i] for i in self.rows(query, k).tolist()]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """``search`` for each query, in order."""
        return [self.search(q, k) for q in queries]

    def rows(self, query: str, k: int) -> NDArray[np.int64]:
        """The places in the corpus of what ``search`` returns."""
        import numpy as np

        columns = self._columns(tokens(query))
        if not columns or k < 1:
            return np.empty(0, dtype=np.int64)
        among = self._candidates(columns, k) if len(self.passages) > SMALL else None
        if among is None:
            return _best(self._totals(columns), k)
        return among[_best(self._totals_of(columns, among), k)].astype(np.int64)

    def scores(self, query: str, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """The scores of some passages, given by their places in ascending order."""
        return self._totals_of(self._columns(tokens(query)), rows)

    def n_passages_with(self, term: str) -> int:
        """In how many passages a term of ``tokens`` stands."""
        return int(sum(self._starts[c + 1] - self._starts[c] for c in self._columns([term])))

    def _columns(self, terms: Sequence[str]) -> list[int]:
        """The columns of the terms that there are, ascending; a term that is there twice is there twice."""
        import numpy as np

        asked = np.array([term_hash(t) for t in terms], dtype=np.uint64)
        places = np.minimum(self._index.hashes.searchsorted(asked), len(self._index.hashes) - 1)
        columns = self._index.columns[places[self._index.hashes[places] == asked]]
        return sorted(columns.tolist())

    def _totals(self, columns: Sequence[int]) -> NDArray[np.float32]:
        import numpy as np

        n = len(self.passages)
        totals = np.zeros(n, dtype=np.float32)
        for c in columns:
            start, end = self._starts[c], self._starts[c + 1]
            if n <= SMALL and end - start > n // 4:
                totals += self._whole_column(c)
            else:
                totals[self._index.rows[start:end]] += self._index.scores[start:end]
        return totals

    def _whole_column(self, c: int) -> NDArray[np.float32]:
        """A common word's scores with the zeros between them, kept: to add a zero is quicker than to leave it out."""
        import numpy as np

        if c not in self._whole:
            start, end = self._starts[c], self._starts[c + 1]
            whole = np.zeros(len(self.passages), dtype=np.float32)
            whole[self._index.rows[start:end]] = self._index.scores[start:end]
            self._whole[c] = whole
        return self._whole[c]

    def _totals_of(self, columns: Sequence[int], among: NDArray[np.int32]) -> NDArray[np.float32]:
        """``_totals`` at some places, ascending: the same numbers, since they are added up in the same order."""
        import numpy as np

        totals = np.zeros(len(among), dtype=np.float32)
        if not len(among):
            return totals
        for c in columns:
            start, end = self._starts[c], self._starts[c + 1]
            rows = self._index.rows[start:end]
            places = np.minimum(rows.searchsorted(among), len(rows) - 1)
            there = rows[places] == among
            totals[there] += self._index.scores[start:end][places[there]]
        return totals

    def _candidates(self, columns: Sequence[int], k: int) -> NDArray[np.int32] | None:
        """Places, ascending, with all that can be among the ``k`` best; None where that would be most of them."""
        import numpy as np

        n = len(self.passages)
        order = sorted(columns, key=lambda c: -self._index.tops[c])
        left = np.cumsum([float(self._index.tops[c]) for c in reversed(order)])[::-1].tolist()  # at most still to come
        totals = np.zeros(n, dtype=np.float32)
        seen = np.empty(0, dtype=np.int32)
        for done, c in enumerate(order, 1):
            start, end = self._starts[c], self._starts[c + 1]
            rows = self._index.rows[start:end]
            seen = np.concatenate((seen, rows[totals[rows] == 0]))
            totals[rows] += self._index.scores[start:end]
            if len(seen) > n // 8:
                return None
            if len(seen) < k:
                continue
            rest = left[done] if done < len(order) else 0.0
            sums = totals[seen]
            edge = float(np.partition(sums, len(sums) - k)[len(sums) - k])
            if rest < edge * (1 - _SLACK):
                return np.sort(seen[sums + rest >= edge * (1 - _SLACK)])
        return np.sort(seen)


def _best(totals: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The places of the ``k`` largest, largest first, of equals the first first; zeros are none."""
    import numpy as np

    if k < len(totals):
        # Everything at least as good as the k-th score, so that ties at the edge are cut by corpus order.
        edge = np.partition(totals, len(totals) - k)[len(totals) - k]
        found = np.flatnonzero(totals >= edge) if edge > 0 else np.flatnonzero(totals)
    else:
        found = np.flatnonzero(totals)
    return np.asarray(found[np.argsort(-totals[found], kind="stable")[:k]])


build = BM25
