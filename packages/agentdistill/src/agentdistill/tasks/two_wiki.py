"""2WikiMultiHopQA (Ho et al. 2020, arXiv 2011.01060): two-step questions made from Wikidata and Wikipedia. Apache-2.0.

From the hub, ``test`` is the whole validation split; the agent-distillation paper's file holds its 500.
"""

from __future__ import annotations

from agentdistill.retrieval import Passage
from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

TWO_WIKI = Benchmark(
    "2wikimultihopqa",
    "short",
    {"test": (Part(("2wikimultihopqa_500*.json",), ("framolfese/2WikiMultihopQA:validation",)),)},
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return TWO_WIKI.problems(split)


def corpus(split: str = "test") -> list[Passage]:
    """The passages that the questions of ``SPLIT[:N][@PATH]`` bring along, in order."""
    return TWO_WIKI.corpus(split)
