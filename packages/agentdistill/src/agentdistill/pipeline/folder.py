"""A stage's folder: what it was made from, whether it is done, and where it stopped.

``begun.json`` holds the key, its settings and input hashes from the first moment; ``manifest.json`` is written last and
says that the stage is done. A folder whose key differs is moved aside, never overwritten: traces can be expensive.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from agentdistill import __version__
from agentdistill.store import digest, json_text, locked, set_aside, sweep, write_json

_LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "openai", "reasoning-gym")


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
    """The folder of one stage. ``settings`` and ``inputs`` (name to content hash) make its key.

    ``ignored`` names those of them (``sandbox``, ``rollout.max_steps``) that a single episode does not depend on.
    """

    path: Path
    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The hash of everything that the stage's output hangs on."""
        return digest([self.stage, __version__, self.settings, self.inputs])

    @property
    def episode_key(self) -> str:
        """The hash of everything that one episode depends on: of the key, neither which questions are asked nor what is
        ``ignored``."""
        left_out = {*_WHICH, *self.ignored}
        one = {k: v for k, v in _flat({**self.settings, **self.inputs}).items() if not left_out & {k, k.split(".")[0]}}
        return digest([self.stage, __version__, one])

    @property
    def has_same_episodes(self) -> bool:
        """Whether what lies at this place was made by episodes of this very :attr:`episode_key`."""
        return (_read(self.path / "begun.json") or {}).get("episodes") == self.episode_key

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

    @contextmanager
    def claimed(self, say: Callable[[str], None] | None = None) -> Iterator[None]:
        """Have the folder for this key and to oneself. What another key left there is moved aside, and ``say`` is told.

        The lock lies beside the folder, so that moving the folder does not move it. Raises UserError while another
        process works in it, a child of a killed run included.
        """
        with locked(self.path.with_name(f".{self.path.name}.lock"), self.path):
            begun = _read(self.path / "begun.json")
            if begun is not None and begun.get("key") != self.key:
                aside = set_aside(self.path)
                if say is not None:
                    say(f"{self.path}: {self._changed(begun)}; what was there is kept as {aside.name}")
            self.path.mkdir(parents=True, exist_ok=True)
            sweep(self.path)
            begun = {"key": self.key, "stage": self.stage, "episodes": self.episode_key}
            write_json(self.path / "begun.json", {**begun, "settings": self.settings, "inputs": self.inputs})
            yield

    def _changed(self, begun: Mapping[str, Any]) -> str:
        """What is no longer as it was when the folder was begun, in words."""
        if "settings" not in begun:  # of a version that did not keep them
            return "made from other settings or inputs"
        before = _flat({**begun["settings"], **begun["inputs"]})
        now = _flat(json.loads(json_text({**self.settings, **self.inputs})))
        names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        if not names:
            return "made by another version"
        short = [n.replace("teacher.settings.", "teacher.").removeprefix("rollout.") for n in names[:_SHOWN]]
        short = ["prompt" if n == "style" else n for n in short]  # keys keep the name that they always had
        return f"made with other {', '.join(short)}{', …' if len(names) > _SHOWN else ''}"

    def adopt(self, others: Iterable[Path]) -> bool:
        """Move the finished folder of this very key, if one of ``others`` is it, to this place; whether one was."""
        other = next((o for o in others if o != self.path and replace(self, path=o).is_done), None)
        if other is None:
            return False
        with self.claimed():
            shutil.rmtree(self.path)
            other.rename(self.path)
        return True

    def finish(self, facts: dict[str, Any], seconds: float | None = None) -> None:
        """Write the manifest: the stage is done. Wall clock goes into a file of its own; the rest is reproducible."""
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


_WHICH = ("problems", "asked", "samples")
_SHOWN = 4


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested objects as one, with dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    found = [_flat(v, f"{name}.{k}" if name else k) for k, v in value.items()]
    return {k: v for part in found for k, v in part.items()}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
