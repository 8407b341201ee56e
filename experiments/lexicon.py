"""Writes the words of captions by action: packages/anyrig/src/anyrig/lexicon.json (python experiments/lexicon.py)."""

from __future__ import annotations

from pathlib import Path

import anyrig
from anyrig.starts import learn_lexicon

N = 2400
"""Performances, of each action equally many; their short, mid and long captions count."""

if __name__ == "__main__":
    path = Path(anyrig.__file__).with_name("lexicon.json")
    learn_lexicon(N).save(path)
    print(path)
