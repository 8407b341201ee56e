"""TinyWorld's generator: right answers, the same from the same seed, and no test question in any training text."""

import re
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill.retrieval import build_retriever
from tinyworld import corpus
from tinyworld import documents as doc
from tinyworld import task as tinyworld
from tinyworld.facts import FACT_FAMILIES, fact_question, is_held_out
from tinyworld.maths import MATH_FAMILIES, math_question
from tinyworld.world import World

SEEDS = st.integers(0, 10**6)


def search_of(world):
    return build_retriever("bm25", world.encyclopaedia()).search


@given(SEEDS, st.sampled_from(MATH_FAMILIES))
@settings(max_examples=200, deadline=None)
def test_a_programs_output_is_the_answer(seed, family):
    q = math_question(Random(seed), family)
    scope: dict = {}
    exec("\n".join(q.code), scope)  # our own program, not a model's
    assert str(scope["x"]) == q.answer
    assert set(re.findall(r"\d+", q.plan)) <= set(re.findall(r"\d+", q.text)) | {"1"}, "the plan knows too much"


@given(SEEDS, st.sampled_from(FACT_FAMILIES))
@settings(max_examples=100, deadline=None)
def test_every_look_up_is_told_by_the_article_it_needs(seed, family):
    world = World(seed, 120)
    q = fact_question(Random(seed), world, family, flat=1.0)
    told = {p.title: p.text for p in world.encyclopaedia()}
    for hop in q.hops:
        assert hop.value in told[hop.subject]
    if q.join == "last":
        assert q.answer == q.hops[-1].value
    else:
        assert q.answer in {h.subject for h in q.hops} or q.answer.isdigit()


def test_the_same_seed_gives_the_same_world():
    assert World(3, 200).encyclopaedia() == World(3, 200).encyclopaedia()
    assert World(3, 200).encyclopaedia() != World(4, 200).encyclopaedia()


def test_names_are_unique_in_a_world():
    world = World(1, 3000)
    names = [e.name for e in world.entities] + [e.alias for e in world.entities if e.alias]
    people = [n for e, n in zip(world.entities, names, strict=False) if e.kind == "person"]
    assert len(set(people)) == len(people)
    assert max(Counter(n.split()[-1] for n in people).values()) > 3, "no namesakes to tell apart"


def test_no_test_question_is_in_a_training_text():
    mix = corpus.Mix(articles=0, cot_facts=400, cot_math=400, reading=50, programs=200, arithmetic=0, agent=100)
    read = {turn for d in corpus.documents(5, mix, lambda p: build_retriever("bm25", p).search) for _, turn in d.turns}
    asked = {p.question for p in tinyworld.problems("test:100")}
    assert not asked & read


def test_hidden_articles_are_in_the_index_alone():
    world = corpus.home()
    hidden = corpus.hidden_names(world)
    assert 0.05 < len(hidden) / len(world.entities) < 0.3
    q = corpus.training_fact(Random(0), world, "hop2", hidden)
    assert not {h.subject for h in q.hops} & hidden
    assert hidden <= {p.title for p in tinyworld.corpus()}


@pytest.mark.parametrize("family", FACT_FAMILIES)
def test_an_agents_transcript_finds_its_way_by_searching(family):
    world, rng = World(8, 150), Random(8)
    made = [doc.agent_facts(rng, fact_question(rng, world, family, 1.0), search_of(world)) for _ in range(12)]
    found = [d for d in made if d is not None]
    assert len(found) >= 10
    for d in found:
        roles = [role for role, _ in d.turns]
        assert roles[:3] == ["system", "user", "assistant"]
        assert roles[-1] == "assistant"
        assert "final_answer(" in d.turns[-1][1]


def test_splits():
    train, test = tinyworld.problems("train:20"), tinyworld.problems("test:10")
    assert {p.family for p in train} == set(tinyworld.IN_DOMAIN)
    assert Counter(p.family for p in test) == dict.fromkeys((*FACT_FAMILIES, *MATH_FAMILIES), 10)
    assert not {p.question for p in train} & {p.question for p in test}
    assert any(is_held_out(f"{n}") for n in range(20))
