"""Several views of a corpus, fused by reciprocal rank (Cormack et al. 2009): Σ over views of 1 / (60 + rank).

- ``bm25``: the words of the question.
- ``named``: passages whose title the question names, rarest names first.
- ``linked``: passages whose titles are named by the texts of the best that the other views found, nearest to the best
  first. This is the second step of a two-step question: a page about a film names its director, whose page need not
  share a word with the question.
- ``dense``: the meaning of the question, by sentence embeddings (the ``dense`` extra).

The first three need no model and are the default. On the 100 HotpotQA questions with their 994 passages they give
recall@2/5/10 of 0.82/0.95/0.98, where BM25 alone gives 0.64/0.78/0.90; with two or ten sources of links instead of
three, or 10 instead of 60, no figure is lower by more than 0.05. In 6,119 passages for 2WikiMultiHopQA, the answers of
58 questions of the paper's sample that are about those passages stand in the first 2/5/10 for 0.48/0.62/0.66 of them
instead of 0.33/0.43/0.47. Both corpora are made of what their questions are about: among all of Wikipedia a text names
many more pages, and less is to be hoped for.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import InfrastructureError, UserError
from agentdistill.progress import Progress
from agentdistill.retrieval import bm25, check_settings, dense
from agentdistill.retrieval.bm25 import TOKENIZER_VERSION, cased_tokens, term_hash, tokens
from agentdistill.retrieval.corpus import Passage
from agentdistill.retrieval.mapped import kept, watched
from agentdistill.store import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# --- names in a text --------------------------------------------------------------------------------------------------


LONGEST = 16
"""Titles of more terms than this are never found: they are sentences."""
_BRACKETS = re.compile(r"\s*\([^()]*\)\s*$")
_FACTOR, _MASK = 0x9E3779B97F4A7C15, 2**64 - 1  # an odd number without a pattern; hashes wrap around


@dataclass(frozen=True, slots=True)
class Mention:
    """A name found in a text: its terms, and the places of the passages that have it."""

    terms: tuple[str, ...]
    rows: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Names:
    """Every passage's name as a hash, ascending, and beside it the passage's place in the corpus."""

    hashes: NDArray[np.uint64]
    rows: NDArray[np.int32]

    def mentions(self, text: str, is_common: Callable[[str], bool]) -> Iterator[Mention]:
        """The names in ``text``, from left to right, of those that overlap the longest; each once.

        ``is_common`` says of a term whether by itself it is no name.
        """
        terms, raised = cased_tokens(text)
        if not terms or not len(self.hashes):
            return
        known = self._known(terms)
        any_raised, seen = any(raised), set()
        at = 0
        while at < len(terms):
            for end in sorted(known.get(at, ()), reverse=True):
                span = tuple(terms[at:end])
                if (any_raised and not any(raised[at:end])) or (len(span) == 1 and is_common(span[0])):
                    continue
                if span not in seen:
                    seen.add(span)
                    yield Mention(span, self._rows(span))
                at = end - 1
                break
            at += 1

    def _known(self, terms: Sequence[str]) -> dict[int, list[int]]:
        """Where names begin, and all the places at which a name from there may end."""
        import numpy as np

        single = np.array([term_hash(t) for t in terms], dtype=np.uint64)
        spans, current = [single], single
        for n in range(2, min(LONGEST, len(terms)) + 1):
            current = current[:-1] * np.uint64(_FACTOR) + single[n - 1 :]
            spans.append(current)
        asked = np.concatenate(spans)
        places = np.minimum(self.hashes.searchsorted(asked), len(self.hashes) - 1)
        starts = np.concatenate([np.arange(len(s)) for s in spans])
        ends = starts + np.repeat(np.arange(1, len(spans) + 1), [len(s) for s in spans])
        hit = self.hashes[places] == asked
        out: dict[int, list[int]] = {}
        for start, end in zip(starts[hit].tolist(), ends[hit].tolist(), strict=True):
            out.setdefault(start, []).append(end)
        return out

    def _rows(self, span: Sequence[str]) -> NDArray[np.int32]:
        import numpy as np

        asked = np.uint64(_hash_of(span))
        first, last = self.hashes.searchsorted(asked), self.hashes.searchsorted(asked, side="right")
        return self.rows[int(first) : int(last)]


def name_of(title: str) -> list[str]:
    """The terms of a title without what stands in brackets at its end.

    >>> name_of("Mark King (musician)")
    ['mark', 'king']
    """
    return tokens(_BRACKETS.sub("", title)) or tokens(title)


def _hash_of(terms: Sequence[str]) -> int:
    value = 0
    for term in terms:
        value = (value * _FACTOR + term_hash(term)) & _MASK
    return value


def build_names(passages: Sequence[Passage], folder: Path | None, advance: Callable[[int], None]) -> Names | None:
    """The names of all passages that have one; with ``folder`` they are left there and None returned."""
    from array import array

    import numpy as np

    hashes, rows = array("Q"), array("i")
    for row, p in enumerate(passages):
        name = name_of(p.title)
        if 0 < len(name) <= LONGEST:
            hashes.append(_hash_of(name))
            rows.append(row)
        if row % 1000 == 999:
            advance(1000)
    advance(len(passages) % 1000)
    order = np.argsort(np.frombuffer(hashes, dtype=np.uint64), kind="stable") if hashes else np.empty(0, dtype=np.int64)
    names = Names(np.array(hashes, dtype=np.uint64)[order], np.array(rows, dtype=np.int32)[order])
    if folder is None:
        return names
    np.save(folder / "hashes.npy", names.hashes)
    np.save(folder / "rows.npy", names.rows)
    return None


def load_names(folder: Path) -> Names:
    """The names that ``build_names`` left in ``folder``, mapped. Raises OSError or ValueError if they are damaged."""
    import numpy as np

    hashes, rows = (np.asarray(np.load(folder / f"{n}.npy", mmap_mode="r")) for n in ("hashes", "rows"))
    if len(hashes) != len(rows):
        raise ValueError("its files do not fit together")
    return Names(hashes, rows)


# --- search -----------------------------------------------------------------------------------------------------------


VIEWS = ("bm25", "named", "linked", "dense")
LEXICAL = ("bm25", "named", "linked")
FORMAT = 1
"""Part of the cache key of the names: raise it whenever their files change."""
DEPTH = 100
"""How far down a view is read."""


class Hybrid:
    """Passages seen in several ways. A passage that no view finds is never returned.

    ``views`` are those to fuse; ``rank_constant`` is the 60 above; ``n_sources`` how many of the best passages are read
    for links; ``dense`` the settings of the dense view, as a retriever of that kind has them.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
        views: Sequence[str] = LEXICAL,
        rank_constant: int = 60,
        n_sources: int = 3,
        dense: Mapping[str, Any] | None = None,
    ) -> None:
        self._views = _checked(views, dense)
        if rank_constant < 1 or n_sources < 1:
            raise UserError("hybrid: rank_constant and n_sources have to be at least 1")
        self._rank_constant, self._n_sources = rank_constant, n_sources
        self._words = bm25.BM25(passages, cache=cache, progress=progress)
        self.passages = self._words.passages
        self._names = self._named(cache, progress) if {"named", "linked"} & set(self._views) else None
        self._dense = _dense(self.passages, cache, progress, dense or {}) if "dense" in self._views else None

    @property
    def corpus(self) -> str:
        """The hash of the corpus's content."""
        return self._words.corpus

    def _named(self, cache: Path | None, progress: Progress | None) -> Names:
        def made(folder: Path | None) -> Any:
            with watched(progress, "titles", len(self.passages)) as advance:
                return build_names(self.passages, folder, advance)

        if cache is None:
            names: Names = made(None)
            return names
        folder = kept(cache / f"names-{digest([FORMAT, TOKENIZER_VERSION, self.corpus])}", made)
        try:
            return load_names(folder)
        except (OSError, ValueError, EOFError) as e:
            raise InfrastructureError(f"{folder}: the search index is damaged ({e}); delete it and try again") from e

    def search(self, query: str, k: int) -> list[Passage]:
        """The ``k`` best passages by all views together; equals in the order of the corpus."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """``search`` for each query, in order; queries are embedded together."""
        if k < 1:
            return [[] for _ in queries]
        depth = max(DEPTH, k)
        near = self._dense.rows_many(queries, depth) if self._dense is not None else [None for _ in queries]
        return [
            [self.passages[i] for i in self._fused(query, depth, found)[:k]]
            for query, found in zip(queries, near, strict=True)
        ]

    def _fused(self, query: str, depth: int, near: NDArray[np.int64] | None) -> list[int]:
        """Places in the corpus, best first."""
        found: list[Sequence[int]] = []
        if "bm25" in self._views:
            found.append(self._words.rows(query, depth).tolist())
        if near is not None:
            found.append(near.tolist())
        if "named" in self._views:
            found.append(self._by_name(query)[:depth])
        if "linked" in self._views:
            found.append(self._by_link(query, self._fuse(found)[: self._n_sources])[:depth])
        return self._fuse(found)

    def _fuse(self, found: Iterable[Sequence[int]]) -> list[int]:
        scores: dict[int, float] = defaultdict(float)
        for rows in found:
            for rank, row in enumerate(rows, 1):
                scores[row] += 1 / (self._rank_constant + rank)
        return sorted(scores, key=lambda row: (-scores[row], row))

    def _by_name(self, query: str) -> list[int]:
        """Passages that the query names, by how much their names say; of one name the best by words first."""
        weights: dict[int, float] = {}
        for mention in self._mentions(query):
            weight = sum(self._idf(t) for t in mention.terms)
            for row in mention.rows.tolist():
                weights[row] = max(weight, weights.get(row, 0.0))
        return self._ordered(query, weights)

    def _by_link(self, query: str, sources: Sequence[int]) -> list[int]:
        """Passages that the sources name, those of the best source first, among them the best by words first."""
        weights: dict[int, float] = {}
        for rank, source in enumerate(sources):
            passage = self.passages[source]
            own = tuple(name_of(passage.title))
            for mention in self._mentions(passage.text):
                if mention.terms != own:
                    for row in mention.rows.tolist():
                        weights.setdefault(row, -rank)
        return self._ordered(query, weights)

    def _mentions(self, text: str) -> Iterable[Mention]:
        assert self._names is not None
        return self._names.mentions(text, self._is_common)

    def _ordered(self, query: str, weights: Mapping[int, float]) -> list[int]:
        import numpy as np

        rows = np.array(sorted(weights), dtype=np.int32)
        scores = dict(zip(rows.tolist(), self._words.scores(query, rows).tolist(), strict=True))
        return sorted(weights, key=lambda row: (-weights[row], -scores[row], row))

    def _idf(self, term: str) -> float:
        n, df = len(self.passages), self._words.n_passages_with(term)
        return math.log(1 + (n - df + 0.5) / (df + 0.5))

    def _is_common(self, term: str) -> bool:
        """A word of more than a hundredth of the passages: It and Film are titles, but hardly ever meant."""
        return self._words.n_passages_with(term) > max(10, len(self.passages) // 100)


def _checked(views: Sequence[str], settings: Mapping[str, Any] | None) -> tuple[str, ...]:
    if isinstance(views, str) or not views or len(set(views)) < len(views) or not set(views) <= set(VIEWS):
        raise UserError(f"hybrid: views has to be a list of some of {', '.join(VIEWS)}, each once, got {views!r}")
    if set(views) == {"linked"}:
        raise UserError("hybrid: views has only linked, which follows what other views find")
    if settings is not None and "dense" not in views:
        raise UserError('hybrid: dense has settings for a view that views does not have; add "dense" to it')
    if settings is not None and not isinstance(settings, Mapping):
        raise UserError(f"hybrid: dense has to be a table of settings, got {settings!r}")
    check_settings("dense", settings or {})
    return tuple(views)


def _dense(
    passages: Sequence[Passage], cache: Path | None, progress: Progress | None, settings: Mapping[str, Any]
) -> dense.Dense:
    return dense.build(passages, cache=cache, progress=progress, **settings)


build = Hybrid
