"""Back-pressure: never more at once than allowed, in the order they came, and nobody is forgotten."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.serve.batching import Gate
from agentdistill.serve.outcome import Refused


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(
    n_running=st.integers(1, 3),
    n_waiting=st.integers(0, 3),
    moves=st.lists(st.tuples(st.sampled_from(["come", "end", "give up"]), st.integers(0, 20)), max_size=40),
)
def test_whatever_comes_and_goes_the_bounds_hold_and_places_are_not_lost(n_running, n_waiting, moves):
    async def play() -> None:
        gate, tasks, inside = Gate(n_running, n_waiting), [], []
        order: list[int] = []

        async def visit(number: int, end: asyncio.Event) -> None:
            async with gate.turn():
                order.append(number)
                inside.append(number)
                try:
                    await end.wait()
                finally:
                    inside.remove(number)

        for number, (move, which) in enumerate(moves):
            if move == "come":
                end = asyncio.Event()
                tasks.append((asyncio.create_task(visit(number, end)), end))
            elif tasks:
                task, end = tasks[which % len(tasks)]
                end.set() if move == "end" else task.cancel()
            await settle()
            assert len(inside) == gate.running <= n_running
            assert gate.waiting <= n_waiting
            assert not gate.waiting or gate.running == n_running, "somebody waits beside a free place"
        for _, end in tasks:
            end.set()
        results = await asyncio.gather(*(t for t, _ in tasks), return_exceptions=True)
        assert all(r is None or isinstance(r, asyncio.CancelledError | Refused) for r in results)
        assert (gate.running, gate.waiting) == (0, 0)
        assert order == sorted(order), "first come, first served"

    asyncio.run(play())


def test_one_too_many_is_told_when_to_come_again():
    async def play() -> None:
        gate = Gate(1, 0)
        async with gate.turn():
            with pytest.raises(Refused) as e:
                async with gate.turn():
                    pass
        assert e.value.status == 429
        assert int(e.value.headers["Retry-After"]) >= 1
        async with gate.turn():
            assert gate.running == 1

    asyncio.run(play())


def test_a_closed_gate_sends_those_who_wait_away_and_lets_the_others_finish():
    async def play() -> None:
        gate, end = Gate(1, 5), asyncio.Event()

        async def visit() -> str:
            async with gate.turn():
                await end.wait()
            return "done"

        tasks = [asyncio.create_task(visit()) for _ in range(3)]
        await settle()
        gate.close()
        end.set()
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert first == "done"
        assert [e.status for e in others] == [503, 503]
        with pytest.raises(Refused, match="shutting down"):
            async with gate.turn():
                pass

    asyncio.run(play())


def test_when_to_come_again_follows_from_how_long_answers_take():
    now = [100.0]

    async def refusal(gate: Gate) -> int:
        with pytest.raises(Refused) as e:
            async with gate.turn():
                pass
        return e.value.retry_after_s

    async def play() -> None:
        gate = Gate(1, 0, lambda: now[0])
        async with gate.turn():
            assert await refusal(gate) == 1, "nothing is known yet"
            now[0] += 30
            assert await refusal(gate) == 30, "an answer takes this long at least"
            now[0] += 30
        async with gate.turn():
            assert await refusal(gate) == 60, "the only one so far took so long"
            now[0] += 10**6
            assert await refusal(gate) == 600, "nobody comes back after days"
        two = Gate(2, 0, lambda: now[0])
        async with two.turn():
            now[0] += 60
        async with two.turn(), two.turn():
            assert await refusal(two) == 30, "of two places one is free sooner"
            two.close(20.0)
            now[0] += 5
            assert await refusal(two) == 15, "the rest of what those who are in may take"
        assert await refusal(two) == 1

    asyncio.run(play())
