"""Many episodes at once: the same batches in any order of ending, bounded, and ended cleanly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill.batching import drive, groups_of
from agentdistill.errors import InfrastructureError
from agentdistill.models import Model
from agentdistill.types import Message, Request, Sample, StopReason


class Echo:
    """Says back who asked; remembers its batches and how many calls it had at once."""

    name, context_length = "echo", None

    def __init__(self, lockstep: bool, batch_size: int, wait: bool = False) -> None:
        self.lockstep, self.batch_size = lockstep, batch_size
        self.batches: list[list[str]] = []
        self.now = self.most = 0
        self.cancelled = False
        self._wait = wait

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await (asyncio.Event().wait() if self._wait else asyncio.sleep(0.001))
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.now -= 1
        self.batches.append([r.messages[0].content for r in requests])
        return [[Sample(r.messages[0].content, StopReason.END_TURN)] for r in requests]

    async def aclose(self) -> None: ...


def ask(text: str) -> Request:
    return Request((Message("user", text),))


def episode(i: int, n_turns: int, rng: random.Random | None = None) -> Any:
    async def run(model: Model) -> str:
        for turn in range(n_turns):
            if rng is not None:
                await asyncio.sleep(rng.random() / 500)
            [[sample]] = await model.generate([ask(f"{i}.{turn}")])
            assert sample.text == f"{i}.{turn}"
        return f"episode {i}"

    return run


def go(model: Any, episodes: list[Any], missing: Any = None) -> dict[int, str]:
    done: dict[int, str] = {}
    wanted = range(len(episodes)) if missing is None else missing
    asyncio.run(drive(model, groups_of(model, episodes, wanted), done.__setitem__))
    return done


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.integers(1, 4), st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_lockstep_batches_do_not_hang_on_who_is_quicker(turns: list[int], batch_size: int, seed: int) -> None:
    """Round r of a group holds every member that has an r-th request, in the members' order."""
    model = Echo(lockstep=True, batch_size=batch_size)
    rng = random.Random(seed)
    done = go(model, [episode(i, n, rng) for i, n in enumerate(turns)])
    assert done == {i: f"episode {i}" for i in range(len(turns))}
    expected = []
    for start in range(0, len(turns), batch_size):
        group = list(enumerate(turns))[start : start + batch_size]
        for r in range(max(n for _, n in group)):
            expected.append([f"{i}.{r}" for i, n in group if n > r])
    assert model.batches == expected
    assert model.most <= 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_concurrency_is_bounded(turns: list[int], batch_size: int) -> None:
    model = Echo(lockstep=False, batch_size=batch_size)
    done = go(model, [episode(i, n) for i, n in enumerate(turns)])
    assert len(done) == len(turns)
    assert model.most <= batch_size
    assert all(len(b) == 1 for b in model.batches)
    busy = sum(n > 0 for n in turns)
    assert model.most >= min(2, busy, batch_size)  # and it is used


@given(st.integers(1, 20), st.integers(1, 6), st.data())
def test_groups_are_slices_of_the_whole(n: int, batch_size: int, data: st.DataObject) -> None:
    """A run taken up again forms the batches it would have formed."""
    episodes = [episode(i, 1) for i in range(n)]
    missing = data.draw(st.sets(st.integers(0, n - 1)))
    model = Echo(lockstep=True, batch_size=batch_size)
    whole = [[i for i, _ in g] for g in groups_of(model, episodes, range(n))]
    some = [[i for i, _ in g] for g in groups_of(model, episodes, missing)]
    assert [i for g in whole for i in g] == list(range(n))
    assert some == [g for g in whole if missing & set(g)]
    free = groups_of(Echo(lockstep=False, batch_size=batch_size), episodes, missing)
    assert [i for i, _ in free[0]] == sorted(missing)


@pytest.mark.parametrize("lockstep", [True, False])
def test_one_failing_episode_ends_the_others(lockstep: bool) -> None:
    ended: list[int] = []

    def faithful(i: int) -> Any:
        async def run(model: Model) -> str:
            try:
                for turn in range(1000):
                    await model.generate([ask(f"{i}.{turn}")])
            finally:
                ended.append(i)
            return "never"

        return run

    async def failing(model: Model) -> str:
        await model.generate([ask("f")])
        raise ValueError("broken")

    async def check() -> None:
        model = Echo(lockstep, 4)
        with pytest.raises(ValueError, match="broken"):
            await drive(model, groups_of(model, [faithful(0), failing, faithful(2)], range(3)), lambda i, r: None)
        await asyncio.sleep(0.01)
        assert model.now == 0
        assert len(asyncio.all_tasks()) == 1  # nothing is left running

    asyncio.run(check())
    assert sorted(ended) == [0, 2]


@pytest.mark.parametrize("lockstep", [True, False])
def test_cancelling_reaches_the_model(lockstep: bool) -> None:
    async def check() -> None:
        model = Echo(lockstep, 4, wait=True)
        work = asyncio.ensure_future(drive(model, groups_of(model, [episode(0, 1)], [0]), lambda i, r: None))
        while not model.now:
            await asyncio.sleep(0.001)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.sleep(0)
        assert model.cancelled
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(check())


@pytest.mark.parametrize("lockstep", [True, False])
def test_an_error_in_keeping_a_result_is_raised(lockstep: bool) -> None:
    def full(i: int, result: str) -> None:
        raise InfrastructureError("disk full")

    model = Echo(lockstep, 2)
    with pytest.raises(InfrastructureError, match="disk full"):
        asyncio.run(drive(model, groups_of(model, [episode(i, 2) for i in range(4)], range(4)), full))


def test_a_models_error_reaches_every_episode_of_its_round() -> None:
    class Down(Echo):
        async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
            raise InfrastructureError("down")

    async def careful(model: Model) -> str:
        try:
            await model.generate([ask("x")])
        except InfrastructureError as e:
            return str(e)
        return "answered"

    assert go(Down(True, 3), [careful] * 5) == dict.fromkeys(range(5), "down")


@pytest.mark.parametrize("kind", [tuple, list])
def test_equal_requests_of_a_round_are_asked_once(kind):
    """A template that is a plug-in may give messages as a list, which cannot be hashed."""
    model = Echo(lockstep=True, batch_size=4)

    def one(text: str) -> Any:
        async def run(m: Model) -> str:
            [[sample]] = await m.generate([Request(kind([Message("user", text)]))])
            return sample.text

        return run

    work, done = [one(text) for text in "abab"], {}
    asyncio.run(asyncio.wait_for(drive(model, groups_of(model, work, range(4)), done.__setitem__), 20))
    assert [done[i] for i in range(4)] == list("abab")
    assert model.batches == [["a", "b"]]
