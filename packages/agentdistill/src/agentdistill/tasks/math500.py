"""MATH-500 (Lightman et al. 2023, arXiv 2305.20050): 500 test problems of MATH (Hendrycks et al. 2021). MIT."""

from __future__ import annotations

from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

MATH500 = Benchmark("math500", "math", {"test": (Part(("math_500*.json",), ("HuggingFaceH4/MATH-500:test",)),)})


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return MATH500.problems(split)
