"""Dense retrieval with sentence embeddings and an exact inner-product index (FAISS): the ``dense`` extra.

The paper's retriever is ``intfloat/e5-base-v2``, which wants ``query: `` and ``passage: `` before what it embeds;
models of other families want other words, or none.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError, InfrastructureError, ModelError, UserError
from agentdistill.retrieval._passage import Passage
from agentdistill.store import digest, file_digest

DEFAULT_MODEL = "intfloat/e5-base-v2"
_HOW = "pip install 'agentdistill[dense]'"


class Dense:
    """Passages with their normalised embeddings. Scores are cosines; equal scores stay in corpus order.

    ``model`` is a folder or a hub name. Raises UserError where the extra is not installed, and ModelError where the
    model cannot be loaded.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        *,
        cache: Path | None = None,
        model: str = DEFAULT_MODEL,
        query_prefix: str = "query: ",
        passage_prefix: str = "passage: ",
        batch_size: int = 64,
    ) -> None:
        if not passages:
            raise DataError("the corpus has no passages to search")
        self.passages = tuple(passages)
        self._query_prefix = query_prefix
        self._batch_size = batch_size
        self._encoder = _encoder(model)
        texts = [f"{passage_prefix}{p.title} {p.text}".strip() for p in self.passages]
        if cache is None:
            self._index = self._build(texts)
        else:
            self._index = self._cached(cache / f"dense-{digest([_weights(model), texts])}.faiss", texts)

    def _embed(self, texts: Sequence[str]) -> Any:
        return self._encoder.encode(
            list(texts),
            batch_size=self._batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        ).astype("float32")

    def _build(self, texts: Sequence[str]) -> Any:
        import faiss

        vectors = self._embed(texts)
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        return index

    def _cached(self, path: Path, texts: Sequence[str]) -> Any:
        import faiss

        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
                    half = os.path.join(folder, path.name)
                    faiss.write_index(self._build(texts), half)
                    os.replace(half, path)
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        except (OSError, RuntimeError) as e:
            why = f"the search index cannot be kept there ({str(e).splitlines()[0]})"
            raise InfrastructureError(f"{path}: {why}; delete it and try again") from e

    def search(self, query: str, k: int) -> list[Passage]:
        """The ``k`` passages nearest to ``query``, nearest first; none for an empty query."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """``search`` for each query, in order, embedded together."""
        asked = [i for i, q in enumerate(queries) if q.strip()]
        out: list[list[Passage]] = [[] for _ in queries]
        k = min(k, len(self.passages))
        if not asked or k < 1:
            return out
        scores, found = self._index.search(self._embed([self._query_prefix + queries[i] for i in asked]), k)
        for row, i in enumerate(asked):
            hits = zip(scores[row].tolist(), found[row].tolist(), strict=True)
            out[i] = [self.passages[at] for _, at in sorted(hits, key=lambda hit: (-hit[0], hit[1]))]
        return out


def _encoder(model: str) -> Any:
    try:
        import faiss  # noqa: F401
        from sentence_transformers import SentenceTransformer
    except ImportError as e:
        raise UserError(f'retriever "dense" needs {e.name}, which is not installed: {_HOW}') from e
    try:
        return SentenceTransformer(model)
    except (OSError, ValueError) as e:
        raise ModelError(f"embedding model {model!r} cannot be loaded ({str(e).splitlines()[0]})") from e


def _weights(model: str) -> str:
    """What tells one set of weights from another: a folder's content, or a hub name."""
    return file_digest(Path(model)) if Path(model).is_dir() else model


def build(
    passages: Sequence[Passage],
    *,
    cache: Path | None = None,
    model: str = DEFAULT_MODEL,
    query_prefix: str = "query: ",
    passage_prefix: str = "passage: ",
    batch_size: int = 64,
) -> Dense:
    """The dense retriever over ``passages``; see :class:`Dense` for the settings."""
    return Dense(
        passages,
        cache=cache,
        model=model,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        batch_size=batch_size,
    )
