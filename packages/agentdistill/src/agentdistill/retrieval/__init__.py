"""Search over a user's corpus. A retriever is made by a function ``build(passages, cache=None, **settings)``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from agentdistill import registry
from agentdistill.errors import UserError
from agentdistill.progress import Progress
from agentdistill.retrieval.corpus import Passage, Sources, load_corpus, passages_of, read_corpus, shortened
from agentdistill.retrieval.mapped import MappedCorpus, corpus_digest, map_corpus, open_corpus

__all__ = [
    "MappedCorpus",
    "Passage",
    "Retriever",
    "Sources",
    "build_retriever",
    "builder",
    "check_settings",
    "corpus_digest",
    "format_passages",
    "is_remote",
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


def settings_of(kind: str) -> dict[str, inspect.Parameter]:
    """The settings that the retriever called ``kind`` has, by name. Raises UserError for an unknown kind."""
    return {n: p for n, p in registry.named_parameters(builder(kind)).items() if n not in _HANDED}


def is_remote(kind: str) -> bool:
    """Whether ``kind`` asks a server, named by its setting ``url``, and so needs no passages."""
    return "url" in settings_of(kind)


def check_settings(kind: str, settings: Iterable[str]) -> None:
    """Raise UserError for a setting that the retriever called ``kind`` does not have."""
    known = list(settings_of(kind))
    for key in settings:
        if key not in known and not registry.takes_any_name(builder(kind)):
            raise UserError(registry.unknown("setting", key, known, f'retriever "{kind}"'))


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
    retriever = cast(Retriever, registry.call("retrievers", kind, build, passages, cache=cache, **told, **settings))
    return retriever if registry.is_built_in("retrievers", kind) else _FromOutside(kind, retriever)


class _FromOutside:
    """A plug-in's retriever, with PluginErrors for what its code raises, or gives that is no Passage."""

    def __init__(self, kind: str, retriever: Retriever) -> None:
        self._kind, self._retriever = kind, retriever

    @property
    def corpus(self) -> str:
        """As :attr:`Retriever.corpus`."""
        return registry.call("retrievers", self._kind, lambda: self._retriever.corpus)

    def search(self, query: str, k: int) -> list[Passage]:
        """As :meth:`Retriever.search`."""
        found = registry.call("retrievers", self._kind, lambda: self._retriever.search(query, k))
        return registry.all_of("retrievers", self._kind, Passage, found)

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """As :meth:`Retriever.search_many`."""
        found = registry.call("retrievers", self._kind, lambda: list(self._retriever.search_many(queries, k)))
        return [registry.all_of("retrievers", self._kind, Passage, passages) for passages in found]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # of a copy under way, which has no retriever yet
            raise AttributeError(name)
        return getattr(self._retriever, name)


def builder(kind: str) -> Any:
    """The function that makes the retriever called ``kind``. Raises UserError for an unknown kind."""
    return registry.load("retrievers", kind)


def format_passages(passages: Sequence[Passage]) -> str:
    """How search results read, one passage a line: ``[1] Title: text``."""
    if not passages:
        return "No passages found."
    return "\n".join(f"[{i}] {p.title}: {p.text}" if p.title else f"[{i}] {p.text}" for i, p in enumerate(passages, 1))
