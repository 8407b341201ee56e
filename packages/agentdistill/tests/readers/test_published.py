"""The published files themselves: how many rows give a trajectory, and what holds for every one of them."""

from __future__ import annotations

import ast
import builtins
import json
import keyword
import re
from collections import Counter
from functools import cache

import pytest

from agentdistill import scorers
from agentdistill.exchange.readers import Draft, find_reader, read_drafts
from agentdistill.exchange.readers.arithmetic import numbers, numerals, same
from agentdistill.scorers.short import contains

EVERY = 150
"""Of how many programs one is run in the sandbox; GSM8K's are arithmetic alone, and all of those are computed here."""


@cache
def drafts(source: str, method: str) -> tuple[tuple[Draft, ...], Counter[str]]:
    named = find_reader(source, method)
    assert named is not None
    rows = list(read_drafts(named, method))
    return tuple(r for r in rows if isinstance(r, Draft)), Counter(r.reason for r in rows if not isinstance(r, Draft))


@pytest.mark.parametrize(
    ("source", "method", "n", "left_out"),
    [
        ("gsm8k:train", "agent", 6850, {"no equation": 160, "no equation gives the answer": 193,
                                        "a number comes from nowhere": 270}),
        ("gsm8k:train", "cot", 7473, {}),
        ("mwp_reft:all", "agent", 3043, {}),
        ("mwp_reft:all", "cot", 3060, {"a rationale with another answer": 16}),
        ("mwp_reft:free", "agent", 1550, {"a question of ASDiv": 1493}),
        ("mwp_reft:free", "cot", 1564, {"a question of ASDiv": 1501, "a rationale with another answer": 11}),
        ("fireact:hotpotqa", "agent", 499, {"answered without a search": 1}),
        ("fireact:strategyqa", "agent", 356, {"answered without a search": 32, "of another split": 500,
                                              "multiple choice (MMLU)": 456}),
        ("fireact:hotpotqa", "cot", 499, {"answered without a search": 1}),
        ("fireact:strategyqa", "cot", 351, {"answered without a search": 32, "of another split": 500,
                                            "multiple choice (MMLU)": 456, "thoughts that state nothing": 5}),
        ("fireact:cot", "cot", 432, {"multiple choice (MMLU)": 712, "not a chain of thought": 872,
                                     "not rewarded as right": 45, "not thoughts, searches and an answer in turn": 2}),
    ],
)  # fmt: skip
def test_coverage(shared, source, method, n, left_out):
    found, reasons = drafts(source, method)
    assert (len(found), reasons) == (n, left_out)


@pytest.mark.parametrize("source", ["gsm8k:train", "mwp_reft:all"])
def test_no_comment_or_thought_holds_a_number_that_only_the_code_gives(shared, source):
    n = 0
    for draft in drafts(source, "agent")[0]:
        known = numbers(draft.problem.question)
        [turn] = draft.turns
        for said in [turn.thought, *(x[1:] for x in (turn.code or "").splitlines() if x.startswith("#"))]:
            n += bool(said)
            assert all(any(same(a, k) for k in known) for a in numerals(said)), (draft.problem.id, said)
    assert n > 2000


def test_every_program_of_gsm8k_is_arithmetic_with_good_names_and_gives_the_answer(shared):
    allowed = (
        ast.Module, ast.Assign, ast.Expr, ast.Call, ast.Name, ast.Load, ast.Store, ast.BinOp, ast.UnaryOp, ast.USub,
        ast.Constant, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow,
    )  # fmt: skip
    n_numbered = 0
    found = drafts("gsm8k:train", "agent")[0]
    for draft in found:
        code = draft.turns[0].code or ""
        tree = ast.parse(code)
        assert all(isinstance(node, allowed) for node in ast.walk(tree)), code
        names = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        n_numbered += any(n[-1].isdigit() for n in names)
        assert not any(keyword.iskeyword(n) or hasattr(builtins, n) or n == "final_answer" for n in names), names
        said: list[object] = []
        exec(compile(tree, "program", "exec"), {"__builtins__": {}, "final_answer": said.append})
        assert scorers.score("math", str(said[0]), draft.problem.answer).correct, code
    assert n_numbered < 0.05 * len(found), "a student that sees many numbered names counts on for ever"


@pytest.mark.parametrize("source", ["gsm8k:train", "mwp_reft:free"])
def test_programs_run_in_the_sandbox(shared, source, environment):
    some = drafts(source, "agent")[0][::EVERY]
    n_right = 0
    for draft in some:
        workspace = environment.open()
        answer = workspace.run(draft.turns[0].code or "").answer
        workspace.close()
        n_right += scorers.score("math", answer, draft.problem.answer).correct
    assert n_right == len(some) > 9


@pytest.mark.parametrize("split", ["hotpotqa", "strategyqa"])
def test_fireacts_chains_state_facts_and_hold_the_answer(shared, split):
    n_given = 0
    found = drafts(f"fireact:{split}", "cot")[0]
    for draft in found:
        said, _, answer = draft.turns[0].thought.rpartition("\nAnswer: ")
        assert answer == draft.problem.answer
        assert not re.search(r"\bI (?:need|should|will|have)\b|\b(?:search results?|observation|snippet)\b", said), said
        assert said[-1] in '.!?"”)', said
        n_given += answer.lower() in ("yes", "no") or contains(said, answer)
        assert draft.passages
    assert n_given >= len(found) - 1


def test_fireacts_strategyqa_answers_are_the_gold_ones(shared):
    examples = json.loads((shared / "questions" / "strategy_qa_2290.json").read_text())["examples"]
    gold = {e["input"].strip(): e["target"].partition(".")[0].lower() for e in examples}
    asked = [d.problem for d in drafts("fireact:strategyqa", "agent")[0]]
    assert len(asked) == sum(p.question in gold for p in asked)
    assert all(p.answer.lower() == gold[p.question] for p in asked)
