import hashlib
from importlib.util import find_spec

import numpy as np
import pytest

from agentdistill.errors import DataError, InfrastructureError, ModelError, UserError
from agentdistill.retrieval import Passage, build_retriever, dense
from agentdistill.retrieval.bm25 import tokens

installed = find_spec("sentence_transformers") is not None and find_spec("faiss") is not None
needs_extra = pytest.mark.skipif(
    not installed, reason="the dense extra is not installed (sentence-transformers, faiss)"
)

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="faiss is not installed (the dense extra)")


class Bag:
    """An encoder without a model: the sum of its words' random vectors. ``asked`` keeps what it was given."""

    def __init__(self, n_dims=64):
        self.name = f"bag-{n_dims}"
        self.n_dims = n_dims
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        return np.array([sum((self.word(w) for w in tokens(t)), np.zeros(self.n_dims)) for t in texts])

    def word(self, word):
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        return np.random.default_rng(seed).standard_normal(self.n_dims)


TOWN = [
    Passage("Velmora", "a town on the river"),
    Passage("Aren", "a river"),
    Passage("Tasch", "people and numbers 4 2"),
]


@pytest.mark.skipif(installed, reason="the dense extra is installed")
def test_without_the_extra_it_is_named():
    with pytest.raises(UserError, match=r"agentdistill\[dense\]"):
        build_retriever("dense", TOWN)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A real sentence encoder with random word vectors, averaged: texts of the same words are near."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from tiny_models import build_tokenizer

    torch.manual_seed(0)
    target = tmp_path_factory.mktemp("encoder")
    words = models.StaticEmbedding(build_tokenizer("smollm2").backend_tokenizer, embedding_dim=32)
    SentenceTransformer(modules=[words], device="cpu").save(str(target))
    return str(target)


@needs_extra
def test_a_passage_is_nearest_to_its_own_words(encoder):
    retriever = build_retriever("dense", TOWN, model=encoder, query_prefix="", passage_prefix="")
    for passage in TOWN:
        assert retriever.search(f"{passage.title} {passage.text}", 1) == [passage]
    assert len(retriever.search("river", 99)) == len(TOWN)
    assert retriever.search_many(["river", " ", "town"], 2)[1] == []
    assert retriever.search("river", 0) == []


@needs_extra
def test_the_prefixes_are_part_of_what_is_embedded(encoder):
    told = [Passage("", "query: town"), Passage("", "passage: town")]
    retriever = build_retriever("dense", told, model=encoder, query_prefix="query: ", passage_prefix="")
    assert retriever.search("town", 1) == told[:1]
    retriever = build_retriever("dense", told, model=encoder, query_prefix="passage: ", passage_prefix="")
    assert retriever.search("town", 1) == told[1:]


