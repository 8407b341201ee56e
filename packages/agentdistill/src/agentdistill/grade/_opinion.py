"""What one grader says of one answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Opinion:
    """A verdict and why; ``correct`` is None where the grader cannot tell."""

    correct: bool | None
    reason: str
