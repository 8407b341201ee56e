"""What is learned from, and in which order."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_traces import made_trace, made_traces, source_environment
from tiny_models import build_tokenizer

from agentdistill.errors import DataError, RecipeError
from agentdistill.models.chat import ChatFormat
from agentdistill.training import TrainSettings
from agentdistill.training.trainer import prepare, reading_order
from agentdistill.types import Candidate, StepStatus


def test_only_replies_are_learned_and_candidates_never() -> None:
    chat = ChatFormat(build_tokenizer("smollm2"))
    trace = made_trace(0)
    step = replace(trace.steps[0], candidates=(Candidate("Code: rejected()", StepStatus.EXCEPTION, "error"),))
    data = prepare([replace(trace, steps=(step, *trace.steps[1:]))], chat, 1000)
    assert data.examples == prepare([trace], chat, 1000).examples
    (example,) = data.examples
    learned = [i for i, t in zip(example.input_ids, example.trained, strict=True) if t]
    assert chat.tokenizer.decode(learned) == "".join(s.reply.content + "<|im_end|>" for s in trace.steps)
    assert (data.n_tokens, data.n_trained_tokens) == (len(example.input_ids), len(learned))


def test_reasoning_is_learned_where_asked_and_seen_by_no_later_turn() -> None:
    chat = ChatFormat(build_tokenizer("smollm2"))
    plain = made_trace(0)
    assert len(plain.steps) > 1
    steps = tuple(replace(s, reply=replace(s.reply, reasoning=f"idea {i}")) for i, s in enumerate(plain.steps))
    thoughtful = replace(plain, steps=steps)
    assert prepare([thoughtful], chat, 1000).examples == prepare([plain], chat, 1000).examples
    assert prepare([plain], chat, 1000, reasoning=True).examples == prepare([plain], chat, 1000).examples
    made = prepare([thoughtful], chat, 1000, reasoning=True).examples
    assert len(made) == len(steps)
    for i, (example, step) in enumerate(zip(made, steps, strict=True)):
        learned = [t for t, is_learned in zip(example.input_ids, example.trained, strict=True) if is_learned]
        assert chat.tokenizer.decode(learned) == f"<think>\nidea {i}\n</think>\n\n{step.reply.content}<|im_end|>"
        assert chat.tokenizer.decode(list(example.input_ids)).count("<think>") == 1


def test_what_is_too_long_is_dropped_whole_and_named() -> None:
    chat = ChatFormat(build_tokenizer("smollm2"))
    traces = made_traces(10)
    lengths = {t.id: len(prepare([t], chat, 10**6).examples[0].input_ids) for t in traces}
    limit = sorted(lengths.values())[6]
    data = prepare(traces, chat, limit)
    assert [len(e.input_ids) for e in data.examples] == [n for n in lengths.values() if n <= limit]
    assert data.too_long == tuple(i for i, n in lengths.items() if n > limit)
    assert data.n_traces == 10
    with pytest.raises(DataError, match="of 10 traces, 10 are longer than max_length 5"):
        prepare(traces, chat, 5)
    with pytest.raises(DataError, match="of 0 traces, no model wrote in them"):
        prepare([], chat, 5)


def test_the_hash_sees_ids_and_mask() -> None:
    chat = ChatFormat(build_tokenizer("smollm2"))
    data = prepare(made_traces(3), chat, 1000)
    assert data.digest() == prepare(made_traces(3), chat, 1000).digest()
    first = data.examples[0]
    other = replace(first, trained=(not first.trained[0], *first.trained[1:]))
    assert replace(data, examples=(other, *data.examples[1:])).digest() != data.digest()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=90), st.integers(1, 4), st.integers(1, 9), st.integers(0, 9))
def test_every_example_comes_once_an_epoch(lengths: list[int], epochs: int, batch_size: int, seed: int) -> None:
    order = reading_order(lengths, epochs, batch_size, seed)
    assert Counter(order) == dict.fromkeys(range(len(lengths)), epochs)
    assert order == reading_order(lengths, epochs, batch_size, seed)


def test_like_lengths_stand_together_in_random_order() -> None:
    lengths = [10 + 37 * i % 400 for i in range(400)]

    def padding(order: list[int]) -> float:
        batches = [[lengths[i] for i in order[k : k + 8]] for k in range(0, len(order), 8)]
        return 1 - sum(map(sum, batches)) / sum(len(b) * max(b) for b in batches)

    order = reading_order(lengths, 1, 8, 0)
    assert padding(order) < 0.05 < 0.3 < padding(list(range(400)))
    longest = [max(lengths[i] for i in order[k : k + 8]) for k in range(0, 400, 8)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)
    assert order != reading_order(lengths, 1, 8, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "loar"}, "train.method: 'loar' is not one of lora, full"),
        ({"schedule": "cos"}, "train.schedule"),
        ({"precision": "int8"}, "train.precision"),
        ({"epochs": 0}, "train.epochs must be at least 1, got 0"),
        ({"lora_dropout": 1.0}, r"train.lora_dropout must lie in \[0, 1\)"),
        ({"batch_size": 8, "micro_batch_size": 3}, "not a multiple of micro_batch_size 3"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"max_length": 1}, "max_length must be at least 2"),
    ],
)
def test_settings_are_checked(wrong: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        TrainSettings(**wrong)


def test_the_defaults_are_the_papers() -> None:
    s = TrainSettings()
    assert (s.method, s.lora_rank, s.lora_alpha, s.lora_dropout) == ("lora", 64, 128, 0.05)
    assert (s.learning_rate, s.batch_size, s.epochs, s.max_length) == (2e-4, 8, 2, 10_240)


def test_importing_is_light() -> None:
    """Neither torch nor its company is loaded before it is needed: the command line imports all of these."""
    modules = "agentdistill.models.chat, agentdistill.models.local, agentdistill.training"
    heavy = "{'torch', 'transformers', 'trl', 'datasets', 'peft', 'jinja2', 'numpy'} & set(sys.modules)"
    code = f"import sys, {modules}; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=source_environment())
    assert done.stdout == "set()\n", done.stderr
