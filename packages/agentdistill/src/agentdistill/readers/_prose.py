"""Prose as sentences. ``J. R. Hartley`` and ``7 p.m. in St. Ives`` end none."""

from __future__ import annotations

import re

from agentdistill.readers._words import OPENING

_BREAK = re.compile(r"""(?<=[.!?])["”’)]*\s+(?=["“(]?[A-Z0-9])""")
_ABBREVIATED = re.compile(
    r"(?<!\w)(?:[A-Z]|(?:[A-Z]\.)+[A-Z]|St|Dr|Mr|Mrs|Ms|Jr|Sr|vs?|Inc|Ltd|Co|Corp|Lt|Gen|Col|Capt|Sgt|Sen|Rep|Gov|No|"
    r"Vol|Prof|Rev|Mt|Ft|feat|approx|etc|est|[bdc]|ca|[ap]\.m)\.\"?$"
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, each with its closing mark.

    >>> sentences('He met J. R. Hartley at 7 p.m. in St. Ives. "Who?" She left.')
    ['He met J. R. Hartley at 7 p.m. in St. Ives.', '"Who?"', 'She left.']
    """
    out: list[str] = []
    start = 0
    for end in [m.end() for m in _BREAK.finditer(text)] + [len(text)]:
        piece, start = text[start:end].strip(), end
        opens = piece.split()[0].strip('",').lower() in OPENING if piece else True
        if out and not opens and _ABBREVIATED.search(out[-1]):
            out[-1] += f" {piece}"
        elif piece:
            out.append(piece)
    return out
