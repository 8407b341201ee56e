"""Where a text names a passage: its title, looked up wherever it may stand, without a pass over the titles.

What stands in brackets at the end of a title tells pages of one name apart and is no part of the name. Names are
compared as terms, so that case, accents and a plural s do not matter; but where a text has capitals at all, something
that is written without any is taken for common words, not for a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentdistill.retrieval._passage import Passage
from agentdistill.retrieval._terms import cased_tokens, term_hash, tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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

        asked = np.uint64(_hash(span))
        first, last = self.hashes.searchsorted(asked), self.hashes.searchsorted(asked, side="right")
        return self.rows[int(first) : int(last)]


def name_of(title: str) -> list[str]:
    """The terms of a title without what stands in brackets at its end.

    >>> name_of("Mark King (musician)")
    ['mark', 'king']
    """
    return tokens(_BRACKETS.sub("", title)) or tokens(title)


def _hash(terms: Sequence[str]) -> int:
    value = 0
    for term in terms:
        value = (value * _FACTOR + term_hash(term)) & _MASK
    return value


def build(passages: Sequence[Passage], folder: Path | None, advance: Callable[[int], None]) -> Names | None:
    """The names of all passages that have one; with ``folder`` they are left there and None returned."""
    from array import array

    import numpy as np

    hashes, rows = array("Q"), array("i")
    for row, p in enumerate(passages):
        name = name_of(p.title)
        if 0 < len(name) <= LONGEST:
            hashes.append(_hash(name))
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


def load(folder: Path) -> Names:
    """The names that ``build`` left in ``folder``, mapped. Raises OSError or ValueError where they are damaged."""
    import numpy as np

    hashes, rows = (np.asarray(np.load(folder / f"{n}.npy", mmap_mode="r")) for n in ("hashes", "rows"))
    if len(hashes) != len(rows):
        raise ValueError("its files do not fit together")
    return Names(hashes, rows)