@needs_extra
def test_what_cannot_be_built(encoder, tmp_path):
    with pytest.raises(DataError, match="no passages"):
        build_retriever("dense", [], model=encoder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        build_retriever("dense", TOWN, model=str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="did you mean 'model'"):
        build_retriever("dense", TOWN, modle=encoder)


MANY = [
    Passage(f"Place {i}", f"place {i} lies {i * i % 97} km from town {i % 13} and river {i % 7}") for i in range(300)
]


@needs_faiss
def test_what_is_found_is_nearest_by_cosine(tmp_path):
    bag = Bag()
    retriever = build_retriever("dense", MANY, encoder=bag, query_prefix="", passage_prefix="")
    kept = build_retriever("dense", MANY, encoder=bag, query_prefix="", passage_prefix="", cache=tmp_path)
    vectors = bag.encode([f"{p.title} {p.text}" for p in MANY])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for query in ("place 17 town", "river 3", "km from town 5"):
        by_hand = np.argsort(-(vectors @ bag.encode([query])[0]), kind="stable")[:5]
        assert retriever.search(query, 5) == [MANY[i] for i in by_hand]
        assert kept.search(query, 5) == retriever.search(query, 5)
    assert retriever.search_many(["river 3", ""], 5) == [retriever.search("river 3", 5), []]


@needs_faiss
def test_the_index_is_kept_and_not_embedded_again(tmp_path):
    first, again = Bag(), Bag()
    before = build_retriever("dense", TOWN, cache=tmp_path, encoder=first)
    after = build_retriever("dense", TOWN, cache=tmp_path, encoder=again)
    assert first.asked == [f"passage: {p.title} {p.text}" for p in TOWN]
    assert again.asked == []
    assert after.search("river", 3) == before.search("river", 3)
    assert again.asked == ["query: river"]
    assert len(list(tmp_path.iterdir())) == 1


@needs_faiss
def test_another_encoder_prefix_or_corpus_is_another_index(tmp_path):
    build_retriever("dense", TOWN, cache=tmp_path, encoder=Bag())
    build_retriever("dense", TOWN, cache=tmp_path, encoder=Bag(), query_prefix="q: ")
    assert len(list(tmp_path.iterdir())) == 1  # how queries are asked is no matter of the index
    build_retriever("dense", TOWN, cache=tmp_path, encoder=Bag(32))
    build_retriever("dense", TOWN, cache=tmp_path, encoder=Bag(), passage_prefix="")
    build_retriever("dense", TOWN[:2], cache=tmp_path, encoder=Bag())
    assert len(list(tmp_path.iterdir())) == 4


@needs_faiss
@pytest.mark.parametrize("torn", [0, 7])
def test_an_indexing_that_was_killed_goes_on_where_it_stopped(tmp_path, monkeypatch, torn):
    monkeypatch.setattr(dense, "PIECE", 50)
    whole = build_retriever("dense", MANY, encoder=Bag())

    class Killed(Bag):
        def encode(self, texts):
            if len(self.asked) >= 150:
                raise KeyboardInterrupt
            return super().encode(texts)

    with pytest.raises(KeyboardInterrupt):
        build_retriever("dense", MANY, encoder=Killed(), cache=tmp_path)
    (half,) = tmp_path.iterdir()
    assert half.name.endswith(".part")
    if torn:  # a piece that was half written and never accounted for
        with (half / "vectors.f32").open("ab") as file:
            file.write(b"x" * torn)
    bag = Bag()
    resumed = build_retriever("dense", MANY, encoder=bag, cache=tmp_path)
    assert len(bag.asked) == 150
    assert [p.name.endswith(".part") for p in tmp_path.iterdir()] == [False]
    for query in ("river 3", "place 299"):
        assert resumed.search(query, 9) == whole.search(query, 9)


@needs_faiss
def test_an_approximate_index_is_one_of_faiss(tmp_path):
    exact = build_retriever("dense", MANY, encoder=Bag())
    for cache in (None, tmp_path):
        settings = {"encoder": Bag(), "approximate": "IVF4,Flat", "cache": cache}
        assert build_retriever("dense", MANY, n_probes=4, **settings).search("river 3", 9) == exact.search("river 3", 9)
        few = build_retriever("dense", MANY, n_probes=1, **settings).search("river 3", 300)
        assert 0 < len(few) < 300  # one cell of four
    bag = Bag()
    assert build_retriever("dense", MANY, encoder=bag, cache=tmp_path, approximate="HNSW16").search("river 3", 3)
    assert len(bag.asked) == 1  # the vectors were there
    with pytest.raises(UserError, match="approximate = 'FLATT' makes no index"):
        build_retriever("dense", MANY, encoder=Bag(), cache=tmp_path, approximate="FLATT")


@needs_faiss
def test_what_does_not_fit_is_said(tmp_path):
    build_retriever("dense", TOWN, encoder=Bag(), cache=tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "vectors.f32").write_bytes(b"")
    with pytest.raises(InfrastructureError, match="delete it and try again"):
        build_retriever("dense", TOWN, encoder=Bag(), cache=tmp_path)
    with pytest.raises(UserError, match="encoder has to be an object"):
        build_retriever("dense", TOWN, encoder="intfloat/e5-base-v2")
    changed = Bag()
    retriever = build_retriever("dense", TOWN, encoder=changed)
    changed.n_dims = 5
    with pytest.raises(ModelError, match="5 numbers; those of the index have 64"):
        retriever.search("river", 1)
