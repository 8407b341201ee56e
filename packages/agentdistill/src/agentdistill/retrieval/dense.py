"""Dense retrieval with sentence embeddings and FAISS: the ``dense`` extra.

The paper's retriever is ``intfloat/e5-base-v2``, which wants ``query: `` and ``passage: `` before what it embeds;
models of other families want other words, or none.

Embeddings lie in one file that is mapped, never loaded, and written a piece at a time: an indexing that was killed goes
on where it stopped. Search is exact, over that file. ``approximate`` has FAISS build an index of its own besides, for
corpora where an exact search takes too long.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agentdistill.errors import DataError, InfrastructureError, ModelError, UserError
from agentdistill.progress import Progress
from agentdistill.retrieval.corpus import Passage
from agentdistill.retrieval.mapped import MappedCorpus, corpus_digest, kept, watched
from agentdistill.store import digest, file_digest, write_atomic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# --- vectors on disk --------------------------------------------------------------------------------------------------


PIECE = 1024
"""Passages embedded between two points that a killed build goes on from."""
TRAINING_ROWS = 262_144
"""Vectors, spread over the corpus, that an approximate index is trained on at most."""
_BLOCK_BYTES = 256 << 20
_VECTORS, _FACTS, _INDEX = "vectors.f32", "vectors.json", "index.faiss"

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """What is to be embedded: ``prefix``, title and text of every passage, by ``encode``."""

    passages: Sequence[Passage]
    encode: Callable[[Sequence[str]], Any]
    prefix: str

    def pieces(self, start: int) -> Iterator[NDArray[np.float32]]:
        """Normalised vectors of the passages from ``start`` on, a piece at a time."""
        for first in range(start, len(self.passages), PIECE):
            piece = self.passages[first : first + PIECE]
            vectors = normalised(self.encode([f"{self.prefix}{p.title} {p.text}".strip() for p in piece]))
            if len(vectors) != len(piece):
                raise ModelError(f"the encoder gave {len(vectors)} vectors for {len(piece)} texts")
            yield vectors


def normalised(vectors: Any) -> NDArray[np.float32]:
    """Rows of length 1, in float32; a row of zeros stays one."""
    import numpy as np

    given = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", given, given))[:, None]
    return np.ascontiguousarray(given / np.where(lengths > 0, lengths, 1))


class Index:
    """Nearest neighbours by inner product: exact over ``vectors``, or by an index of FAISS."""

    def __init__(self, vectors: NDArray[np.float32] | None, faiss_index: Any = None) -> None:
        self._vectors = vectors
        self._faiss_index = faiss_index

    def probe(self, n_probes: int) -> None:
        """How many cells of an IVF index a query visits; other indexes have none."""
        import faiss

        own: Any = faiss.downcast_index(self._faiss_index) if self._faiss_index is not None else None
        if hasattr(own, "nprobe"):
            own.nprobe = n_probes

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[Any, Any]:
        """Scores and rows, each ``(n_queries, k)``; a row of -1 is none."""
        import faiss

        n_dims = queries.shape[1]
        own = self._faiss_index.d if self._vectors is None else self._vectors.shape[1]
        if n_dims != own:
            raise ModelError(f"the encoder gave vectors of {n_dims} numbers; those of the index have {own}")
        if self._vectors is None:
            scores, rows = self._faiss_index.search(queries, k)
        else:
            scores, rows = faiss.knn(queries, self._vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return scores, rows


def in_memory(source: EmbeddingInput, approximate: str | None, advance: Advance) -> Index:
    """The index of a corpus, nothing of it on disk."""
    import numpy as np

    vectors = np.empty((0, 0), dtype=np.float32)
    n = 0
    for piece in source.pieces(0):
        if not n:
            vectors = np.empty((len(source.passages), piece.shape[1]), dtype=np.float32)
        vectors[n : n + len(piece)] = piece
        n += len(piece)
        advance(len(piece))
    return Index(vectors) if approximate is None else Index(None, _approximate(vectors, approximate))


def write(source: EmbeddingInput, folder: Path, advance: Advance) -> None:
    """Write the vectors of all passages into ``folder``, going on from those that are there."""
    n, n_dims = _written(folder)
    n = n if n_dims else 0
    with (folder / _VECTORS).open("r+b" if n else "wb") as file:
        file.truncate(n * n_dims * 4)
        file.seek(0, os.SEEK_END)
        advance(n)
        for vectors in source.pieces(n):
            file.write(vectors.tobytes())
            file.flush()
            os.fsync(file.fileno())
            n, n_dims = n + len(vectors), vectors.shape[1]
            write_atomic(folder / _FACTS, json.dumps({"rows": n, "dims": n_dims}))
            advance(len(vectors))


def _written(folder: Path) -> tuple[int, int]:
    """Rows and dimensions that are safely in ``folder``; zeros where there is nothing to go on from."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        n, n_dims = int(facts["rows"]), int(facts["dims"])
        is_there = (folder / _VECTORS).stat().st_size >= n * n_dims * 4
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0
    return (n, n_dims) if is_there else (0, 0)


