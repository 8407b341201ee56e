"""A stage's folder: what it was made from, whether it is done, and where it stopped.

``begun.json`` holds the key (settings and input hashes) from the first moment; ``manifest.json`` is written last and
says that the stage is done. A folder whose key differs is moved aside, never overwritten: traces can be dear.
"""

from __future__ import annotations

import fcntl
import json
import platform
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from agentdistill import __version__
from agentdistill.errors import UserError
from agentdistill.store import digest, write_json

LOCK_WAIT_S = 5.0
_LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "openai", "bm25s")


def versions() -> dict[str, str]:
    """The versions that a result may hang on."""
    out = {"agentdistill": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return out


@dataclass(slots=True)
class StageFolder:
    """The folder of one stage. ``settings`` and ``inputs`` (name to content hash) make its key."""

    path: Path
    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    _lock_file: IO[str] | None = None

    @property
    def key(self) -> str:
        """The hash of everything that the stage's output hangs on."""
        return digest([self.stage, __version__, self.settings, self.inputs])

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest of a finished run of this very key; None otherwise."""
        found = _read(self.path / "manifest.json")
        return found if found is not None and found.get("key") == self.key else None

    @property
    def is_done(self) -> bool:
        """Whether the stage need not run again. Faults of the world are tried again."""
        found = self.manifest
        return found is not None and not found.get("n_faults")

    def begin(self) -> None:
        """Claim the folder for this key. What another key left there is moved aside.

        Raises UserError while another process works in it, a child of a killed run included.
        """
        begun = _read(self.path / "begun.json")
        if begun is not None and begun.get("key") != self.key:
            self.path.rename(_free(self.path))
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock()
        write_json(self.path / "begun.json", {"key": self.key, "stage": self.stage})

    def _lock(self) -> None:
        self._lock_file = (self.path / ".lock").open("a")
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UserError(f"{self.path}: another process is working there; wait for it or end it") from None
                time.sleep(0.05)

    def release(self) -> None:
        """Let other processes work in the folder."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def finish(self, facts: dict[str, Any], seconds: float | None = None) -> None:
        """Write the manifest: the stage is done. Wall clock goes into a file of its own, so the rest is reproducible."""
        if seconds is not None:
            timing = _read(self.path / "timing.json") or {}
            write_json(self.path / "timing.json", {**timing, "seconds": round(seconds, 2)})
        write_json(
            self.path / "manifest.json",
            {
                "stage": self.stage,
                "key": self.key,
                "settings": self.settings,
                "inputs": self.inputs,
                "versions": versions(),
                **facts,
            },
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _free(path: Path) -> Path:
    n = 1
    while (aside := path.with_name(f"{path.name}.old-{n}")).exists():
        n += 1
    return aside
