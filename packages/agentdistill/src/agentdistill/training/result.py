"""What came of a training run, kept in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of a run.

    ``loss_curve`` holds ``(update, mean loss since the last point)``. ``seconds``, ``tokens_per_s`` (read, not only
    learned) and ``resumed_from`` (an update) tell of the process that finished it.
    """

    out: Path
    n_traces: int
    n_examples: int
    n_tokens: int
    n_trained_tokens: int
    n_too_long: int
    n_steps: int
    final_loss: float
    loss_curve: tuple[tuple[int, float], ...]
    seconds: float = 0.0
    tokens_per_s: float = 0.0
    resumed_from: int | None = None


def read_result(out: Path) -> TrainResult | None:
    """The result of a finished run, from its ``training.json``; None where there is none."""
    try:
        record = json.loads((out / "training.json").read_text(encoding="utf-8"))
        result: dict[str, Any] = record["result"]
    except (OSError, ValueError, KeyError):
        return None
    try:
        timing = json.loads((out / "timing.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        timing = {}
    curve = tuple((int(step), float(loss)) for step, loss in result.pop("loss_curve"))
    return TrainResult(out=out, loss_curve=curve, **result, **timing)
