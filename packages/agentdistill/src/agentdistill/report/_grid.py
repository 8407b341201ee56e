"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table whose first column is text and whose others are figures."""
    lines = [[text(h) for h in heads], ["---", *["---:"] * (len(heads) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def text(said: str) -> str:
    """Names as text: nothing in them is taken for markup."""
    return " ".join(said.replace("|", "\\|").replace("<", "&lt;").replace("`", "'").split())
