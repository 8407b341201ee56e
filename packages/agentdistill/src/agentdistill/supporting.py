"""Supporting passages: which of those that a question is answered from a model was shown."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

_LINE = re.compile(r"^\[\d+\] (.*)$", re.MULTILINE)


def plain(text: str) -> str:
    """A title or text without what files of one dataset write now this way, now that: entities, spaces, forms."""
    return " ".join(unicodedata.normalize("NFKC", html.unescape(text)).split())


def share_shown(titles: Sequence[str], texts: Sequence[str]) -> float:
    """The share of ``titles`` that are among the passages in ``texts``, each listed as ``[1] Title: text``.

    The list does not say where a title ends, so that "Alien" counts where "Alien: Covenant" is listed.

    >>> share_shown(["Aren", "Velmora"], ["[1] Aren: The Aren is a river.\\n[2] Velm: A hill."])
    0.5
    """
    listed = [plain(line) for text in texts for line in _LINE.findall(text)]
    return sum(any(line.startswith(f"{plain(t)}:") for line in listed) for t in titles) / len(titles)
