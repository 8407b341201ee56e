"""Dense retrieval with sentence embeddings and FAISS: the ``dense`` extra.

The paper's retriever is ``intfloat/e5-base-v2``, which wants ``query: `` and ``passage: `` before what it embeds;
models of other families want other words, or none.

Embeddings lie in one file that is mapped, never loaded, and written a piece at a time: an indexing that was killed goes
on where it stopped. Search is exact, over that file. ``approximate`` has FAISS build an index of its own besides, for
corpora where an exact search takes too long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agentdistill.errors import DataError, InfrastructureError, ModelError, UserError
from agentdistill.progress import Progress
from agentdistill.retrieval import _vectors
from agentdistill.retrieval._folder import kept
from agentdistill.retrieval._mapped import MappedCorpus, corpus_digest
from agentdistill.retrieval._passage import Passage
from agentdistill.retrieval._watch import watched
from agentdistill.store import digest, file_digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_MODEL = "intfloat/e5-base-v2"
FORMAT = 2
"""Part of the cache key: raise it whenever the files on disk change."""
_HOW = "pip install 'agentdistill[dense]'"


class Encoder(Protocol):
    """Turns texts into vectors. ``name`` tells it from every other: an index made with it is found by that name."""

    name: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, of any length but zero; the same text always gives the same row."""


class Dense:
    """Passages with their normalised embeddings. Scores are cosines; equal scores stay in corpus order.

    ``model`` is a folder or a hub name; ``encoder`` takes its place where it is given. ``approximate`` is a FAISS
    factory string such as ``"IVF4096,Flat"`` or ``"HNSW32"``, with ``n_probes`` cells of an IVF index visited a query.
    Raises UserError where the extra is not installed, and ModelError where the model cannot be loaded.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
        model: str = DEFAULT_MODEL,
        query_prefix: str = "query: ",
        passage_prefix: str = "passage: ",
        batch_size: int = 64,
        approximate: str | None = None,
        n_probes: int = 16,
        encoder: Encoder | None = None,
    ) -> None:
        if not passages:
            raise DataError("the corpus has no passages to search")
        self.passages = passages if isinstance(passages, MappedCorpus) else tuple(passages)
        self._query_prefix = query_prefix
        self._encoder = _encoder(model, batch_size) if encoder is None else _checked(encoder)
        source = _vectors.Source(self.passages, self._encoder.encode, passage_prefix)
        if cache is None:
            with self._watched(progress) as advance:
                self._index = _vectors.in_memory(source, approximate, advance)
        else:
            key = digest([FORMAT, self._encoder.name, passage_prefix, self.corpus])
            folder = kept(cache / f"dense-{key}", lambda half: self._write(source, half, progress), resume=True)
            self._index = _opened(folder, cache, key, approximate)
        self._index.probe(n_probes)

    @cached_property
    def corpus(self) -> str:
        """The hash of the corpus's content."""
        return corpus_digest(self.passages)

    def _watched(self, progress: Progress | None) -> AbstractContextManager[Callable[[int], None]]:
        return watched(progress, f"dense · {self._encoder.name}", len(self.passages))

    def _write(self, source: _vectors.Source, half: Path, progress: Progress | None) -> None:
        with self._watched(progress) as advance:
            _vectors.write(source, half, advance)

    def search(self, query: str, k: int) -> list[Passage]:
        """The ``k`` passages nearest to ``query``, nearest first; none for an empty query."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """``search`` for each query, in order, embedded together."""
        return [[self.passages[i] for i in rows.tolist()] for rows in self.rows_many(queries, k)]

    def rows(self, query: str, k: int) -> NDArray[np.int64]:
        """The places in the corpus of what ``search`` returns."""
        return self.rows_many([query], k)[0]

    def rows_many(self, queries: Sequence[str], k: int) -> list[NDArray[np.int64]]:
        """``rows`` for each query, in order, embedded together."""
        import numpy as np

        asked = [i for i, q in enumerate(queries) if q.strip()]
        out = [np.empty(0, dtype=np.int64) for _ in queries]
        k = min(k, len(self.passages))
        if not asked or k < 1:
            return out
        vectors = _vectors.normalised(self._encoder.encode([self._query_prefix + queries[i] for i in asked]))
        scores, found = self._index.search(vectors, k)
        for at, i in enumerate(asked):
            there = found[at] >= 0  # an approximate search may find fewer
            out[i] = found[at][there][np.lexsort((found[at][there], -scores[at][there]))]
        return out


def _opened(folder: Path, cache: Path, key: str, approximate: str | None) -> _vectors.Index:
    """The index over the vectors in ``folder``."""
    try:
        vectors = _vectors.load(folder)
        if approximate is None:
            return _vectors.Index(vectors)
        place = cache / f"dense-{digest([key, approximate])}"
        kept(place, lambda half: _vectors.write_approximate(vectors, approximate, half))
        return _vectors.load_approximate(place)
    except (OSError, ValueError, RuntimeError) as e:
        why = f"the search index is damaged ({str(e).splitlines()[0]})"
        raise InfrastructureError(f"{folder}: {why}; delete it and try again") from e


class _SentenceEncoder:
    """A model of sentence-transformers. Its name is a folder's content, or a hub name."""

    def __init__(self, model: str, batch_size: int) -> None:
        from sentence_transformers import SentenceTransformer

        self.name = file_digest(Path(model)) if Path(model).is_dir() else model
        self._batch_size = batch_size
        try:
            self._model = SentenceTransformer(model)
        except (OSError, ValueError) as e:
            raise ModelError(f"embedding model {model!r} cannot be loaded ({str(e).splitlines()[0]})") from e

    def encode(self, texts: Sequence[str]) -> Any:
        """See :class:`Encoder`."""
        return self._model.encode(
            list(texts), batch_size=self._batch_size, convert_to_numpy=True, show_progress_bar=False
        )


def _encoder(model: str, batch_size: int) -> Encoder:
    try:
        import faiss  # noqa: F401
        import sentence_transformers  # noqa: F401
    except ImportError as e:
        raise UserError(f'retriever "dense" needs {e.name}, which is not installed: {_HOW}') from e
    return _SentenceEncoder(model, batch_size)


def _checked(encoder: Encoder) -> Encoder:
    try:
        import faiss  # noqa: F401
    except ImportError as e:
        raise UserError(f'retriever "dense" needs {e.name}, which is not installed: {_HOW}') from e
    if not callable(getattr(encoder, "encode", None)) or not isinstance(getattr(encoder, "name", None), str):
        raise UserError("encoder has to be an object with encode(texts) and a name; a model's name goes into model")
    return encoder


def build(
    passages: Sequence[Passage],
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    model: str = DEFAULT_MODEL,
    query_prefix: str = "query: ",
    passage_prefix: str = "passage: ",
    batch_size: int = 64,
    approximate: str | None = None,
    n_probes: int = 16,
    encoder: Encoder | None = None,
) -> Dense:
    """The dense retriever over ``passages``; see :class:`Dense` for the settings."""
    return Dense(
        passages,
        cache=cache,
        progress=progress,
        model=model,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        batch_size=batch_size,
        approximate=approximate,
        n_probes=n_probes,
        encoder=encoder,
    )
