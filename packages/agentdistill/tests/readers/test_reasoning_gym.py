"""The solutions of gsm_symbolic as programs and as chains of thought."""

from __future__ import annotations

import ast
import itertools
from collections import Counter

import pytest

from agentdistill.errors import UserError
from agentdistill.exchange.readers import Draft, LeftOut, find_reader, read_drafts, reasoning_gym
from agentdistill.exchange.readers.arithmetic import numbers, same
from agentdistill.parse import extract_answer
from agentdistill.problems.reasoning_gym import problems

pytest.importorskip("reasoning_gym", reason="the extra agentdistill[gym] is not installed")
N = 400


@pytest.fixture(scope="module")
def programs() -> list[Draft | LeftOut]:
    named = find_reader(f"reasoning_gym:train:{N}", "agent")
    assert named is not None
    return list(read_drafts(named, "agent"))


def test_programs_are_run_and_give_the_gold_answer(read):
    found = read("reasoning_gym:train:60")
    assert len(found.traces) > 35
    assert len(found.traces) + sum(found.left_out.values()) == 60
    assert all(t.correct and t.problem.kind == "gym" for t in found.traces)
    first = found.traces[0]
    assert dict(first.notes) == {
        "source": f"reasoning_gym:{first.id}", "program": "equations", "thought": "sentence",
        "observations": "executed",
    }  # fmt: skip
    assert first.steps[0].reply.content == f"```python\n{first.steps[0].code}\n```"


def test_its_questions_are_those_of_the_tasks_training_split(programs, read):
    task = {p.id: p for p in problems(f"train:gsm_symbolic:{N}")}
    made = [d.problem for d in programs if isinstance(d, Draft)]
    assert all(task[p.id] == p for p in made)
    held_out = {dict(p.labels)["template"] for p in problems("test:gsm_symbolic:200")}
    assert {dict(p.labels)["template"] for p in made} & held_out == set()
    assert [t.problem for t in read("reasoning_gym:train:20", method="cot").traces] == list(task.values())[:20]


def test_a_chain_of_thought_is_the_solution_and_its_answer(read):
    found = read("reasoning_gym:train:60", method="cot")
    assert len(found.traces) == 60
    for trace in found.traces:
        said = trace.steps[0].reply.content
        assert "####" not in said
        assert len(said.splitlines()) > 1
        assert extract_answer(said) == trace.problem.answer
        assert trace.correct


def test_rows_without_a_program_are_counted_by_reason(programs):
    reasons = Counter(d.reason for d in programs if isinstance(d, LeftOut))
    assert set(reasons) == {
        "no equation", "no equation gives the answer", "a number comes from nowhere",
        "not made as its template's other programs",
    }  # fmt: skip
    assert 0.7 * N < N - reasons.total() < 0.9 * N


def test_a_templates_programs_are_made_alike_of_numbers_that_the_question_gives(programs):
    made = [(dict(d.problem.labels)["template"], d) for d in programs if isinstance(d, Draft)]
    for template, group in itertools.groupby(sorted(made, key=lambda m: m[0]), key=lambda m: m[0]):
        drafts = [d for _, d in group]
        codes = [d.turns[0].code or "" for d in drafts]
        assert len({len(ast.parse(c).body) for c in codes}) == 1, template
        everywhere = set.intersection(*(set(literals(c)) for c in codes))
        for draft, code in zip(drafts, codes, strict=True):
            asked = numbers(draft.problem.question.translate(str.maketrans("€£", "$$")))
            strange = [n for n in literals(code) if not any(same(n, k) or same(100 * n, k) for k in asked)]
            assert len(drafts) == 1 or set(strange) <= everywhere, (template, code)


def literals(code: str) -> list[float]:
    found = (n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant))
    return [float(v) for v in found if isinstance(v, int | float)]


def test_only_its_training_split_can_be_read():
    with pytest.raises(UserError, match='reasoning_gym has no split "test"; there are: train'):
        find_reader("reasoning_gym:test:5", "agent")
    assert reasoning_gym.parts("train") == ()
