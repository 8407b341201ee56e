"""Leaving out what was there before, in a corpus of any size."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from agentdistill.retrieval._passage import Passage

_FIRST = 1 << 12


class Distinct:
    """The passages of several sources, each once; ``n_duplicates`` counts those left out so far.

    Two passages are the same where title and text are. Kept of each are 64 bits, 16 to 32 bytes in all, so that tens of
    millions fit into memory; that two of 20 million different passages share them has a chance of 1 in 100,000.
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.n_duplicates = 0
        self._passages = passages
        self._slots, self._n = array("Q", bytes(8 * _FIRST)), 0  # 0: empty

    def __iter__(self) -> Iterator[Passage]:
        for p in self._passages:
            if self._is_new(hash((p.title, p.text)) & 0xFFFF_FFFF_FFFF_FFFF or 1):
                yield p
            else:
                self.n_duplicates += 1

    def _is_new(self, key: int) -> bool:
        if 2 * self._n >= len(self._slots):
            old, self._slots, self._n = self._slots, array("Q", bytes(16 * len(self._slots))), 0
            for known in old:
                if known:
                    self._put(known)
        return self._put(key)

    def _put(self, key: int) -> bool:
        """Keep a key; False where it is kept already."""
        slots, last = self._slots, len(self._slots) - 1
        at = key & last
        while found := slots[at]:
            if found == key:
                return False
            at = (at + 1) & last
        slots[at] = key
        self._n += 1
        return True
