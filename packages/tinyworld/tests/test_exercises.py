"""The texts that teach copying say nothing that is not so, and nothing that is not there to be copied."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentdistill.environment import Environment
from agentdistill.parse import parse_action
from tinyworld import exercises
from tinyworld.documents import conclusion, statement
from tinyworld.facts import FACT_FAMILIES, fact_question
from tinyworld.world import World

seeds = st.integers(0, 2**30)


@given(seeds)
def test_a_repetition_says_what_was_said(seed: int) -> None:
    (_, (_, said), (role, again)) = exercises.repetition(Random(seed)).turns
    assert role == "assistant"
    assert said == again


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_notes_hold_every_fact_of_their_passages_and_no_other(world: World, retriever: Any, seed: int) -> None:
    rng = Random(seed)
    passages = retriever.search(rng.choice(world.entities).name, rng.randint(1, 3))
    (_, _, (_, told)) = exercises.notes(world, passages).turns
    text = " ".join(p.text for p in passages)
    by_name = {e.name: e for e in world.entities}
    wanted = sum(1 if p.title not in by_name else len(exercises.facts_of(world, by_name[p.title])) for p in passages)
    lines = told.split("\n")
    assert len(lines) == wanted
    for line in lines:
        assert line.rstrip(".").split(" is ")[-1].removeprefix("another name of ") in text


@given(seeds, st.sampled_from(FACT_FAMILIES))
@settings(max_examples=40, deadline=None)
def test_a_talk_follows_its_plan_through_texts_to_the_answer(
    world: World, retriever: Any, seed: int, family: str
) -> None:
    rng = Random(seed)
    q = fact_question(rng, world, family)
    assume(all(any(p.title == h.subject for p in retriever.search(h.subject, 4)) for h in q.hops))
    _, (_, asked), (_, plan), *turns = exercises.talk(rng, q, retriever.search).turns
    assert asked == q.text
    assert q.plan in plan
    assert [role for role, _ in turns] == ["user", "assistant"] * len(q.hops)
    texts, replies = turns[::2], turns[1::2]
    for hop, (_, given_text), (_, reply) in zip(q.hops, texts, replies, strict=True):
        assert hop.value in given_text
        assert statement(hop) in reply
    assert q.answer in replies[-1][1].rpartition(conclusion(q)[-1] if conclusion(q) else statement(q.hops[-1]))[2]


def test_python_on_names_runs_and_does_what_was_asked(world: World) -> None:
    rng = Random(3)
    table = {"get": "def get(a, b): return a + b", "table": "table = get", "read": "read = get"}
    n_written = n_read = 0
    with Environment(mode="process") as environment:
        for _ in range(60):
            (system, (_, asked), (_, answer)) = exercises.python_on_names(rng, world).turns
            workspace = environment.open()
            if system[1] == "Write Python.":
                n_written += 1
                code = parse_action(answer)
                assert code is not None
                workspace.run("\n".join(table.values()))
                done = workspace.run(code)
                assert done.status.value == "ok", done.observation
                for piece in code.split('"')[1::2]:
                    assert piece in asked
            else:
                n_read += 1
                assert workspace.run(asked).observation == answer
            workspace.close()
    assert min(n_written, n_read) > 5
