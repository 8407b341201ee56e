"""What the models read keeps the protocol that they are later asked to follow."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill import scorers
from agentdistill.environment import Environment
from agentdistill.parse import extract_answer, first_thought, parse_action
from agentdistill.tools import search_tool
from tinyworld import corpus
from tinyworld import documents as doc
from tinyworld import prompts as tiny
from tinyworld.facts import FACT_FAMILIES, FactQuestion, fact_question
from tinyworld.maths import MATH_FAMILIES, MathQuestion, math_question
from tinyworld.world import World


def question(world: World, seed: int, family: str) -> FactQuestion | MathQuestion:
    return (
        fact_question(Random(seed), world, family) if family in FACT_FAMILIES else math_question(Random(seed), family)
    )


@given(st.integers(0, 2**30), st.sampled_from((*FACT_FAMILIES, *MATH_FAMILIES)))
@settings(max_examples=150, deadline=None)
def test_thoughts_end_in_the_answer_and_begin_with_the_plan(world: World, seed: int, family: str) -> None:
    q = question(world, seed, family)
    text = doc.chain_of_thought(q)
    answer = extract_answer(text)
    kind = "math" if q.answer.isdigit() else "short"
    assert scorers.score(kind, answer, q.answer).correct
    assert first_thought(text) == q.plan
    (system, user, said) = doc.cot(q).turns
    opening = tiny.cot(q.text)
    assert [("system", opening[0].content), ("user", opening[1].content)] == [system, user]
    assert said == ("assistant", text)


def test_transcripts_are_what_the_loop_would_leave(world: World, retriever: Any) -> None:
    """Run again in a real sandbox with the real search, every observation is word for word the same."""
    rng = Random(7)
    made: list[tuple[FactQuestion | MathQuestion, doc.Document | None]] = []
    for i in range(40):
        family = (*FACT_FAMILIES, *MATH_FAMILIES)[i % 8]
        q = question(world, i, family)
        is_fact = isinstance(q, FactQuestion)
        made.append((q, doc.agent_facts(rng, q, retriever.search) if is_fact else doc.agent_math(rng, q)))
    whole = [(q, d) for q, d in made if d is not None]
    assert len(whole) > 30
    mended = 0
    with Environment([search_tool(retriever, doc.N_PASSAGES)], mode="process") as environment:
        for q, document in whole:
            opening = [(m.role, m.content) for m in tiny.agent(q.text, environment.tools)]
            assert list(document.turns[:2]) == opening
            mended += _replay(environment, q, document)
    assert mended


def _replay(environment: Environment, q: FactQuestion | MathQuestion, document: doc.Document) -> bool:
    """Whether the transcript holds an error that was mended."""
    workspace = environment.open()
    turns = list(document.turns[2:])
    for i, (role, text) in enumerate(turns):
        if role == "user":
            continue
        assert text.startswith(tiny.THOUGHT)
        code = parse_action(text)
        assert code is not None
        done = workspace.run(code)
        if i == len(turns) - 1:
            assert done.answer is not None
            assert scorers.score("math" if q.answer.isdigit() else "short", done.answer, q.answer).correct
        else:
            assert turns[i + 1] == ("user", tiny.observation(done.observation))
    workspace.close()
    return any("Error: " in text for role, text in turns if role == "user")


def test_a_transcript_is_not_made_where_search_finds_nothing(world: World) -> None:
    q = question(world, 3, "hop2")
    assert isinstance(q, FactQuestion)
    assert doc.agent_facts(Random(0), q, lambda query, k: []) is None


def test_programs_end_with_the_answer_in_whatever_layout() -> None:
    layouts = set()
    with Environment(mode="process") as environment:
        for seed in range(30):
            rng = Random(seed)
            q = math_question(rng, "word")
            (_, system), _, (role, text) = doc.program(rng, q).turns
            code = parse_action(text)
            assert role == "assistant"
            assert code is not None
            assert q.plan in text
            workspace = environment.open()
            assert workspace.run("show = tell = print").status.value == "ok"
            assert workspace.run(code + ("\nprint(result)" if "result" in code else "")).observation == q.answer
            workspace.close()
            layouts.add((system, text.partition(q.plan)[0]))
    assert len(layouts) > 10
    assert doc.output(q).turns[-1] == ("assistant", q.answer)


def test_sums_are_true() -> None:
    rng = Random(0)
    for _ in range(50):
        for line in doc.arithmetic(rng).turns[0][1].splitlines():
            a, sign, b, _, c = line.split()
            do = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__truediv__}[sign]
            assert int(c) == do(int(a), int(b))


SMALL = corpus.Mix(
    articles=150,
    cot_facts=60,
    cot_math=60,
    reading=30,
    talks=20,
    notes=20,
    names_in_python=40,
    repetitions=10,
    programs=20,
    arithmetic=5,
    agent=12,
)


@pytest.fixture(scope="module")
def read() -> list[doc.Document]:
    from agentdistill.retrieval import build_retriever

    return list(corpus.documents(3, SMALL, lambda passages: build_retriever("bm25", passages).search))


def test_a_mix_is_what_it_says_and_the_same_for_a_seed(read: list[doc.Document]) -> None:
    from agentdistill.retrieval import build_retriever

    assert len(read) == sum(getattr(SMALL, name) for name in SMALL.__slots__)
    again = corpus.documents(3, SMALL, lambda passages: build_retriever("bm25", passages).search)
    assert list(islice(again, 250)) == read[:250]
    agents = [d for d in read if d.turns[0] == ("system", tiny.AGENT_SYSTEM)]
    assert len(agents) == SMALL.agent


def test_no_test_question_is_in_any_training_text(read: list[doc.Document]) -> None:
    from tinyworld.task import problems

    asked = {p.question for p in problems("test:60")}
    text = "\n".join(text for d in read for _, text in d.turns)
    assert not [q for q in asked if q in text]
    assert not asked & {p.question for p in problems("train:60")}


def test_hidden_articles_are_in_no_training_text(read: list[doc.Document]) -> None:
    world = corpus.home()
    hidden = {p.text for e in world.entities if e.hidden for p in [world.article(e, Random(0))]}
    titles = {e.name for e in world.entities if e.hidden and e.kind == "work"}
    plain = [d.turns[0][1] for d in read if d.turns[0][0] == ""]
    assert hidden
    assert not [t for t in titles if any(text.startswith(t) for text in plain)]
