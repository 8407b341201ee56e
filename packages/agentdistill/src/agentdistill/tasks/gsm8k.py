"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): word problems of grade school, 7,473 to train and 1,319 to test. MIT."""

from __future__ import annotations

from agentdistill.tasks._benchmark import Benchmark, Drawn, Part, Values, plain_row
from agentdistill.types import Problem


def _read(values: Values) -> Drawn:
    """The answer stands behind ``####``, after its solution."""
    drawn = plain_row(values)
    return Drawn(drawn.question, tuple(a.rpartition("####")[2].strip() for a in drawn.answers))


GSM8K = Benchmark(
    "gsm8k",
    "math",
    {
        "test": (Part(("gsm8k_test*.jsonl", "test.jsonl"), ("openai/gsm8k/main:test",)),),
        "train": (Part(("gsm8k_train*.jsonl", "train.jsonl"), ("openai/gsm8k/main:train",)),),
    },
    _read,
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test, train."""
    return GSM8K.problems(split)