def load_vectors(folder: Path) -> NDArray[np.float32]:
    """The vectors in ``folder``, mapped. Raises OSError or ValueError where they are damaged."""
    import numpy as np

    n, n_dims = _written(folder)
    if not n:
        raise ValueError("its files do not fit together")
    return np.asarray(np.memmap(folder / _VECTORS, dtype=np.float32, mode="r", shape=(n, n_dims)))


def write_approximate(vectors: NDArray[np.float32], factory: str, folder: Path) -> None:
    """Write FAISS's own index over the vectors into ``folder``."""
    import faiss

    faiss.write_index(_approximate(vectors, factory), str(folder / _INDEX))


def load_approximate(folder: Path) -> Index:
    """The index that ``write_approximate`` left in ``folder``, mapped where FAISS can."""
    import faiss

    return Index(None, faiss.read_index(str(folder / _INDEX), faiss.IO_FLAG_MMAP))


def _approximate(vectors: NDArray[np.float32], factory: str) -> Any:
    import faiss
    import numpy as np

    try:
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            rows = np.linspace(0, len(vectors) - 1, min(TRAINING_ROWS, len(vectors))).astype(np.int64)
            index.train(np.ascontiguousarray(vectors[rows]))
    except RuntimeError as e:
        why = " ".join(str(e).split())[-160:]
        raise UserError(f"approximate = {factory!r} makes no index of {len(vectors):,} vectors: {why}") from e
    step = max(1, _BLOCK_BYTES // (4 * vectors.shape[1]))
    for first in range(0, len(vectors), step):
        index.add(np.ascontiguousarray(vectors[first : first + step]))
    return index


# --- search -----------------------------------------------------------------------------------------------------------


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
        source = EmbeddingInput(self.passages, self._encoder.encode, passage_prefix)
        if cache is None:
            with self._watched(progress) as advance:
                self._index = in_memory(source, approximate, advance)
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

    def _write(self, source: EmbeddingInput, half: Path, progress: Progress | None) -> None:
        with self._watched(progress) as advance:
            write(source, half, advance)

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
        vectors = normalised(self._encoder.encode([self._query_prefix + queries[i] for i in asked]))
        scores, found = self._index.search(vectors, k)
        for at, i in enumerate(asked):
            there = found[at] >= 0  # an approximate search may find fewer
            out[i] = found[at][there][np.lexsort((found[at][there], -scores[at][there]))]
        return out


def _opened(folder: Path, cache: Path, key: str, approximate: str | None) -> Index:
    """The index over the vectors in ``folder``."""
    try:
        vectors = load_vectors(folder)
        if approximate is None:
            return Index(vectors)
        place = cache / f"dense-{digest([key, approximate])}"
        kept(place, lambda half: write_approximate(vectors, approximate, half))
        return load_approximate(place)
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


build = Dense
