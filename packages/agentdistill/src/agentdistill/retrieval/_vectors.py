"""Embeddings on disk, written a piece at a time, and nearest neighbours among them.

A folder holds ``vectors.f32`` (row-major, one row a passage) and ``vectors.json`` (rows that are safely written, and
their length). Half a folder is as good as a whole one up to those rows, so that a build goes on from there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import ModelError, UserError
from agentdistill.retrieval._passage import Passage
from agentdistill.store import write_atomic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIECE = 1024
"""Passages embedded between two points that a killed build goes on from."""
TRAINING_ROWS = 262_144
"""Vectors, spread over the corpus, that an approximate index is trained on at most."""
_BLOCK_BYTES = 256 << 20
_VECTORS, _FACTS, _INDEX = "vectors.f32", "vectors.json", "index.faiss"

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Source:
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


def in_memory(source: Source, approximate: str | None, advance: Advance) -> Index:
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


def write(source: Source, folder: Path, advance: Advance) -> None:
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


def load(folder: Path) -> NDArray[np.float32]:
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
