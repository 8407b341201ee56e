"""Readers: published trajectories and solutions as collections; other readers are plug-ins.

A recipe names one as ``NAME``, ``NAME:SPLIT``, ``NAME:SPLIT:N`` (the first N rows) or ``NAME:SPLIT@PATH``; see
:mod:`agentdistill.problems.benchmarks` for where a split is looked for. A reader has ``SPLITS``, which maps every
split to the methods it has trajectories of (the first split is the default); ``parts(split)``, the files
of a split; and ``drafts(split, path, method)``, which yields a :class:`Draft`, a whole
:class:`~agentdistill.types.Trace` or a :class:`LeftOut` for every row. ``parts`` may be missing.
"""

from agentdistill.exchange.readers.collection import (
    Collection,
    Draft,
    LeftOut,
    Notes,
    ReaderSplit,
    Turn,
    find_reader,
    read_drafts,
    read_sources,
)

__all__ = [
    "Collection", "Draft", "LeftOut", "Notes", "ReaderSplit", "Turn", "find_reader", "read_drafts", "read_sources",
]  # fmt: skip
