"""Factual questions: every answer follows from the world by the look-ups that the question says."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyworld.facts import FACT_FAMILIES, FactQuestion, chains, fact_question, is_held_out
from tinyworld.language import relations_of
from tinyworld.world import Entity, World


def entity(world: World, name: str) -> Entity:
    return next(e for e in world.entities if e.name == name)


def looked_up(world: World, question: FactQuestion) -> list[str]:
    """Follow every branch in the world itself; the last values found."""
    ends = []
    for branch in question.branches:
        at = branch[0].subject
        for hop in branch:
            assert hop.subject == at, "a look-up that does not go on from the last"
            if hop.noun == "other name":
                at = next(e.name for e in world.entities if e.alias == at)
            else:
                e = entity(world, at)
                values = [world.value(e, r.name) for r in relations_of(e.kind) if r.noun == hop.noun]
                assert hop.value in values
                at = hop.value
            assert at == hop.value
        ends.append(at)
    return ends


@given(st.integers(0, 2**30), st.sampled_from(FACT_FAMILIES), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=150, deadline=None)
def test_answers_follow_from_the_world(world: World, seed: int, family: str, flat: float) -> None:
    q = fact_question(Random(seed), world, family, flat)
    ends = looked_up(world, q)
    if q.join == "last":
        assert q.answer == ends[0]
    else:
        x, y = map(int, ends)
        assert x != y
        subjects = [branch[-1].subject for branch in q.branches]
        smaller = subjects[x > y]
        larger = subjects[x < y]
        assert q.answer == {"less": smaller, "more": larger, "gap": str(abs(x - y))}[q.join]
        assert len(set(subjects)) == 2
    assert all(branch[0].subject in q.text for branch in q.branches)
    assert all(branch[0].subject in q.plan for branch in q.branches)
    assert q.family == family
    assert "{" not in q.text + q.plan
    assert fact_question(Random(seed), world, family, flat) == q


@pytest.mark.parametrize(
    ("family", "depths"), [("hop2", {2}), ("hop3", {3, 4}), ("riddle", {1, 2, 3}), ("compare", {1, 2})]
)
def test_families_have_their_depths(world: World, family: str, depths: set[int]) -> None:
    rng = Random(0)
    made = [fact_question(rng, world, family) for _ in range(200)]
    seen = {sum(h.noun != "other name" for h in branch) for q in made for branch in q.branches}
    assert seen == depths
    assert len({q.text for q in made}) > 190 * 0.9


def test_the_adversarial_family_is_worded_unusually(world: World) -> None:
    rng = Random(0)
    plain = Counter(fact_question(rng, world, "hop2").text.split()[0] for _ in range(300))
    odd = Counter(fact_question(rng, world, "riddle").text.split()[0] for _ in range(300))
    assert not set(odd) & {"Who"}
    assert sum((plain & odd).values()) < 100


def test_well_known_things_are_asked_about_more_often(world: World) -> None:
    rng = Random(0)

    def mean_weight(flat: float) -> float:
        starts = [fact_question(rng, world, "hop2", flat).branches[0][0].subject for _ in range(300)]
        known = {name: e.weight for e in world.entities for name in (e.name, e.alias) if name}
        return sum(known[s] for s in starts) / len(starts)

    assert mean_weight(0.0) > 1.5 * mean_weight(1.0)


def test_paths_never_go_back() -> None:
    for depth in (2, 3, 4):
        for kind in ("work", "firm", "person", "city", "river"):
            for path in chains(kind, depth):
                names = [r.name for r in path]
                assert len(set(names)) == depth
                assert ("capital", "country") not in pairwise(names)
                assert all(a.target == b.source for a, b in pairwise(path))


def test_a_quarter_is_held_out_by_content_alone() -> None:
    share = sum(is_held_out(f"key {i}") for i in range(4000)) / 4000
    assert 0.22 < share < 0.28
    assert [is_held_out(f"key {i}") for i in range(12)] == [is_held_out(f"key {i}") for i in range(12)]
