"""Traces to training sequences, and the order in which they are read."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agentdistill.errors import DataError
from agentdistill.models.chat import ChatFormat, Example
from agentdistill.store import digest
from agentdistill.types import Message, Source, Trace

_WINDOW = 50  # batches among which sequences of like length are sought


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Sequences to learn from, and what was left out: traces with a sequence above the length limit.

    Ids are 32-bit arrays and marks bytes, so that millions of sequences fit in memory.
    """

    examples: tuple[Example, ...]
    n_traces: int
    too_long: tuple[str, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens of all sequences, read or learned."""
        return sum(len(e.input_ids) for e in self.examples)

    @property
    def n_trained_tokens(self) -> int:
        """Tokens that are learned."""
        return sum(sum(e.trained) for e in self.examples)

    def digest(self) -> str:
        """A content hash of the ids and of which are learned, in order."""
        return digest([[list(e.input_ids), "".join("01"[t] for t in e.trained)] for e in self.examples])


def prepare(traces: Sequence[Trace], chat: ChatFormat, max_length: int, *, reasoning: bool = False) -> TrainingData:
    """Encode every trace as the model would see it. Only what its model wrote is learned, its reasoning where asked.

    A sequence of more than ``max_length`` tokens is dropped whole, with its trace's id noted once. Raises DataError
    where nothing is left.
    """
    examples: list[Example] = []
    too_long: list[str] = []
    for trace in traces:
        made = [e for c in _conversations(trace.messages, reasoning) for e in chat.examples(c)]
        fitting = [Example(array("i", e.input_ids), bytes(e.trained)) for e in made if len(e.input_ids) <= max_length]
        examples += fitting
        if len(fitting) < len(made):
            too_long.append(trace.id)
    if not examples:
        why = f"{len(too_long)} are longer than max_length {max_length}" if too_long else "no model wrote in them"
        raise DataError(f"nothing to train on: of {len(traces)} traces, {why}")
    return TrainingData(tuple(examples), len(traces), tuple(too_long))


def _conversations(messages: tuple[Message, ...], reasoning: bool) -> Iterator[Sequence[Message]]:
    """The conversations to learn from: the whole one, or, with reasoning to learn, one for each turn, since a model is
    not sent the reasoning of its earlier turns."""
    if not reasoning or not any(m.reasoning for m in messages):
        yield messages
        return
    for t, m in enumerate(messages):
        if m.role == "assistant" and m.source is Source.MODEL:
            told = [replace(b, source=Source.PROMPT) if b.source is Source.MODEL else b for b in messages[:t]]
            yield [*told, with_reasoning(m)]


def with_reasoning(reply: Message) -> Message:
    """The turn as its model wrote it, its reasoning in the tags that most models use."""
    if not reply.reasoning:
        return reply
    return replace(reply, content=f"<think>\n{reply.reasoning}\n</think>\n\n{reply.content}", token_ids=None)


def reading_order(lengths: Sequence[int], epochs: int, batch_size: int, seed: int) -> list[int]:
    """Indices for all epochs, to be cut into batches of ``batch_size``: shuffled, with like lengths in one batch.

    Every index comes once an epoch. Only the last batch may be short.
    """
    rng = random.Random(seed)
    order: list[int] = []
    for _ in range(epochs):
        epoch = list(range(len(lengths)))
        rng.shuffle(epoch)
        order += epoch
    out: list[int] = []
    for start in range(0, len(order), _WINDOW * batch_size):
        window = sorted(order[start : start + _WINDOW * batch_size], key=lambda i: -lengths[i])
        batches = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
        last = [batches.pop()] if len(batches[-1]) < batch_size else []
        rng.shuffle(batches)
        out += [i for batch in batches + last for i in batch]
    return out
