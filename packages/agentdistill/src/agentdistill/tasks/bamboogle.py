"""Bamboogle (Press et al. 2023, arXiv 2210.03350): 125 two-step questions that no search engine answered. MIT."""

from __future__ import annotations

from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

BAMBOOGLE = Benchmark("bamboogle", "short", {"test": (Part(("bamboogle_125*.json",), ("chiayewken/bamboogle:test",)),)})


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return BAMBOOGLE.problems(split)
