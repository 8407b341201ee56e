"""Many callers, one model: batches are as full as can be, and nobody gets what is somebody else's."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill.errors import ModelError
from agentdistill.models.scripted import Scripted
from agentdistill.serve.batching import Batches
from agentdistill.types import Message, Request, Sample, StopReason


class Slow:
    """A lockstep model that echoes, takes a moment, and refuses what says "bad"."""

    name, batch_size, lockstep, context_length = "slow", 4, True, None

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.cancelled = 0

    async def generate(self, requests):
        self.calls.append([r.messages[0].content for r in requests])
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if any("bad" in r.messages[0].content for r in requests):
            raise ModelError("refused")
        return [[Sample(f"{r.messages[0].content}/{i}", StopReason.END_TURN) for i in range(r.n)] for r in requests]

    async def aclose(self) -> None:
        self.closed = True


def ask(text: str, n: int = 1) -> Request:
    return Request((Message("user", text),), n=n)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["good", "bad", "gives up"])), min_size=1, max_size=12))
def test_everybody_gets_their_own(callers):
    async def play() -> None:
        model = Slow()
        batches = Batches(model)
        tasks = [asyncio.create_task(batches.generate([ask(f"{kind} {i}", n)])) for i, (n, kind) in enumerate(callers)]
        await asyncio.sleep(0)
        for task, (_, kind) in zip(tasks, callers, strict=True):
            if kind == "gives up":
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for i, (result, (n, kind)) in enumerate(zip(results, callers, strict=True)):
            if kind == "good":
                assert [s.text for s in result[0]] == [f"good {i}/{k}" for k in range(n)]
            else:
                assert isinstance(result, ModelError if kind == "bad" else asyncio.CancelledError)
        sizes = [[callers[int(t.split()[-1])][0] for t in call] for call in model.calls]
        assert all(sum(s) <= model.batch_size or len(s) == 1 for s in sizes)
        assert not any("gives up" in t for call in model.calls for t in call)

    asyncio.run(play())


def test_those_who_come_while_it_is_busy_share_the_next_call():
    async def play() -> None:
        rows: list[int] = []
        model = Slow()
        batches = Batches(model, rows.append)
        first = asyncio.create_task(batches.generate([ask("first")]))
        await asyncio.sleep(0.012)
        rest = [asyncio.create_task(batches.generate([ask(f"rest {i}")])) for i in range(6)]
        await asyncio.gather(first, *rest)
        assert [len(c) for c in model.calls] == rows == [1, 4, 2]

    asyncio.run(play())


def test_what_nobody_waits_for_any_more_is_stopped():
    async def play() -> None:
        model = Slow()
        batches = Batches(model)
        tasks = [asyncio.create_task(batches.generate([ask(f"{i}")])) for i in range(2)]
        await asyncio.sleep(0.012)
        tasks[0].cancel()
        await asyncio.sleep(0)
        assert model.cancelled == 0, "the other one still waits"
        tasks[1].cancel()
        await asyncio.sleep(0.005)
        assert model.cancelled == 1
        assert [s.text for [s] in await batches.generate([ask("next")])] == ["next/0"]

    asyncio.run(play())


def test_a_model_that_is_not_in_lockstep_is_asked_at_once():
    async def play() -> None:
        model = Scripted("yes")
        batches = Batches(model)
        await asyncio.gather(*(batches.generate([ask("a")]) for _ in range(3)))
        assert len(model.requests) == 3

    asyncio.run(play())


def test_closing_ends_what_is_under_way():
    async def play() -> None:
        batches = Batches(Slow())
        task = asyncio.create_task(batches.generate([ask("a")]))
        await asyncio.sleep(0.012)
        await batches.aclose()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)

    asyncio.run(play())
