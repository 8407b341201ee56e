"""Search over a user's corpus. A retriever is one file, found by its name: ``search-r1`` is ``search_r1.py``."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from agentdistill.errors import UserError
from agentdistill.progress import Progress
from agentdistill.retrieval._mapped import MappedCorpus, corpus_digest, map_corpus, open_corpus
from agentdistill.retrieval._passage import Passage, shortened
from agentdistill.retrieval.corpus import Sources, load_corpus, passages_of, read_corpus

__all__ = [
    "MappedCorpus",
    "Passage",
    "Retriever",
    "Sources",
    "build_retriever",
    "builder",
    "check_settings",
    "corpus_digest",
    "is_remote",
    "kinds",
    "load_corpus",
    "map_corpus",
    "open_corpus",
    "passages_of",
    "read_corpus",
    "settings_of",
    "shortened",
]

_HANDED = ("passages", "cache", "progress")


class Retriever(Protocol):
    """Finds the passages that fit a query, best first. The same query always gives the same passages."""

    @property
    def corpus(self) -> str:
        """What tells its corpus from others: the hash of the passages, or the address of a server that has them."""
        ...

    def search(self, query: str, k: int) -> list[Passage]:
        """At most ``k`` passages; fewer where fewer fit, none for an empty query."""

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """``search`` for each query, in order."""


def kinds() -> tuple[str, ...]:
    """The names of the retrievers there are, in order."""
    names = (m.name for m in pkgutil.iter_modules(__path__))
    return tuple(sorted(n.replace("_", "-") for n in names if not n.startswith("_") and n != "corpus"))


def settings_of(kind: str) -> dict[str, inspect.Parameter]:
    """The settings that the retriever called ``kind`` has, by name. Raises UserError for an unknown kind."""
    if kind not in kinds():
        raise UserError(f'no retriever is called "{kind}"; there are: {", ".join(kinds())}')
    parameters = inspect.signature(builder(kind)).parameters
    return {n: p for n, p in parameters.items() if n not in _HANDED}


def is_remote(kind: str) -> bool:
    """Whether ``kind`` asks a server, named by its setting ``url``, and so needs no passages."""
    return "url" in settings_of(kind)


def check_settings(kind: str, settings: Iterable[str]) -> None:
    """Raise UserError for a setting that the retriever called ``kind`` does not have."""
    known = list(settings_of(kind))
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (it has: {', '.join(known)})"
            raise UserError(f"retriever {kind!r} has no setting {key!r}{hint}")


def build_retriever(
    kind: str,
    passages: Sequence[Passage],
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Retriever:
    """The retriever called ``kind`` over ``passages``; with ``cache``, its index is kept in that folder and reused.

    ``passages`` may be a MappedCorpus, which stays on disk, as the index does then. ``progress`` is told how far
    building is; without it, only builds that take long say so, on stderr. Raises UserError for an unknown kind, a
    missing extra or a setting the retriever does not have, and DataError for no passages.
    """
    check_settings(kind, settings)
    build = builder(kind)
    told = {"progress": progress} if "progress" in inspect.signature(build).parameters else {}
    return cast(Retriever, build(passages, cache=cache, **told, **settings))


def builder(kind: str) -> Any:
    """The function that makes the retriever called ``kind``: ``build`` of its module."""
    return import_module(f"agentdistill.retrieval.{kind.replace('-', '_')}").build
