"""The checks that the teacher reads: programs that tell right from wrong, verdicts that are the truth."""

from __future__ import annotations

import contextlib
import io
from random import Random

import pytest

from agentdistill.retrieval import build_retriever
from agentdistill.verify import Verdict
from agentdistill.verify.verifiers import all_claims, expression_in, listed_claims, query_in, ruling, said
from tinyworld import checks
from tinyworld.facts import FACT_FAMILIES, fact_question
from tinyworld.maths import MATH_FAMILIES, math_question
from tinyworld.world import World


def printed(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})  # ours: written by the generator of documents
    return out.getvalue().strip()


@pytest.mark.parametrize("family", MATH_FAMILIES)
def test_a_program_prints_whether_the_solution_is_right(family):
    rng = Random(family)
    n_wrong = 0
    for i in range(80):
        q = math_question(rng, family)
        told = checks.wrong_math(rng, q) if i % 2 else q
        reply = checks.with_code(q, told).turns[-1][1]
        assert printed(reply.removeprefix("```py\n").removesuffix("\n```")) == str(told.answer == q.answer)
        head = checks.in_the_head(q, told)
        assert said(head.turns[-1][1]) is (Verdict.TRUE if told.answer == q.answer else Verdict.FALSE)
        assert f"Answer: {told.answer}" in head.turns[1][1]
        n_wrong += told.answer != q.answer
    assert n_wrong > 30


@pytest.mark.parametrize("family", FACT_FAMILIES)
def test_a_claim_is_held_against_the_passages(family):
    world = World(3, 150)
    search = build_retriever("bm25", world.encyclopaedia()).search
    rng = Random(family)
    verdicts = []
    for i in range(40):
        q = fact_question(rng, world, family)
        told = checks.wrong_facts(rng, world, q) if i % 2 else q
        reply = checks.against_documents(world, q, told, search).turns[-1][1]
        verdicts.append(all_claims(reply))
        assert reply.count("Claim: ") == len(told.hops)
        assert (verdicts[-1] is Verdict.FALSE) == ("-> contradicted" in reply)
        if told is q:
            assert verdicts[-1] is Verdict.TRUE  # what is true is never contradicted
    assert verdicts.count(Verdict.FALSE) > 5  # not every article is among the passages


@pytest.mark.parametrize("family", FACT_FAMILIES)
def test_a_claim_is_looked_up_by_itself_and_held_against_what_that_finds(family):
    world = World(3, 150)
    search = build_retriever("bm25", world.encyclopaedia()).search
    rng = Random(family)
    rulings = {True: [], False: []}
    for i in range(80):
        q = fact_question(rng, world, family)
        told = checks.wrong_facts(rng, world, q) if i % 2 else q
        listed, asked, ruled = checks.claim_by_claim(rng, world, q, told, search)
        claims = listed_claims(listed.turns[-1][1])
        assert len(claims) >= len(set(told.hops))
        claim = asked.turns[1][1].splitlines()[-1].removeprefix("Claim: ")
        assert claim in claims
        assert ruled.turns[1][1].endswith(f"Claim: {claim}")
        if code := expression_in(asked.turns[-1][1]):
            result = printed(f"print({code})")
            assert f"{code} = {result}" in ruled.turns[1][1]
            assert ruled.turns[-1][1].rpartition("? ")[2].startswith(f"{result}. ->")
        else:
            query = query_in(asked.turns[-1][1])
            subject = query.partition("about " if query.startswith("about ") else " of ")[2]
            assert subject in asked.turns[1][1]  # in the claim, or in what was found before
        reply = ruled.turns[-1][1]
        assert ruling(reply) is ruling(reply, by_text=True)
        rulings[told is q].append(ruling(reply))
    assert set(rulings[True]) <= {Verdict.TRUE, Verdict.NOT_FOUND}
    assert rulings[True].count(Verdict.TRUE) > 30  # one query finds its article nearly always
    assert rulings[False].count(Verdict.FALSE) > 5


def test_after_a_contradicted_claim_the_next_is_about_what_documents_say():
    world = World(3, 150)
    search = build_retriever("bm25", world.encyclopaedia()).search
    rng = Random(1)
    n_bridged = 0
    for _ in range(200):
        q = fact_question(rng, world, "hop2")
        told = checks.wrong_facts(rng, world, q)
        _, asked, ruled = checks.claim_by_claim(rng, world, q, told, search)
        known = asked.turns[1][1].splitlines()[:-1]
        if known and told.hops[0].value != q.hops[0].value and "about" not in asked.turns[-1][1]:
            found = known[-1].rpartition("? ")[2].rstrip(".")
            assert asked.turns[-1][1].endswith(f" of {found}")
            n_bridged += "->" in ruled.turns[-1][1]
    assert n_bridged > 20
