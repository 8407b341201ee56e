"""What a stage costs, noted beside the candidates: parameters of its model, seconds a candidate."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentdistill.store import write_json
from agentdistill.verify.models import n_parameters


@contextmanager
def costed(path: Path, stage: str, model: Mapping[str, Any], journal: Path) -> Iterator[None]:
    """Note, beside the candidates, a stage's parameters and the seconds that a candidate took.

    Parts of a stage that was interrupted add up, as long as its journal goes on; one with nothing left to do adds none.
    """
    started, (head, n) = time.monotonic(), _so_far(journal)
    try:
        yield
    finally:
        if journal.exists():
            head_now, n_now = _so_far(journal)
            n_new = n_now - n if head_now == head else n_now
            _note_costs(path, stage, model, head_now, time.monotonic() - started, n_new)


def _so_far(journal: Path) -> tuple[str, int]:
    """What tells a journal from one that takes its place, and how many candidates are in it."""
    key = journal.with_suffix(".key.jsonl")  # a sampler's; a judge's journal has it in its first line
    head, *rows = b"".join(p.read_bytes() for p in (key, journal) if p.exists()).splitlines() or [b""]
    return hashlib.sha256(head).hexdigest()[:16], len(rows)


def _note_costs(path: Path, stage: str, model: Mapping[str, Any], key: str, seconds: float, n: int) -> None:
    beside = path.with_suffix(".costs.json")
    known: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    known.setdefault("n_parameters", {})[stage] = n_parameters(model)
    if n:
        parts = known.setdefault("parts", {})
        part = parts.get(stage, {})
        if part.get("key") == key:
            seconds, n = seconds + part["seconds"], n + part["n"]
        parts[stage] = {"key": key, "seconds": seconds, "n": n}
        known.setdefault("seconds", {})[stage] = seconds / n
    write_json(beside, known)
