"""Search over a user's corpus. A retriever is one file, found by its name (``bm25``, ``dense``)."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from agentdistill.errors import UserError
from agentdistill.retrieval._passage import Passage
from agentdistill.retrieval.corpus import load_corpus

__all__ = ["Passage", "Retriever", "build_retriever", "kinds", "load_corpus"]


class Retriever(Protocol):
    """Finds the passages that fit a query, best first. The same query always gives the same passages."""

    @property
    def passages(self) -> Sequence[Passage]:
        """The corpus, in its order."""
        ...

    def search(self, query: str, k: int) -> list[Passage]:
        """At most ``k`` passages; fewer where fewer fit, none for an empty query."""

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """``search`` for each query, in order."""


def kinds() -> tuple[str, ...]:
    """The names of the retrievers there are, in order."""
    names = (m.name for m in pkgutil.iter_modules(__path__))
    return tuple(sorted(n for n in names if not n.startswith("_") and n != "corpus"))


def build_retriever(kind: str, passages: Sequence[Passage], *, cache: Path | None = None, **settings: Any) -> Retriever:
    """The retriever called ``kind`` over ``passages``; with ``cache``, its index is kept in that folder and reused.

    Raises UserError for an unknown kind, a missing extra or a setting the retriever does not have, and DataError for
    no passages.
    """
    if kind not in kinds():
        raise UserError(f'no retriever is called "{kind}"; there are: {", ".join(kinds())}')
    build = import_module(f"agentdistill.retrieval.{kind}").build
    known = [n for n in inspect.signature(build).parameters if n not in ("passages", "cache")]
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (it has: {', '.join(known)})"
            raise UserError(f"retriever {kind!r} has no setting {key!r}{hint}")
    return cast(Retriever, build(passages, cache=cache, **settings))
