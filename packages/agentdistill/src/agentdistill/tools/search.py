"""The search tool: a retriever as a function of a query."""

from __future__ import annotations

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage, Retriever, shortened
from agentdistill.tools import Tool


def find(retriever: Retriever, query: str, k: int = 3, passage_chars: int | None = None) -> list[Passage]:
    """The ``k`` best passages, each cut to ``passage_chars`` characters where that is set."""
    return [shortened(p, passage_chars) for p in retriever.search(query, k)]


def search_tool(retriever: Retriever, k: int = 3, passage_chars: int | None = None) -> Tool:
    """A tool ``search(query)`` that returns what :func:`find` gives, as text."""

    def search(query: str) -> str:
        """Search the encyclopaedia and return the passages that fit the query best."""
        return format_passages(find(retriever, str(query), k, passage_chars))

    return Tool.of(search)
