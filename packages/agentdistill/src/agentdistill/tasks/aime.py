"""AIME 2022 to 2024: 90 competition problems whose answers are whole numbers from 0 to 999."""

from __future__ import annotations

from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

AIME = Benchmark("aime", "math", {"test": (Part(("aime_90*.json",), ("AI-MO/aimo-validation-aime:train",)),)})


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return AIME.problems(split)
