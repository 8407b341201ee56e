"""Results as a table that can be published: means over seeds with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Results = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]
"""Set -> method -> a row of measures for each seed."""

# Two-sided 95 % points of Student's t by degrees of freedom.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """(mean, half the width of its 95 % interval over seeds); the width is not a number for a single value."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, math.nan
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, _T95[min(n - 2, len(_T95) - 1)] * spread / math.sqrt(n)


def table(results: Results) -> str:
    """Markdown, one table a set."""
    parts = []
    for name, methods in results.items():
        columns = list(dict.fromkeys(c for rows in methods.values() for row in rows for c in row))
        lines = [f"### {name}", "", f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
        for method, rows in methods.items():
            cells = [_cell([row[c] for row in rows if c in row]) for c in columns]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean, half = interval(values)
    return f"{mean:.3g}" if math.isnan(half) else f"{mean:.3g} ± {half:.2g}"
