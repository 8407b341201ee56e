"""Names, links, and the fusion of views."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.errors import DataError, InfrastructureError, UserError
from agentdistill.retrieval import Passage, build_retriever, load_corpus
from agentdistill.retrieval.bm25 import tokens
from agentdistill.retrieval.hybrid import Names, build_names, name_of

DATA = Path(__file__).parents[4].parent / "shared" / "data" / "retrieval"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the retrieval files are not in {DATA}")

FILMS = [
    Passage("The Last Lathe", "The Last Lathe is a film of 1962 directed by Ida Brandt."),
    Passage("Ida Brandt", "Ida Brandt was born in Velmora."),
    Passage("Velmora", "A town with a lathe works, where a film is shown every Friday."),
    Passage("Film director", "A director of a film tells the people who were born to act what to do."),
    Passage("Lathe (machine)", "A machine that turns its work."),
    Passage("Lathe (band)", "A band that was born in a barn, as the director of its films says."),
]
WHERE = "Where was the director of the film The Last Lathe born?"


def titles(passages: list[Passage]) -> list[str]:
    return [p.title for p in passages]


def test_the_second_step_is_found_by_its_link() -> None:
    assert "Ida Brandt" not in titles(build_retriever("bm25", FILMS).search(WHERE, 2))
    hybrid = build_retriever("hybrid", FILMS)
    assert titles(hybrid.search(WHERE, 2)) == ["The Last Lathe", "Ida Brandt"]
    assert hybrid.search_many([WHERE, "", "!?"], 2) == [hybrid.search(WHERE, 2), [], []]
    assert hybrid.search(WHERE, 0) == []


def test_a_name_counts_whatever_stands_in_brackets_behind_it() -> None:
    named = build_retriever("hybrid", FILMS, views=["named"])
    assert titles(named.search("Is Lathe a machine?", 9)) == ["Lathe (machine)", "Lathe (band)"]
    assert titles(named.search("Is Lathe a band?", 9)) == ["Lathe (band)", "Lathe (machine)"]
    assert titles(named.search("Did the last lathe win in Velmora?", 9)) == ["Velmora"]  # written as common words
    assert titles(named.search("the last lathe in velmora", 9)) == ["The Last Lathe", "Velmora"]  # no capitals at all


def found(names: Names, text: str) -> list[tuple[str, ...]]:
    return [m.terms for m in names.mentions(text, lambda term: False)]


def test_of_names_that_overlap_the_longest_counts_and_each_once() -> None:
    passages = [Passage(t, "") for t in ("New York", "York", "New York City", "City", "Ålborg", "東京")]
    names = build_names(passages, None, lambda n: None)
    assert names is not None
    assert found(names, "From New York City to New York, York and New York.") == [
        ("new", "york", "city"),
        ("new", "york"),
        ("york",),
    ]
    assert found(names, "ALBORG and 東京都") == [("alborg",), ("東", "京")]
    assert found(names, "new Town of old York") == [("york",)]
    assert found(names, "") == []


WORDS = ["Aren", "Velmora", "town", "river", "of", "Tasch", "1999"]
TITLES = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join), max_size=12)


@given(TITLES, st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_names_are_found_as_a_pass_over_all_titles_would(known: list[str], text: str) -> None:
    names = build_names([Passage(t, "") for t in known], None, lambda n: None)
    assert names is not None
    terms, at, expected = tokens(text), 0, []
    raised = [w != w.lower() or w.isdigit() for w in text.split()]
    while at < len(terms):
        ends = [e for e in range(at + 1, len(terms) + 1) if any(name_of(t) == terms[at:e] for t in known)]
        ends = [e for e in ends if any(raised[at:e]) or not any(raised)]
        if ends:
            expected.append(tuple(terms[at : max(ends)]))
        at = max(ends, default=at + 1)
    assert found(names, text) == list(dict.fromkeys(expected))
    for mention in names.mentions(text, lambda term: False):
        assert mention.rows.tolist() == [i for i, t in enumerate(known) if tuple(name_of(t)) == mention.terms]


def test_a_common_word_is_no_name() -> None:
    passages = [Passage("It", "a novel"), *(Passage(f"T{i}", f"It is number {i}.") for i in range(50))]
    assert build_retriever("hybrid", passages, views=["named"]).search("Is It a novel?", 3) == []
    assert build_retriever("hybrid", passages).search("Is It a novel?", 1) == passages[:1]  # by its words


def test_the_fusion_is_reciprocal_rank() -> None:
    hybrid: Any = build_retriever("hybrid", FILMS, rank_constant=60)
    # 3: 1/61 + 1/62; 1: 1/61 + 1/63; 2: 1/62; 9 and 7: 1/63 and 1/64
    assert hybrid._fuse([[3, 2, 1, 7], [1, 3, 9]]) == [3, 1, 2, 9, 7]
    assert hybrid._fuse([[5], [4]]) == [4, 5]  # equals in the order of the corpus
    assert hybrid._fuse([]) == []


@given(st.lists(st.lists(st.integers(0, 9), unique=True, max_size=6), max_size=4))
def test_what_every_view_puts_higher_comes_out_higher(views: list[list[int]]) -> None:
    fused = HYBRID._fuse(views)
    assert sorted(fused) == sorted({row for v in views for row in v})
    for a in fused:
        for b in fused:
            if a != b and all(a in v and (b not in v or v.index(a) < v.index(b)) for v in views):
                assert fused.index(a) < fused.index(b)


HYBRID: Any = build_retriever("hybrid", FILMS)


def test_untitled_passages_and_passages_of_one_title() -> None:
    untitled = [Passage("", p.text) for p in FILMS]
    words = build_retriever("bm25", untitled).search(WHERE, 4)
    assert build_retriever("hybrid", untitled).search(WHERE, 4) == words
    chunks = [Passage("Velmora", f"part {i} of what is told of Velmora") for i in range(300)]
    assert len(build_retriever("hybrid", chunks).search("Velmora part 7", 5)) == 5


@pytest.mark.skipif(find_spec("faiss") is None, reason="faiss is not installed (the dense extra)")
def test_a_dense_view_is_one_more() -> None:
    class Ending:
        """Nearest is what ends in the same letter."""

        name = "ending"

        def encode(self, texts: list[str]) -> Any:
            return np.eye(128)[[ord(t[-1]) % 128 for t in texts]]

    settings = {"views": ["bm25", "dense"], "dense": {"encoder": Ending(), "query_prefix": "", "passage_prefix": ""}}
    passages = [Passage("A", "one x"), Passage("B", "two y"), Passage("C", "three z")]
    hybrid = build_retriever("hybrid", passages, **settings)
    assert titles(hybrid.search("one z", 2)) == ["A", "C"]
    assert titles(hybrid.search("unheard y", 1)) == ["B"]


def test_the_names_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_retriever("hybrid", FILMS, cache=tmp_path)
    assert sorted(p.name.split("-")[0] for p in tmp_path.iterdir()) == ["bm25", "names"]
    monkeypatch.setattr("agentdistill.retrieval.hybrid.build_names", lambda *a: pytest.fail("built again"))
    assert build_retriever("hybrid", FILMS, cache=tmp_path, n_sources=1).search(WHERE, 3) == first.search(WHERE, 3)
    (folder,) = tmp_path.glob("names-*")
    (folder / "rows.npy").write_bytes(b"")
    with pytest.raises(InfrastructureError, match="delete it and try again"):
        build_retriever("hybrid", FILMS, cache=tmp_path)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"views": ["bm25", "colbert"]}, "some of bm25, named, linked, dense"),
        ({"views": "bm25"}, "has to be a list"),
        ({"views": []}, "has to be a list"),
        ({"views": ["linked"]}, "has only linked"),
        ({"dense": {"model": "x"}}, 'add "dense" to it'),
        ({"views": ["bm25", "dense"], "dense": {"modle": "x"}}, 'did you mean "model"'),
        ({"views": ["bm25", "dense"], "dense": 5}, "has to be a table"),
        ({"n_sources": 0}, "have to be at least 1"),
        ({"rank_const": 1}, 'did you mean "rank_constant"'),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        build_retriever("hybrid", FILMS, **settings)


def test_no_passages() -> None:
    with pytest.raises(DataError, match="no passages"):
        build_retriever("hybrid", [])


@needs_data
def test_recall_on_hotpotqa_is_better_than_any_single_view_and_than_a_fusion_with_embeddings() -> None:
    passages = load_corpus(DATA / "hotpotqa_100_corpus.json")
    questions = json.loads((DATA / "hotpotqa_100.json").read_text())
    hybrid, words = build_retriever("hybrid", passages), build_retriever("bm25", passages)
    for k, floor in ((2, 0.81), (5, 0.94), (10, 0.97)):  # MiniLM with BM25: 0.62, 0.81, 0.89; this: 0.83, 0.95, 0.98
        recalls = [
            [
                len({t for t, _ in q["supporting_facts"]} & set(titles(r.search(q["question"], k)))) / 2
                for q in questions
            ]
            for r in (hybrid, words)
        ]
        assert np.mean(recalls[0]) >= floor
        assert np.mean(recalls[0]) > np.mean(recalls[1])
