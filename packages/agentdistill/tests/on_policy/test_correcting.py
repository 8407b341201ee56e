"""Corrections: the longest prefix from which the teacher succeeds is kept, read but not learned, and all is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.environment import Environment
from agentdistill.filters import filter_traces
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline.on_policy import as_lesson, correct, n_given, prefixes, teachers_part
from agentdistill.prompts import load_prompt
from agentdistill.store import dumps, from_dict
from agentdistill.types import End, Problem, Request, Source, StepStatus, Trace
from tinyworld import prompts as tiny

PROBLEM = Problem("p", "What is 6 * 7 + 1?", "43", "math")
TEMPLATE = load_prompt("tiny")
SETTINGS = RolloutSettings(max_steps=5)


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with Environment(mode="process") as e:
        yield e


def act(environment: Environment, *codes: str) -> Trace:
    """A student that writes these, one a step."""
    student = Scripted([tiny.action("Mine.", code) for code in codes], name="student")
    settings = replace(SETTINGS, max_steps=len(codes))
    return asyncio.run(rollout(student, PROBLEM, environment, TEMPLATE, settings))


def teacher(request: Request) -> str:
    """Goes on from ``x`` where there is one, and trusts it; begins with it otherwise."""
    said = [m.content for m in request.messages if m.role == "assistant"]
    code = "final_answer(x + 1)" if any("x = " in text for text in said) else "x = 6 * 7\nprint(x)"
    return tiny.action("The teacher's.", code)


def accept(trace: Trace) -> bool:
    return bool(filter_traces([trace])[0])


def corrected(environment: Environment, trace: Trace, tries: int = 9, model: Scripted | None = None) -> Trace:
    assert trace.correct is False
    who = model or Scripted(teacher, name="teacher")
    return asyncio.run(correct(who, trace, environment, TEMPLATE, SETTINGS, accept, tries))


@pytest.mark.parametrize(
    ("codes", "n_kept", "n_own"),
    [
        (("x = 6 * 7\nprint(x)", "final_answer(x)"), 1, 1),  # right until its last step
        (("x = 6 + 7\nprint(x)", "final_answer(x + 1)"), 0, 2),  # wrong from the start
        (("print(6)", "x = 42", "x = 41", "print(x)", "final_answer(x)"), 2, 1),  # lost at its third step
        (("print(6)", "1 / 0", "final_answer(6)"), 2, 2),  # an error that can be mended is kept
        (("final_answer(7)",), 0, 2),
    ],
)
def test_the_longest_prefix_that_can_be_mended_is_kept(
    environment: Environment, codes: tuple[str, ...], n_kept: int, n_own: int
) -> None:
    student = act(environment, *codes)
    model = Scripted(teacher, name="teacher")
    trace = corrected(environment, student, model=model)
    assert trace.correct
    assert (n_given(trace), len(teachers_part(trace).steps)) == (n_kept, n_own)
    assert [s.code for s in trace.steps[:n_kept]] == list(codes[:n_kept])
    assert trace.prompt == student.prompt
    assert (trace.id, trace.model, trace.method) == ("p", "teacher", "on-policy")
    assert from_dict(Trace, __import__("json").loads(dumps(trace))) == trace
    # Every request of the teacher is counted, those of tries that failed too.
    assert trace.usage.n_requests == len(model.requests)
    assert trace.usage.n_requests >= (len(codes) - 1 - n_kept) + n_own


def test_only_what_the_teacher_wrote_is_learned_unless_asked(environment: Environment) -> None:
    trace = corrected(environment, act(environment, "x = 6 * 7", "1 / 0", "x = 42", "final_answer(0)"))
    assert n_given(trace) == 3

    def learned(t: Trace) -> list[bool]:
        return [m.source is Source.MODEL for m in t.messages if m.role == "assistant"]

    assert learned(as_lesson(trace, "teacher")) == [False, False, False, True]
    assert learned(as_lesson(trace, "both")) == [True, False, True, True]  # but not the step that raised
    assert trace.steps[1].status is StepStatus.EXCEPTION


def test_the_teacher_works_in_the_state_that_the_student_left(environment: Environment) -> None:
    """The variable is there, with the value that code of the first step gave it."""
    secret = Scripted(tiny.action("From the state.", "final_answer(hidden + 1)"), name="teacher")
    trace = corrected(environment, act(environment, "hidden = 40 + 2", "final_answer(1)"), model=secret)
    assert trace.correct
    assert n_given(trace) == 1


def test_steps_that_cannot_be_done_again_are_not_built_on(environment: Environment) -> None:
    trace = corrected(environment, act(environment, "import time\nx = 42\nprint(time.time_ns())", "final_answer(0)"))
    assert trace.correct
    assert n_given(trace) == 0


def test_where_no_try_helps_the_cost_is_kept_and_nothing_passes(environment: Environment) -> None:
    lost = Scripted(tiny.action("No idea.", "final_answer(1)"), name="teacher")
    trace = corrected(environment, act(environment, "x = 1", "x = 2", "final_answer(2)"), model=lost)
    assert trace.correct is False
    assert not accept(teachers_part(trace))
    assert trace.usage.n_requests == len(lost.requests) == 3
    assert trace.usage.n_new_tokens > 0


def test_a_fault_of_the_world_is_one(environment: Environment) -> None:
    from agentdistill.errors import InfrastructureError

    down = Scripted(InfrastructureError("the server is down"), name="teacher")
    trace = corrected(environment, act(environment, "x = 1", "final_answer(2)"), model=down)
    assert (trace.end, trace.fault, trace.correct) == (End.FAULT, "the server is down", None)


@given(st.integers(0, 12), st.integers(1, 14))
def test_prefixes_go_down_from_all_but_the_last_step_to_none(n: int, tries: int) -> None:
    found = prefixes(n, tries)
    longest = max(0, n - 1)
    assert found[0] == longest
    assert found == sorted(set(found), reverse=True)
    assert len(found) == min(tries, longest + 1)
    if tries > 1:
        assert found[-1] == 0
