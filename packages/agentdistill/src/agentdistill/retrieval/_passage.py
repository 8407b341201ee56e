"""The value that every retriever returns."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

CUT = " ..."
"""Ends a text that goes on."""
_SENTENCE_END = re.compile(r"""[.!?]['")\]”’]*(?=\s)""")
_WORD_END = re.compile(r"(?<=\S)(?=\s)")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the corpus. ``title`` may be empty."""

    title: str
    text: str


def shortened(p: Passage, n_chars: int | None) -> Passage:
    """The passage with a text of at most ``n_chars`` (above 0) characters, mark included; as it is for None.

    It ends with a sentence where that uses 85 % of the room, else with a word where that uses half of it.

    >>> shortened(Passage("Aren", "The Aren is a river. It floods in May."), 27).text
    'The Aren is a river. ...'
    """
    if n_chars is None or len(p.text) <= n_chars:
        return p
    room = max(n_chars - len(CUT), 0)
    end = room
    for pattern, least in ((_WORD_END, 0.5), (_SENTENCE_END, 0.85)):
        ends = [m.end() for m in pattern.finditer(p.text, 0, room + 1)]
        end = ends[-1] if ends and ends[-1] >= least * room else end
    return replace(p, text=(p.text[:end].rstrip() + CUT)[-n_chars:])


def from_contents(text: str) -> Passage:
    """A passage whose first line is its title, quoted or not, as Search-R1's corpus and servers have it.

    A single line has no title.

    >>> from_contents('"Aren"\\nThe Aren is a river.')
    Passage(title='Aren', text='The Aren is a river.')
    """
    title, newline, rest = text.strip().partition("\n")
    return Passage(unquoted(title), rest.strip()) if newline else Passage("", title)


def unquoted(title: str) -> str:
    """A title without the quotes around it."""
    title = title.strip()
    return title[1:-1].strip() if len(title) > 1 and title[0] == title[-1] == '"' else title
