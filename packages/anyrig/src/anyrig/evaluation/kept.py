"""What was measured stays measured: an evaluation that was cut off, or is given one method more, goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

Row = dict[str, float]
Make = Callable[[], Row | None]


class Kept:
    """Rows of measures in a JSONL file, each under a key of plain values. A line that was cut off is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Row | None] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                self._rows[json.dumps(entry["key"])] = entry["row"]
            except (ValueError, KeyError, TypeError):
                continue

    def row(self, key: Sequence[object], make: Make) -> Row | None:
        """The row under ``key``, made and written if there is none."""
        name = json.dumps(list(key))
        if name not in self._rows:
            self._rows[name] = make()
            with self._path.open("a") as file:  # a line begins anew even where the last was cut off
                file.write("\n" + json.dumps({"key": list(key), "row": self._rows[name]}))
        return self._rows[name]


def fingerprint(*paths: Path) -> str:
    """What tells the files' contents from others."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]
