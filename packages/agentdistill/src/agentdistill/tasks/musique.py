"""MuSiQue (Trivedi et al. 2022, arXiv 2108.00573): questions composed of two to four steps, with aliases. CC BY 4.0.

From the hub, ``test`` is the whole validation split; the agent-distillation paper's file holds its 500.
"""

from __future__ import annotations

from agentdistill.retrieval import Passage
from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

MUSIQUE = Benchmark(
    "musique",
    "short",
    {"test": (Part(("musique_500*.json", "musique_ans_*dev.jsonl"), ("dgslibisey/MuSiQue:validation",)),)},
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return MUSIQUE.problems(split)


def corpus(split: str = "test") -> list[Passage]:
    """The passages that the questions of ``SPLIT[:N][@PATH]`` bring along, in order."""
    return MUSIQUE.corpus(split)
