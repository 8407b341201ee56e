"""The value that every retriever returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the corpus. ``title`` may be empty."""

    title: str
    text: str
