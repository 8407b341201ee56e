"""Acting by vote: what wins, when sampling may stop, and that what lost leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.environment import Environment, Execution
from agentdistill.loop import Action, RolloutSettings, canonical, leader, n_to_ask, rollout, tally
from agentdistill.models.scripted import Scripted
from agentdistill.tools import Tool
from agentdistill.types import Consistency, End, Message, Problem, Request, StepStatus, Trace
from tinyworld import prompts as tiny

N = 8
FAILED = "x"


def action(produced: str) -> Action:
    status = StepStatus.EXCEPTION if produced == FAILED else StepStatus.OK
    return Action(Message("assistant", produced), "code", Execution(status, produced))


def groups_of(produced: Sequence[str]) -> list[list[int]]:
    return tally([action(p) for p in produced], lambda a, b: a.execution.observation == b.execution.observation)


outcomes = st.lists(st.sampled_from([FAILED, "a", "b", "c"]), min_size=N, max_size=N)


@given(outcomes)
def test_adaptive_sampling_chooses_what_full_sampling_would(produced: list[str]) -> None:
    n_asked = 0
    while n_more := n_to_ask(groups_of(produced[:n_asked]), n_asked, N):
        n_asked += n_more
    assert n_asked <= N
    assert leader(groups_of(produced[:n_asked])) == leader(groups_of(produced))


@given(outcomes, st.integers(1, N - 1))
def test_sampling_stops_only_when_no_continuation_changes_the_winner(produced: list[str], n_asked: int) -> None:
    seen = produced[:n_asked]
    if not groups_of(seen):
        return
    n_left = N - n_asked
    winners = {leader(groups_of([*seen, *rest])) for rest in product("abcd", repeat=min(n_left, 4))}
    if n_left <= 4:
        assert (n_to_ask(groups_of(seen), n_asked, N) == 0) == (len(winners) == 1)


def test_half_of_the_candidates_are_enough_where_they_agree() -> None:
    assert n_to_ask([], 0, 8) == 4
    assert n_to_ask([[0, 1, 2, 3]], 4, 8) == 0
    assert n_to_ask([], 0, 1) == 1


def test_failures_do_not_vote_and_the_first_is_kept_where_all_fail() -> None:
    assert leader(groups_of([FAILED, FAILED, "b", FAILED])) == 2
    assert leader(groups_of([FAILED] * 4)) == 0


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("1,000", "1000.0", True),
        ("is  12\n", "is 12", True),
        ("1.50 m", "1.5 m", True),
        ("12", "13", False),
        ("version 1.2.3", "version 1.2.30", False),
        ("x1", "x2", False),
        ("1e400", "1e401", False),
    ],
)
def test_numbers_are_compared_by_value(a: str, b: str, same: bool) -> None:
    assert (canonical(a) == canonical(b)) is same


PROBLEM = Problem("p", "How many?", "3", "math")


def write(code: str, thought: str = "so.") -> str:
    return tiny.action(thought, code)


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    def look(place: str) -> str:
        """Look at a place."""
        return f"{place} is near"

    with Environment([Tool.of(look)]) as made:
        yield made


def run(replies: Any, environment: Environment, **vote: Any) -> tuple[Trace, Scripted]:
    model = Scripted(replies)
    settings = RolloutSettings(consistency=Consistency(**vote))
    return asyncio.run(rollout(model, PROBLEM, environment, tiny, settings)), model


def by_turn(*turns: Sequence[str]) -> Any:
    """A script: the candidates of each turn, by the place of the sample."""

    def say(request: Request, i: int) -> str:
        turn = sum(m.role == "assistant" for m in request.messages)
        return turns[turn][i % len(turns[turn])]

    return say


def test_the_majority_acts_and_the_others_stay_on_the_trace(environment: Environment) -> None:
    good, other, broken = write("final_answer(3)"), write("final_answer(4)"), write("1 / 0")
    trace, _ = run(by_turn([broken, other, good, "no code", good, good]), environment, n=6)
    (step,) = trace.steps
    assert trace.end is End.ANSWERED
    assert trace.correct
    assert step.reply.content == good
    assert [c.status for c in step.candidates[:2]] == [StepStatus.EXCEPTION, StepStatus.FINAL]
    assert step.candidates[1].answer == "4"
    assert StepStatus.NO_CODE in [c.status for c in step.candidates]
    assert trace.usage.n_candidates + trace.usage.n_spared == 6


def test_equal_answers_that_are_spelt_differently_vote_together(environment: Environment) -> None:
    candidates = [
        write("final_answer(4)"),
        write("final_answer(3)"),
        write("final_answer(3.0)"),
        write("final_answer(4)"),
    ]
    trace, _ = run(by_turn([*candidates, write("final_answer('3')")]), environment, n=5)
    assert trace.answer == "3"


def test_observation_and_answer_vote_together(environment: Environment) -> None:
    """Two different answers without a print would look alike to a vote on what was printed alone."""
    candidates = [write(f"final_answer({x})") for x in (1, 2, 3, 3)]
    trace, _ = run(by_turn(candidates), environment, n=4)
    assert trace.answer == "3"


def test_what_lost_leaves_no_trace_in_the_state(environment: Environment) -> None:
    """A variable, a module's global and a scratch file, changed by a candidate that lost, are as they were."""
    setup = write("import json\nx = 1\njson.mark = 1\nopen('f', 'w').write('1')\nprint('ready')")
    lost = write("x = 2\njson.mark = 2\nopen('f', 'w').write('2')\nprint('bad')")
    won = write("y = 7\nprint('good')")
    tell = write("print(x, y, json.mark, open('f').read())\nfinal_answer(3)")
    trace, _ = run(by_turn([setup], [lost, won, won], [tell]), environment, n=3)
    assert trace.steps[1].reply.content == won
    assert trace.steps[2].status is StepStatus.FINAL
    look_again = write("print(x, y, json.mark, open('f').read())")
    trace, _ = run(by_turn([setup], [lost, won, won], [look_again], [tell]), environment, n=3)
    assert trace.steps[2].observation is not None
    assert trace.steps[2].observation.content == "Observation: 1 7 1 1"


