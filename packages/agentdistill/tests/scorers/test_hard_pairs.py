"""Two hundred pairs that a careful person can judge and a careless scorer cannot.

They were written before the scorers were tuned. A third of them (``held_out``) was not scored until that was over.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentdistill import scorers


def pairs_of(name: str) -> list[dict[str, Any]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


PAIRS = pairs_of("hard_pairs.jsonl")


def is_right(pair: dict[str, Any]) -> bool:
    score = scorers.score(pair["kind"], pair["prediction"], pair["answer"], tuple(pair.get("aliases", ())))
    return score.correct is pair["correct"]


def test_the_pairs_are_what_they_should_be() -> None:
    assert len(PAIRS) == 200
    assert len({(p["kind"], p["prediction"], p["answer"]) for p in PAIRS}) == 200
    assert sum(p["held_out"] for p in PAIRS) == 66
    assert {p["kind"] for p in PAIRS} == {"math", "short"}
    assert min(Counter(p["correct"] for p in PAIRS).values()) >= 60  # neither yes nor no to everything scores well
    assert min(Counter(p["category"] for p in PAIRS).values()) >= 10
    assert all(p["why"] for p in PAIRS)


@pytest.mark.parametrize("held_out", [False, True])
def test_they_are_graded_as_a_careful_person_would(held_out: bool) -> None:
    pairs = [p for p in PAIRS if p["held_out"] is held_out]
    wrong = [p for p in pairs if not is_right(p)]
    assert len(wrong) <= 0.02 * len(pairs), wrong


def test_what_was_found_later_stays_right() -> None:
    """Two more batches, each written in one go and only then scored; what they showed was mended."""
    pairs = pairs_of("more_pairs.jsonl")
    wrong = [p for p in pairs if not is_right(p)]
    assert len(wrong) <= 0.02 * len(pairs), wrong
