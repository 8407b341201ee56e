"""Answers and what happens on the way to them, as OpenAI's objects: whole completions, and streams of chunks."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agentdistill.serve._schema import Choice, Completion, CompletionUsage, ReplyMessage
from agentdistill.serve.agent import Chosen, Ended, Event, Tried, Wrote
from agentdistill.serve.outcome import CLIENT_GONE, Refused, answer_text, client_gone, trace_of
from agentdistill.types import Candidate, End, Sample, Step, StopReason, Trace
from agentdistill.verify.judging import VerifiedAnswer, explain, facts

Finish = Literal["stop", "length"]
_CODE = re.compile(r"\s*(?:Code:\s*)?(?:```|<code>).*", re.DOTALL)


def thought_of(content: str) -> str:
    """What a reply says before its code."""
    return _CODE.sub("", content, count=1).strip().removeprefix("Thought:").strip()


def step_facts(step: Step) -> dict[str, Any]:
    """A step as plain values for a client that shows it."""
    return {
        "thought": thought_of(step.reply.content),
        "code": step.code,
        "status": step.status.value,
        "observation": step.observation.content if step.observation is not None else None,
        "tool_calls": [
            {"name": c.name, "arguments": c.arguments, "result": c.result, "ok": c.ok} for c in step.tool_calls
        ],
        "candidates": [_candidate(c) for c in step.candidates],
    }


def _candidate(c: Candidate) -> dict[str, Any]:
    """A candidate that lost the vote."""
    facts = {"thought": thought_of(c.content), "content": c.content, "status": c.status.value}
    return {**facts, "observation": c.observation, "answer": c.answer}


def step_text(step: Step) -> str:
    """A step as text: what was written, and what came of it."""
    seen = step.observation.content.strip() + "\n" if step.observation is not None else ""
    lost = f"(chosen among {len(step.candidates) + 1} candidates)\n" if step.candidates else ""
    return f"{step.reply.content.strip()}\n{lost}{seen}\n"


def trajectory_text(place: int, trace: Trace) -> str:
    """One of several trajectories as text."""
    steps = "".join(step_text(s) for s in trace.steps)
    return f"--- Candidate {place + 1} ---\n{steps}Answer {place + 1}: {answer_text(trace)}\n\n"


def choice_text(found: VerifiedAnswer) -> str:
    """What the checks said of every candidate, and why one was chosen."""
    return "\n".join(["--- Checked ---", *explain(found)]) + "\n"


def choice_facts(found: VerifiedAnswer) -> dict[str, Any]:
    """The choice as plain values for a client that shows it, every candidate with its steps."""
    said = facts(found)
    for candidate, trace in zip(said["candidates"], found.traces, strict=True):
        candidate["steps"] = [step_facts(s) for s in trace.steps]
    return said


@dataclass(slots=True)
class ResponseBuilder:
    """The objects that answer one request under one id."""

    model: str
    stops: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, found: Trace | VerifiedAnswer) -> Completion:
        """The whole answer of an agent: the only trajectory, or the one that was chosen with all the others."""
        trace = trace_of(found)
        message = ReplyMessage(
            content=self.text(trace),
            reasoning_content=reasoning(found),
            steps=[step_facts(s) for s in trace.steps],
            verification=choice_facts(found) if isinstance(found, VerifiedAnswer) else None,
        )
        choice = Choice(index=0, message=message, finish_reason=finish_of(trace))
        return self._whole([choice], usage_of(found))

    def bare_completion(self, samples: Sequence[Sample], prefix: str) -> Completion:
        """The model's own words."""
        choices = [
            Choice(index=i, message=ReplyMessage(content=prefix + s.text), finish_reason=finish_of_sample(s))
            for i, s in enumerate(samples)
        ]
        return self._whole(choices, usage_of_samples(samples))

    def text(self, trace: Trace) -> str:
        """The answer's words, up to the first of the client's stop strings; without an answer, why there is none."""
        return answer_text(trace, self.stops)

    def _whole(self, choices: list[Choice], usage: CompletionUsage) -> Completion:
        warnings = list(self.warnings) or None
        return Completion(
            id=self.id, created=self.created, model=self.model, choices=choices, usage=usage, warnings=warnings
        )

    def first_chunk(self) -> str:
        """The beginning of a stream: who speaks, and what of the request was not done as it says."""
        beside: dict[str, Any] = {"warnings": list(self.warnings)} if self.warnings else {}
        return self.chunk({"role": "assistant", "content": ""}, **beside)

    def chunk(self, delta: dict[str, Any], finish: Finish | None = None, index: int = 0, **beside: Any) -> str:
        """One event of a stream; ``beside`` stands next to its choices."""
        return self._chunk([{"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}], **beside)

    def event_chunk(self, event: Event, vote: bool) -> str:
        """Something that happens on the way: ``reasoning_content`` for any client, ``agent`` for those that show more.

        The data is no part of the delta: clients put a message together by adding up all that its deltas hold.
        """
        return self.chunk({"reasoning_content": event_text(event, vote)}, agent=event_facts(event))

    def usage_chunk(self, usage: CompletionUsage) -> str:
        """What it cost, after the last word."""
        return self._chunk([], usage=usage.model_dump())

    def _chunk(self, choices: list[dict[str, Any]], **beside: Any) -> str:
        head = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}
        return _event({**head, "choices": choices, **beside})


def event_text(event: Event, vote: bool) -> str:
    """Something that happens on the way, as text.

    A reply is told as it is written; of a vote's candidates only the one that was chosen is, when it is known.
    """
    if isinstance(event, Tried):
        return ""  # side by side their words would mix; each is told when it has ended
    if isinstance(event, Ended):
        return trajectory_text(event.place, event.trace)
    if isinstance(event, Chosen):
        return choice_text(event.found)
    if isinstance(event, Wrote):
        return "" if vote else event.replies[0].strip() + "\n"
    text = step_text(event)
    return text if vote else text.removeprefix(event.reply.content.strip() + "\n")


def event_facts(event: Event) -> dict[str, Any]:
    """Something that happens on the way, as plain values."""
    if isinstance(event, Tried):
        return {"candidate": event.place, **event_facts(event.event)}
    if isinstance(event, Ended):
        return {"candidate": event.place, "ended": {"answer": event.trace.answer, "end": event.trace.end.value}}
    if isinstance(event, Chosen):
        return {"verification": choice_facts(event.found)}
    if isinstance(event, Wrote):
        return {"wrote": [{"thought": thought_of(r), "content": r} for r in event.replies]}
    return {"step": step_facts(event)}


def reasoning(found: Trace | VerifiedAnswer) -> str:
    """Everything that was done for an answer, as text."""
    if isinstance(found, Trace):
        return "".join(step_text(s) for s in found.steps).strip()
    told = "".join(trajectory_text(i, t) for i, t in enumerate(found.traces))
    return (told + choice_text(found)).strip()


def error_event(refused: Refused) -> str:
    """An error in a stream that has begun."""
    return _event(refused.body)


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n"


DONE = "data: [DONE]\n\n"
ALIVE = ": still at work\n\n"


def finish_of(trace: Trace) -> Finish:
    """``length`` where something was used up before there was an answer."""
    return "length" if trace.end in (End.OUT_OF_STEPS, End.OUT_OF_CONTEXT) else "stop"


def finish_of_sample(sample: Sample) -> Finish:
    """``length`` for a text that was cut off."""
    return "length" if sample.stop is StopReason.LENGTH else "stop"


def usage_of(found: Trace | VerifiedAnswer) -> CompletionUsage:
    """What an answer cost."""
    n_in, n_out = found.usage.n_prompt_tokens, found.usage.n_new_tokens
    return CompletionUsage(prompt_tokens=n_in, completion_tokens=n_out, total_tokens=n_in + n_out)


def usage_of_samples(samples: Sequence[Sample]) -> CompletionUsage:
    """What a bare completion cost: the prompt counts once."""
    n_in, n_out = samples[0].n_prompt_tokens, sum(s.n_new_tokens for s in samples)
    return CompletionUsage(prompt_tokens=n_in, completion_tokens=n_out, total_tokens=n_in + n_out)


# --- streams ----------------------------------------------------------------------------------------------------------

_ALIVE_S = 15.0
AnswerTask = asyncio.Task[Trace | VerifiedAnswer]
Events = asyncio.Queue[Event | None]


async def first_or_error(
    task: AnswerTask, events: Events, gone: asyncio.Task[None], patience_s: float, why_cancelled: Callable[[], Refused]
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
    replies: ResponseBuilder,
    task: AnswerTask,
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


async def bare_stream(replies: ResponseBuilder, completion: Completion, include_usage: bool) -> AsyncIterator[str]:
    """The bare model's words, in one piece each: they are decoded in batches that nobody sees half of."""
    for choice in completion.choices:
        delta: dict[str, Any] = {"role": "assistant", "content": choice.message.content}
        yield replies.chunk(delta, index=choice.index)
        yield replies.chunk({}, choice.finish_reason, index=choice.index)
    if include_usage:
        yield replies.usage_chunk(completion.usage)
    yield DONE
