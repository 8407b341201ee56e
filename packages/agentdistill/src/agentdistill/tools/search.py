"""The search tool: a retriever as a function of a query."""

from __future__ import annotations

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Retriever
from agentdistill.tools import Tool


def search_tool(retriever: Retriever, k: int = 3) -> Tool:
    """A tool ``search(query)`` that returns the ``k`` best passages as text."""

    def search(query: str) -> str:
        """Search the encyclopaedia and return the passages that fit the query best."""
        return format_passages(retriever.search(str(query), k))

    return Tool.of(search)
