"""The fictional world: the same for a seed, whole, linked, and told in full by its encyclopaedia."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyworld.language import RELATIONS, relations_of
from tinyworld.names import N_WORDS, STOCK, Namer
from tinyworld.world import World


@given(st.integers(0, 2**40), st.integers(40, 400))
@settings(max_examples=15, deadline=None)
def test_a_seed_makes_one_world(seed: int, size: int) -> None:
    a, b = World(seed, size), World(seed, size)
    assert a.encyclopaedia() == b.encyclopaedia()
    assert [e.weight for e in a.entities] == [e.weight for e in b.entities]
    assert 0.8 * size < len(a.entities) < 1.3 * size + 10
    assert World(seed + 1, size).encyclopaedia() != a.encyclopaedia()


def test_the_famous_are_linked_to_more_often() -> None:
    world = World(5, 2000)
    linked = Counter(v for e in world.entities for v in e.facts.values() if isinstance(v, int))
    people = sorted(world.by_kind["person"], key=lambda i: -world.entities[i].weight)
    tenth = len(people) // 10
    assert sum(linked[i] for i in people[:tenth]) > sum(linked[i] for i in people[tenth:]) > 0


def test_every_entity_has_every_fact_of_its_kind(world: World) -> None:
    for e in world.entities:
        assert set(e.facts) == {r.name for r in relations_of(e.kind)}
        for relation in relations_of(e.kind):
            if relation.target:
                assert world.follow(e, relation.name).kind == relation.target
                assert world.value(e, relation.name) == world.follow(e, relation.name).name
            elif relation.numeric:
                assert world.value(e, relation.name).isdigit()
            else:
                assert world.value(e, relation.name)


def test_only_entities_are_followed(world: World) -> None:
    river = world.entities[world.by_kind["river"][0]]
    with pytest.raises(AssertionError, match="is a value, not an entity"):
        world.follow(river, "length")


def test_names_are_unique_other_names_included(world: World) -> None:
    names = [e.name for e in world.entities] + [e.alias for e in world.entities if e.alias]
    assert len(set(names)) == len(names)


def test_articles_tell_all_facts_and_begin_with_the_name(world: World) -> None:
    rng = Random(1)
    for e in world.entities[:120]:
        texts = {world.article(e, rng).text for _ in range(4)}
        for text in texts:
            # Two of a country's wordings leave its name to the title; no other kind's do.
            assert e.kind == "country" or e.name in text.split(". ")[0]
            assert all(world.value(e, r) in text for r in e.facts)
            assert "{" not in text
        assert len(texts) > 1 or len(e.facts) < 2


def test_the_encyclopaedia_holds_every_article_once_and_redirects_last(world: World) -> None:
    passages = world.encyclopaedia()
    aliases = [e for e in world.entities if e.alias]
    assert [p.title for p in passages[: len(world.entities)]] == [e.name for e in world.entities]
    assert [p.title for p in passages[len(world.entities) :]] == [e.alias for e in aliases]
    assert all(e.name in p.text for e, p in zip(aliases, passages[-len(aliases) :], strict=True))


def test_some_articles_are_read_often_and_some_never(world: World) -> None:
    weights = sorted((e.weight for e in world.entities), reverse=True)
    assert weights[0] > 5 * weights[-1]
    share = sum(e.hidden for e in world.entities) / len(world.entities)
    assert 0.08 < share < 0.25
    assert not any(e.hidden for e in World(5, 100).entities)


def test_wordings_have_room_for_what_they_are_about() -> None:
    for relation in RELATIONS.values():
        assert relation.np
        assert relation.ask
        assert len(relation.fact) > 1
        for wording in (*relation.np, *relation.rare, *relation.ask, *relation.rare_ask):
            assert wording.count("{x}") == 1, wording
        for wording in relation.fact:
            assert wording.count("{y}") == 1, wording


def test_the_stock_of_words_is_fixed_and_runs_dry_in_words() -> None:
    assert len(set(STOCK)) == len(STOCK) == N_WORDS
    namer = Namer(Random(0), 4)
    for _ in range(N_WORDS // 2):
        namer.name("mountain")

    def all_the_rest() -> None:
        for _ in range(N_WORDS):
            namer.name("mountain")

    with pytest.raises(RuntimeError, match="no free name left for mountain"):
        all_the_rest()
