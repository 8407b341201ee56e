"""The shared values: order of a trace's messages, verdicts, sums, and that nothing can be changed."""

from __future__ import annotations

import dataclasses

import pytest
from made_traces import made_trace

from agentdistill import types
from agentdistill.types import End, Score, Usage


def test_messages_are_prompt_then_turns_in_order() -> None:
    trace = made_trace(3, n_steps=3)
    roles = [m.role for m in trace.messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user", "assistant"]
    assert trace.messages[: len(trace.prompt)] == trace.prompt
    assert trace.messages[-1] is trace.steps[-1].reply


def test_unscored_is_none_and_not_wrong() -> None:
    trace = made_trace(0)
    assert trace.correct is None
    for verdict in (True, False):
        scored = dataclasses.replace(trace, score=Score(verdict, "1", "math"))
        assert scored.correct is verdict


def test_usage_adds_up_field_by_field() -> None:
    total = sum((Usage(1, 10, 3, 0), Usage(2, 5, 4, 1)), Usage())
    assert total == Usage(3, 15, 7, 1)


def test_every_shared_value_is_frozen_and_hashable() -> None:
    """A value that two stages hold cannot be changed behind one's back."""
    for cls in vars(types).values():
        if isinstance(cls, type) and dataclasses.is_dataclass(cls):
            assert cls.__dataclass_params__.frozen, cls
    assert len({made_trace(0), made_trace(0), made_trace(1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        made_trace(0).end = End.FAULT  # type: ignore[misc]


def test_error_kinds_do_not_overlap() -> None:
    assert not types.PARSE_ERRORS & types.EXECUTION_ERRORS
    harmless = {types.StepStatus.OK, types.StepStatus.FINAL}
    assert set(types.StepStatus) - harmless == types.PARSE_ERRORS | types.EXECUTION_ERRORS
