"""Which problems are shown together, and which are resampled together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agentdistill.errors import DataError
from agentdistill.verify.types import Pool

FEWEST = 5
"""A family of fewer problems shows too little of its scatter to be resampled by itself: one alone would have none."""


def grouped(pools: Sequence[Pool], by: str = "") -> list[Pool]:
    """The pools with what they are to be shown by in the place of their families.

    ``by`` is ``family`` or the name of a label; without it families, or where all are of one, the first label in which
    they differ. Raises DataError for a label that no problem has.
    """
    values: dict[str, set[str]] = {}
    for name, value in (label for p in pools for label in p.problem.labels):
        values.setdefault(name, set()).add(value)
    known = list(values)
    if not by and len({p.problem.family for p in pools}) == 1:
        by = next((name for name in known if len(values[name]) > 1), "")
    if by in ("", "family"):
        return list(pools)
    if by not in known:
        raise DataError(f'no problem has a label "{by}" (there are: {", ".join(["family", *known])})')
    return [replace(p, problem=replace(p.problem, family=_named(p, by))) for p in pools]


def _named(pool: Pool, by: str) -> str:
    value = dict(pool.problem.labels).get(by)
    return f"no {by}" if value is None else f"{by} {value}" if value[:1].isdigit() else value


def strata(family: Mapping[str, str]) -> dict[str, str]:
    """For every problem the families that it is resampled with: its own, or all the small ones together."""
    sizes = Counter(family.values())
    return {i: f if sizes[f] >= FEWEST else "" for i, f in family.items()}