def test_the_winner_is_not_run_twice(environment: Environment) -> None:
    trace, _ = run(
        by_turn([write("n = 0\nprint(n)")], [write("n += 1\nprint(n)")], [write("final_answer(n)")]), environment
    )
    assert trace.answer == "1"


def test_tool_calls_of_the_winner_alone_are_recorded(environment: Environment) -> None:
    won = write("print(look('Aren'))")
    trace, _ = run(by_turn([write("print(look('Brun'))"), won, won], [write("final_answer(3)")]), environment, n=3)
    assert [c.arguments for c in trace.steps[0].tool_calls] == ['{"args": ["Aren"]}']


def test_where_all_fail_the_first_is_kept_and_its_error_observed(environment: Environment) -> None:
    trace, _ = run(by_turn([write("a = 5\n1 / 0"), "nothing"], [write("final_answer(a - 2)")]), environment, n=4)
    assert trace.steps[0].status is StepStatus.EXCEPTION
    assert trace.steps[0].observation is not None
    assert "ZeroDivisionError" in trace.steps[0].observation.content
    assert trace.correct  # the state is the one the error left, as in an ordinary step


def test_adaptive_and_full_voting_leave_the_same_steps(environment: Environment) -> None:
    turns = ([write(f"print({x})") for x in (1, 2, 2, 1, 2, 2, 2, 1)], [write(f"final_answer({x})") for x in (3, 3, 4)])
    adaptive, few = run(by_turn(*turns), environment)
    full, all_at_once = run(by_turn(*turns), environment, adaptive=False)
    assert [s.reply for s in adaptive.steps] == [s.reply for s in full.steps]
    assert adaptive.usage.n_spared > 0
    assert full.usage.n_spared == 0
    assert sum(r.n for r in few.requests) < sum(r.n for r in all_at_once.requests) == 16
    assert [r.first for r in all_at_once.requests] == [0, 0]


def test_candidates_are_drawn_as_the_paper_draws_them(environment: Environment) -> None:
    _, model = run(by_turn([write("final_answer(3)")]), environment)
    sampling = model.requests[0].sampling
    assert (sampling.temperature, sampling.top_p) == (0.4, 0.8)


def test_the_first_thought_begins_every_candidate_of_the_first_step(environment: Environment) -> None:
    def say(request: Request, i: int) -> str:
        if request.prefix:
            return "\n" + write(f"print({i % 2})", "")
        return write("final_answer(3)") if len(request.messages) > 2 else "Count them.\n\nThere are 3.\n\nAnswer: 3"

    model = Scripted(say)
    settings = RolloutSettings(first_thought_prefix=True, consistency=Consistency(n=3))
    trace = asyncio.run(rollout(model, PROBLEM, environment, tiny, settings))
    first, second = trace.steps
    assert first.reply.prefix == "Thought: Count them."
    assert first.candidates
    assert all(c.content.startswith("Thought: Count them.") for c in first.candidates)
    assert (second.reply.prefix, trace.answer) == ("", "3")
