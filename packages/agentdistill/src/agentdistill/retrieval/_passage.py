"""The value that every retriever returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the corpus. ``title`` may be empty."""

    title: str
    text: str


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
