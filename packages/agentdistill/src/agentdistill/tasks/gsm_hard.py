"""GSM-Hard (Gao et al. 2023, arXiv 2211.10435): GSM8K's test problems with large numbers. MIT.

From the hub all 1,319; the agent-distillation paper's file holds its 500. Some gold answers carry floating-point noise.
"""

from __future__ import annotations

from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

GSM_HARD = Benchmark(
    "gsm_hard",
    "math",
    {
        "test": (
            Part(("gsm_hard_500*.json", "gsm_hard*.jsonl", "gsmhardv2.jsonl"), ("reasoning-machines/gsm-hard:train",)),
        )
    },
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return GSM_HARD.problems(split)
