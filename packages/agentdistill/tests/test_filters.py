"""Filters: the paper's three, in order, counted; and how they are found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_traces import made_trace

from agentdistill.errors import UserError
from agentdistill.filters import DEFAULT, filter_traces
from agentdistill.registry import load, names
from agentdistill.types import End, Score, StepStatus, Trace


def trace(correct: bool | None = True, end: End = End.ANSWERED, status: StepStatus = StepStatus.OK) -> Trace:
    made = made_trace(0, n_steps=2)
    steps = (replace(made.steps[0], status=status), made.steps[1])
    return replace(made, steps=steps, end=end, score=None if correct is None else Score(correct, "1", "math"))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (trace(), "kept"),
        (trace(status=StepStatus.EXCEPTION), "kept"),  # the recovery is worth learning
        (trace(status=StepStatus.TIMEOUT), "kept"),
        (trace(correct=False), "right_answer"),
        (trace(correct=None, end=End.FAULT), "right_answer"),
        (trace(status=StepStatus.NO_CODE), "no_parse_error"),
        (trace(status=StepStatus.SYNTAX), "no_parse_error"),
        (trace(end=End.OUT_OF_STEPS), "within_steps"),
        (trace(end=End.OUT_OF_CONTEXT), "within_steps"),
        (trace(correct=False, status=StepStatus.SYNTAX, end=End.OUT_OF_STEPS), "right_answer"),  # counted once
    ],
)
def test_what_is_kept_and_why_not(made: Trace, why: str) -> None:
    kept, counts = filter_traces([made])
    assert counts == {"kept": 0, **dict.fromkeys(DEFAULT, 0), why: 1}
    assert kept == ([made] if why == "kept" else [])


def test_counts_add_up_and_order_stays() -> None:
    traces = [replace(trace(correct=i % 3 > 0), id=str(i)) for i in range(30)]
    kept, counts = filter_traces(traces)
    assert [t.id for t in kept] == [str(i) for i in range(30) if i % 3]
    assert sum(counts.values()) == 30


def test_no_filters_keep_all() -> None:
    assert filter_traces([trace(correct=False)], ())[0] == [trace(correct=False)]


def test_filters_are_found_by_name() -> None:
    assert set(DEFAULT) <= set(names("filters"))
    assert load("filters", "right_answer")(trace())
    with pytest.raises(UserError, match='unknown filter "rigth_answer"; did you mean "right_answer"'):
        load("filters", "rigth_answer")
