"""Indexing and querying beside bm25s and FAISS used directly, over the same passages. Ratios, on one thread.

``bm25`` against bm25s as its own documentation uses it: its tokenizer with English stop words, its defaults; both keep
the index in memory, and answer queries one at a time, tokenizer included. ``kept`` is the same with the index written
to disk and mapped from there. ``dense`` against a flat FAISS index: both are given the same vectors by an encoder that
only looks them up, since embedding would drown everything else and be the same. ``hybrid`` has nothing to be compared
with; its time per query is given as a multiple of bm25s's.

Ways are timed in turn, and medians over rounds divided. Queries are titles of the corpus put into questions.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agentdistill.errors import UserError
from agentdistill.retrieval import Passage, build_retriever, load_corpus
from benchmarks.fixtures import arguments

TARGET = 1.2
K = 5


def retrieval(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = arguments("retrieval", str(__doc__).splitlines()[0])
    parser.add_argument("--corpus", metavar="FILE", help="the passages (default: made up, so many as --passages)")
    parser.add_argument("--passages", type=int, default=6000, help="passages made up (default 6000)")
    parser.add_argument("--queries", type=int, default=300, help="queries of a round (default 300)")
    parser.add_argument("--dimensions", type=int, default=384, help="numbers of a vector (default 384)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed (default 5)")
    options = parser.parse_args(argv)
    if min(options.passages, options.queries, options.dimensions, options.rounds) < 1:
        raise UserError("every number has to be at least 1")
    passages = load_corpus(options.corpus) if options.corpus else _made_up(options.passages)
    result = measure(passages, options.queries, options.dimensions, options.rounds)
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"retrieval, {result['n_passages']:,} passages, {result['n_queries']} queries, one thread")
    for name, ratios in result["ratios"].items():
        against = "FAISS" if name == "dense" else "bm25s"
        said = "   ".join(f"{what} {r:.2f}x" for what, r in ratios.items())
        print(f"  {name:8} {said}   (of {against}'s time)")
    print(f"  target for bm25 and dense {TARGET}x")
    return 0


def measure(passages: Sequence[Passage], n_queries: int, n_dims: int, rounds: int) -> dict[str, Any]:
    """Seconds to index and a query in each way, and their ratios to the libraries used directly."""
    queries = [f"Who is the father of {p.title or p.text[:40]}?" for p in _spread(passages, n_queries)]
    ways: dict[str, Callable[[], Any]] = {"bm25s": lambda: _bm25s(passages), **_ours(passages)}
    if _has_faiss():
        import faiss

        faiss.omp_set_num_threads(1)
        table = _Table(passages, queries, n_dims)
        ways |= {"faiss": lambda: _faiss(passages, table), "dense": lambda: _dense(passages, table)}
    index_s: dict[str, list[float]] = {name: [] for name in ways}
    query_s: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(rounds + 1):
        for name, index in ways.items():
            started = time.perf_counter()
            search = index()
            built = time.perf_counter()
            for query in queries:
                search(query)
            done = time.perf_counter()
            if i:  # the first round warms up
                index_s[name].append(built - started)
                query_s[name].append((done - built) / len(queries))
    took = {
        name: {"index": statistics.median(index_s[name]), "query": statistics.median(query_s[name])} for name in ways
    }
    ratios = {
        name: {what: took[name][what] / took["faiss" if name == "dense" else "bm25s"][what] for what in took[name]}
        for name in ways
        if name not in ("bm25s", "faiss")
    }
    return {"n_passages": len(passages), "n_queries": len(queries), "target": TARGET, "ratios": ratios, "seconds": took}


def _ours(passages: Sequence[Passage]) -> dict[str, Callable[[], Any]]:
    def kept() -> Any:
        with tempfile.TemporaryDirectory() as folder:  # mapped files outlive their names
            return _search(build_retriever("bm25", passages, cache=Path(folder)))

    return {
        "bm25": lambda: _search(build_retriever("bm25", passages)),
        "kept": kept,
        "hybrid": lambda: _search(build_retriever("hybrid", passages)),
    }


def _search(retriever: Any) -> Callable[[str], Any]:
    return lambda query: retriever.search(query, K)


def _bm25s(passages: Sequence[Passage]) -> Callable[[str], Any]:
    try:
        import bm25s
    except ImportError as e:
        raise UserError("the benchmark compares with bm25s: pip install bm25s") from e
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    texts = [f"{p.title} {p.text}" for p in passages]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)

    def search(query: str) -> Any:
        asked = bm25s.tokenize(query, stopwords="en", show_progress=False)
        found, _ = index.retrieve(asked, k=min(K, len(passages)), show_progress=False)
        return [passages[i] for i in found[0].tolist()]

    return search


class _Table:
    """An encoder that looks up vectors drawn beforehand."""

    name = "table"

    def __init__(self, passages: Sequence[Passage], queries: Sequence[str], n_dims: int) -> None:
        import numpy as np

        rng = np.random.default_rng(0)
        texts = [f"{p.title} {p.text}".strip() for p in passages] + list(queries)
        vectors = rng.standard_normal((len(texts), n_dims), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self._rows = dict(zip(texts, vectors, strict=True))

    def encode(self, texts: Sequence[str]) -> Any:
        import numpy as np

        return np.stack([self._rows[t] for t in texts])


def _faiss(passages: Sequence[Passage], table: _Table) -> Callable[[str], Any]:
    import faiss

    vectors = table.encode([f"{p.title} {p.text}".strip() for p in passages])
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)

    def search(query: str) -> Any:
        _, found = index.search(table.encode([query]), K)
        return [passages[i] for i in found[0].tolist() if i >= 0]

    return search


def _dense(passages: Sequence[Passage], table: _Table) -> Callable[[str], Any]:
    return _search(build_retriever("dense", passages, encoder=table, query_prefix="", passage_prefix=""))


def _has_faiss() -> bool:
    from importlib.util import find_spec

    return find_spec("faiss") is not None


def _spread(passages: Sequence[Passage], n: int) -> list[Passage]:
    return [passages[i * len(passages) // n] for i in range(n)]


def _made_up(n: int) -> list[Passage]:
    """Passages of a hundred words or so, drawn as often as words are: the i-th word one over i times."""
    import numpy as np

    rng = np.random.default_rng(0)
    return [
        Passage(f"Place w{i} w{i % 97}", " ".join(f"w{w}" for w in rng.zipf(1.2, size=int(rng.integers(40, 160)))))
        for i in range(n)
    ]
