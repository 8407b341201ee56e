"""Readers: published trajectories and solutions as collections; other readers are plug-ins.

A recipe names one as ``NAME``, ``NAME:SPLIT``, ``NAME:SPLIT:N`` (the first N rows) or ``NAME:SPLIT@PATH``; see
:mod:`agentdistill.tasks.benchmarks` for where a split is looked for. A reader has ``SPLITS``, which maps every
split to the methods it has trajectories of (the first split is meant where none is named); ``parts(split)``, the files
of a split; and ``drafts(split, path, method)``, which yields a :class:`Draft` or a :class:`LeftOut` for every row.
"""

from agentdistill.readers._build import Built
from agentdistill.readers._collection import Collection, read_sources
from agentdistill.readers._draft import Draft, LeftOut, Notes, Turn
from agentdistill.readers._named import Named, find_reader, read_collection, read_drafts

__all__ = [
    "Built", "Collection", "Draft", "LeftOut", "Named", "Notes", "Turn", "find_reader", "read_collection",
    "read_drafts", "read_sources",
]  # fmt: skip
