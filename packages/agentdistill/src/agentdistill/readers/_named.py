"""Which reader a source names, and what it reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentdistill import registry
from agentdistill.environment import Environment
from agentdistill.errors import DataError, UserError
from agentdistill.prompts import Style
from agentdistill.readers._build import Built, FindPassages, build
from agentdistill.readers._draft import Draft, LeftOut
from agentdistill.readers._files import located
from agentdistill.store import file_digest
from agentdistill.tasks.benchmarks import parse_spec
from agentdistill.tools import Tool


@dataclass(frozen=True, slots=True)
class Named:
    """What ``NAME:SPLIT[:N][@PATH]`` names: the first ``n`` rows of a reader's split, looked for at ``path``."""

    reader: str
    split: str
    n: int | None
    path: str | None

    @property
    def module(self) -> Any:
        """The reader."""
        return registry.load("readers", self.reader)

    def digests(self) -> dict[str, str]:
        """The content hashes of the files on this machine that it reads, by their names on the hub where none are."""
        if not hasattr(self.module, "parts"):
            return {self.reader: registry.fingerprint("readers", self.reader)}
        paths = [p for part in self.module.parts(self.split) for p in located(self.reader, part, self.path)]
        return {p: file_digest(Path(p)) if Path(p).is_file() else p for p in paths}


def find_reader(source: str, method: str) -> Named | None:
    """What ``source`` names among the readers' trajectories of ``method``; None where it names no reader.

    Raises UserError for a split that does not exist or has none of that method.
    """
    named = registry.split_source("readers", source)
    if named is None:
        return None
    splits: Mapping[str, Sequence[str]] = registry.load("readers", named[0]).SPLITS
    found = Named(named[0], *parse_spec(named[1], default=next(iter(splits))))
    fitting = [s for s, methods in splits.items() if _loop(method) in methods]
    if found.split not in splits:
        raise UserError(f'{found.reader} has no split "{found.split}"; there are: {", ".join(splits)}')
    if found.split not in fitting:
        raise UserError(f"{found.reader}:{found.split} has no trajectories of {method}; take {' or '.join(fitting)}")
    return found


def _loop(method: str) -> str:
    return "cot" if method.startswith("cot") else "agent"


def read_drafts(source: Named, method: str) -> Iterator[Draft | LeftOut]:
    """The rows as drafts of trajectories of ``method``. Raises DataError for a missing or malformed file."""
    drafts: Iterator[Draft | LeftOut] = source.module.drafts(source.split, source.path, _loop(method))
    return itertools.islice(drafts, source.n)


def read_collection(
    source: Named,
    method: str,
    style: Style,
    tools: Sequence[Tool],
    environment: Environment,
    passages: FindPassages | None = None,
) -> Built:
    """The trajectories in a style's words, their programs run in ``environment``; ``passages`` as in :func:`build`.

    Raises DataError for a missing or malformed file, or where no row gives a trajectory.
    """
    built = build(read_drafts(source, method), method, style, tools, environment, passages)
    if not built.traces:
        why = ", ".join(f"{n} × {reason}" for reason, n in built.left_out.items()) or "it is empty"
        raise DataError(f"{source.reader}:{source.split}: no trajectory of {method} in it ({why})")
    return built
