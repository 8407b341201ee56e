"""Readers: published trajectories and solutions as collections, one file each, found by its name.

A recipe names one as ``NAME``, ``NAME:SPLIT``, ``NAME:SPLIT:N`` (the first N rows) or ``NAME:SPLIT@PATH``; see
:mod:`agentdistill.tasks._benchmark` for where a split is looked for. A reader module has ``SPLITS``, the first the one
that is meant where none is named, and ``drafts(split, path, method)``, which yields a :class:`Draft` or a
:class:`LeftOut` for every row, in order.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
from collections.abc import Iterator, Sequence
from types import ModuleType

from agentdistill.environment import Environment
from agentdistill.errors import DataError, UserError
from agentdistill.prompts import Style
from agentdistill.readers._build import Built, build
from agentdistill.readers._draft import Draft, LeftOut, Notes, Turn
from agentdistill.tasks._benchmark import parse_spec
from agentdistill.tools import Tool

__all__ = ["Built", "Draft", "LeftOut", "Notes", "Turn", "find_reader", "read_collection", "read_drafts", "readers"]

_SOURCE = re.compile(r"(?P<name>\w+)(?::(?P<spec>.*)|(?P<path>@.*))?", re.DOTALL)


def readers() -> tuple[str, ...]:
    """The names of the readers there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def find_reader(source: str) -> tuple[ModuleType, str] | None:
    """The reader module and split that ``source`` names; None where it names none (a file or a hub dataset then)."""
    match = _SOURCE.fullmatch(source)
    if match is None or match["name"] not in readers():
        return None
    return importlib.import_module(f"{__name__}.{match['name']}"), match["spec"] or match["path"] or ""


def read_drafts(source: str, method: str) -> Iterator[Draft | LeftOut]:
    """The rows of ``NAME:SPLIT[:N][@PATH]`` as drafts of trajectories of ``method`` (``agent`` or ``cot``).

    Raises UserError for a split that does not exist, DataError for a missing or malformed file.
    """
    found = find_reader(source)
    if found is None:
        raise UserError(f'"{source}" names no reader; there are: {", ".join(readers())}')
    module, spec = found
    splits: Sequence[str] = module.SPLITS
    name, n, path = parse_spec(spec, default=splits[0])
    if name not in splits:
        raise UserError(f'{source}: there is no split "{name}"; there are: {", ".join(splits)}')
    drafts: Iterator[Draft | LeftOut] = module.drafts(name, path, "cot" if method.startswith("cot") else "agent")
    return itertools.islice(drafts, n)


def read_collection(
    source: str, method: str, style: Style, tools: Sequence[Tool], environment: Environment
) -> Built:
    """The trajectories of ``NAME:SPLIT[:N][@PATH]`` in a style's words, their programs run in ``environment``.

    Raises what :func:`read_drafts` does, and DataError where no row gives a trajectory.
    """
    built = build(read_drafts(source, method), method, style, tools, environment)
    if not built.traces:
        why = ", ".join(f"{n} × {reason}" for reason, n in built.left_out.items()) or "it is empty"
        raise DataError(f"{source}: no trajectory of {method} in it ({why})")
    return built
