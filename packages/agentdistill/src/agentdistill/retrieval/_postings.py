"""A BM25 index: for every term the passages it stands in, each with the score it adds there (Lù 2024, BM25S).

Built in one pass over the passages, in blocks of a few million terms that are sorted by themselves and merged a range
of terms at a time, so that beside the vocabulary only a block, a range and a few numbers a passage lie in memory.
Scores are those of bm25s 0.3 with ``method="lucene"``, to the last bit.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import DataError
from agentdistill.retrieval._passage import Passage
from agentdistill.retrieval._terms import Vocabulary, term_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def load(folder: Path) -> Postings:
    """The index that ``build`` left in ``folder``, mapped. Raises OSError or ValueError where it is damaged."""
    import numpy as np

    # Views of plain type on the mapped files: slicing a memmap itself costs more than the sum it feeds.
    arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in _FILES}
    index = Postings(**arrays)
    if not len(index.rows) == len(index.scores) == index.starts[-1]:
        raise ValueError("its files do not fit together")
    return index


def build(
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
    rows = _array(folder, "rows", int(starts[-1]), np.int32)
    scores = _array(folder, "scores", int(starts[-1]), np.float32)
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


def _array(folder: Path | None, name: str, n: int, dtype: Any) -> Any:
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
