"""Words as numbers without a vocabulary file: every word is its own bucket and those of its three-letter pieces.

A word that was never seen shares pieces with words that were ("prowling", "prowls"), as in fastText (Bojanowski et al.,
TACL 2017). Buckets are CRC-32 values, the same on every machine.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

N_BUCKETS = 4096
"""Buckets, of which 0 stands for nothing."""
MAX_IDS = 12
"""Buckets of one word of a text, or of one joint name."""
MAX_WORDS = 64
"""Words of a text that are read."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_SIDES = {"l": "left", "r": "right", "lft": "left", "rgt": "right"}


def words(text: str) -> list[str]:
    """Lower-case words of a sentence or a joint name: ``"LeftUpLeg.001"`` gives left, up, leg, 1."""
    found = [w.lower() for w in _WORD.findall(text)]
    return [_SIDES.get(w, w.lstrip("0") or "0" if w.isdigit() else w) for w in found]


def text_ids(text: str) -> NDArray[np.int64]:
    """(W, MAX_IDS) buckets of the first MAX_WORDS words of a text, 0 where there are no more; W may be 0."""
    rows = [_word_ids(word)[:MAX_IDS] for word in words(text)[:MAX_WORDS]]
    return np.array([[*row, *[0] * (MAX_IDS - len(row))] for row in rows], dtype=np.int64).reshape(-1, MAX_IDS)


def name_ids(name: str) -> NDArray[np.int64]:
    """(MAX_IDS,) buckets of a joint name: its words first, then their pieces, as many as fit."""
    rows = [_word_ids(word) for word in words(name)]
    ids = [row[0] for row in rows] + [piece for row in rows for piece in row[1:]]
    return np.array([*ids[:MAX_IDS], *[0] * (MAX_IDS - len(ids))], dtype=np.int64)


@lru_cache(maxsize=1 << 16)
def _word_ids(word: str) -> tuple[int, ...]:
    marked = f"<{word}>"
    pieces = [marked[k : k + 3] for k in range(len(marked) - 2)] if len(word) > 2 else []
    return tuple(dict.fromkeys(1 + zlib.crc32(p.encode()) % (N_BUCKETS - 1) for p in [marked, *pieces]))
