"""Episodes that agents saved, a file each: ATIF documents, as Harbor's jobs hold them, and runs of smolagents.

``atif:all@FOLDER`` and ``smolagents:all@FOLDER`` read every file below the folder; ``@FILE`` reads one. What the model
said is kept as it is. A trial of Harbor has its verdict in ``result.json``, beside the folder of its trajectory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError
from agentdistill.exchange import read_trajectories
from agentdistill.exchange.readers.collection import LeftOut
from agentdistill.types import Score, Trace


@dataclass(frozen=True, slots=True)
class Saved:
    """A reader of files below a folder. ``names`` are globs, of which the first that any file has counts."""

    name: str
    names: tuple[str, ...]
    SPLITS = {"all": ("agent",)}  # noqa: RUF012  read only

    def drafts(self, split: str, path: str | None, method: str) -> Iterator[Trace | LeftOut]:
        """The traces of every file, in the order of paths. Raises DataError without a path, or a file below it."""
        if path is None:
            raise DataError(f"{self.name}: no file given; write {self.name}:{split}@PATH, a file or a folder of files")
        root = Path(path).expanduser()
        found = [sorted(root.rglob(name)) for name in self.names] if root.is_dir() else [[root]]
        files = next(filter(None, found), [])
        if not files:
            raise DataError(f"{root}: no file of {self.name} in it (looked for {', '.join(self.names)})")
        for file in files:
            try:
                read = read_trajectories(str(file), method)
            except DataError as e:
                yield LeftOut(str(file), _reason(str(e), file))
                continue
            yield from (LeftOut(str(file), _reason(line, file)) for line in read.skipped)
            yield from (_judged(t, file) for t in read.traces)


def _reason(line: str, file: Path) -> str:
    """The reason without the places that stand before it, so that equal ones are counted together."""
    return re.split(rf"{re.escape(str(file))}(?::\d+|: item \d+)?: ", line)[-1]


def _judged(trace: Trace, file: Path) -> Trace:
    """The trace with the source it is from, and with the verdict of Harbor's verifier where there is one."""
    trace = replace(trace, notes=(*trace.notes, ("source", file.name)))
    try:
        result: Any = json.loads((file.parent.parent / "result.json").read_text(encoding="utf-8"))
        rewards = {k: float(v) for k, v in result["verifier_result"]["rewards"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return trace
    reward = rewards.get("reward", min(rewards.values(), default=0.0))
    if trace.score is not None:
        return trace
    return replace(trace, score=Score(reward >= 1, f"{reward:g}", "reward", "Harbor's verifier"))


ATIF = Saved("atif", ("trajectory.json", "*.json", "*.jsonl"))
SMOLAGENTS = Saved("smolagents", ("*.json", "*.jsonl"))
