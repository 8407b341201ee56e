"""OlymMATH (Sun et al. 2025, arXiv 2503.21380), in English: 100 easy and 100 hard olympiad problems. MIT."""

from __future__ import annotations

from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

OLYMMATH = Benchmark(
    "olymmath",
    "math",
    {"test": (Part(("olymmath_200*.json",), ("RUC-AIBOX/OlymMATH/en-easy:test", "RUC-AIBOX/OlymMATH/en-hard:test")),)},
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return OLYMMATH.problems(split)
