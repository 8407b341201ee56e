"""Answers as server-sent events: told as they happen, with a sign of life in between and a clear word at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from agentdistill.serve._replies import ALIVE, DONE, Replies, error_event, finish_of, usage_of
from agentdistill.serve._schema import Completion
from agentdistill.serve.events import Event
from agentdistill.serve.outcome import trace_of
from agentdistill.serve.refused import CLIENT_GONE, Refused, client_gone
from agentdistill.types import Trace
from agentdistill.verify.judging import Answered

_ALIVE_S = 15.0
Task = asyncio.Task[Trace | Answered]
Events = asyncio.Queue[Event | None]


async def first_or_error(
    task: Task, events: Events, gone: asyncio.Task[None], patience_s: float, why_cancelled: Callable[[], Refused]
) -> Event | None:
    """Wait for something to happen, so that what fails at once is told by its status. None where nothing has yet, or
    where all is over already; raises the error of a task that has failed, and Refused for a client that is ``gone``."""
    getting = asyncio.create_task(events.get())
    try:
        await asyncio.wait([getting, gone], timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise client_gone()
        if not getting.done():
            return None
    except BaseException:
        task.cancel()
        raise
    finally:
        getting.cancel()
        gone.cancel()
    first = getting.result()
    if first is None:
        if task.cancelled():
            raise why_cancelled()
        task.result()
        events.put_nowait(None)
    return first


async def stream(
    replies: Replies,
    task: Task,
    events: Events,
    first: Event | None,
    vote: bool,
    include_usage: bool,
    why_cancelled: Callable[[], Refused],
    done: Callable[[str], None],
) -> AsyncIterator[str]:
    """The chunks of an answer. Ending it early, as a client that goes away does, stops the agent."""
    outcome = CLIENT_GONE
    try:
        yield replies.first_chunk()
        if first is not None:
            yield replies.event_chunk(first, vote)
        async for event in _until_over(events):
            yield ALIVE if event is None else replies.event_chunk(event, vote)
        if task.cancelled():
            raise why_cancelled()
        found = task.result()
        trace, outcome = trace_of(found), "answered"
        yield replies.chunk({"content": replies.text(trace)})
        yield replies.chunk({}, finish_of(trace))
        if include_usage:
            yield replies.usage_chunk(usage_of(found))
        yield DONE
    except Refused as e:
        outcome = e.code
        yield error_event(e)
    except Exception:
        outcome = "internal_error"
        yield error_event(Refused(500, outcome, "the server made a mistake; its log says more"))
        raise
    finally:
        task.cancel()
        done(outcome)


async def _until_over(events: Events) -> AsyncIterator[Event | None]:
    """Every event until the end; None whenever there was none for a while."""
    while True:
        try:
            event = await asyncio.wait_for(events.get(), _ALIVE_S)
        except TimeoutError:
            yield None
            continue
        if event is None:
            return
        yield event


async def bare_stream(replies: Replies, completion: Completion, include_usage: bool) -> AsyncIterator[str]:
    """The bare model's words, in one piece each: they are decoded in batches that nobody sees half of."""
    for choice in completion.choices:
        delta: dict[str, Any] = {"role": "assistant", "content": choice.message.content}
        yield replies.chunk(delta, index=choice.index)
        yield replies.chunk({}, choice.finish_reason, index=choice.index)
    if include_usage:
        yield replies.usage_chunk(completion.usage)
    yield DONE
