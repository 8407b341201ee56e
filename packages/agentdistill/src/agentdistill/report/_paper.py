"""The paper's own figures, to be shown beside a run's: Kang et al., arXiv 2505.17612 v2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Row: TypeAlias = tuple[float | None, ...]

SIZES = ("0.5B", "1.5B", "3B", "7B")
"""Its students: Qwen2.5-Instruct. The teacher is the 32B model."""
ACCURACY: Mapping[str, Row] = {
    "agent": (1.80, 7.94, None, None),
    "cot-distill": (13.64, 21.28, 27.72, 33.54),
    "cot-distill-rag": (15.90, 24.64, 28.53, 32.16),
    "agent-distill": (19.24, 28.06, 33.60, 39.85),
    "agent-distill-prefix-sag": (21.90, 30.55, 36.60, 42.68),
}
"""Method -> accuracy at each of ``SIZES``, per cent, averaged over the eight benchmarks. None: not quoted here."""
TEACHER: Mapping[str, float] = {"cot": 39.54, "agent": 46.00}
WHOLE_METHOD = "agent-distill-prefix-sag"
"""Agent distillation with the first-thought prefix and self-consistent action generation: what the paper proposes."""


def accuracy(method: str, rung: int) -> float | None:
    """The figure of a method at the size of that rank, the smallest being 0; None where there is none."""
    row = ACCURACY.get(method, ())
    return row[rung] if 0 <= rung < len(row) else None


def ratio(method: str, rung: int, baseline: str = "cot-distill") -> float | None:
    """A method at one size over the baseline at the next size up.

    >>> [round(ratio("agent-distill-prefix-sag", rung), 2) for rung in range(3)]
    [1.03, 1.1, 1.09]
    """
    ours, theirs = accuracy(method, rung), accuracy(baseline, rung + 1)
    return None if ours is None or theirs is None else ours / theirs


def difference(method: str, baseline: str, rung: int) -> float | None:
    """A method minus the baseline at one size, in points."""
    ours, theirs = accuracy(method, rung), accuracy(baseline, rung)
    return None if ours is None or theirs is None else ours - theirs
