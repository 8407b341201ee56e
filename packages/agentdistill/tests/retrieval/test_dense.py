from importlib.util import find_spec

import pytest

from agentdistill.errors import DataError, ModelError, UserError
from agentdistill.retrieval import Passage, build_retriever

installed = find_spec("sentence_transformers") is not None and find_spec("faiss") is not None
needs_extra = pytest.mark.skipif(
    not installed, reason="the dense extra is not installed (sentence-transformers, faiss)"
)

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
def test_the_index_is_kept(encoder, tmp_path, monkeypatch):
    from agentdistill.retrieval import dense

    first = build_retriever("dense", TOWN, cache=tmp_path, model=encoder)
    monkeypatch.setattr(dense.Dense, "_build", lambda *a: pytest.fail("built again"))
    again = build_retriever("dense", TOWN, cache=tmp_path, model=encoder)
    assert again.search("river", 3) == first.search("river", 3)
    assert len(list(tmp_path.iterdir())) == 1


@needs_extra
def test_what_cannot_be_built(encoder, tmp_path):
    with pytest.raises(DataError, match="no passages"):
        build_retriever("dense", [], model=encoder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        build_retriever("dense", TOWN, model=str(tmp_path / "nothing"))
