"""``compare RUN RUN``: what changed from one run to another, problem by problem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError
from agentdistill.report.run import Part, read_part, read_run, values_by_problem
from agentdistill.stats import Paired, paired_difference
from agentdistill.stats.shown import points
from agentdistill.views._text import one_line

if TYPE_CHECKING:
    from rich.console import Console


def compare(a: Path | str, b: Path | str) -> dict[str, Any]:
    """Run ``b`` minus run ``a`` for every part that both hold, as JSON values, overall and by family.

    Either may also be one part's folder (``runs/NAME/evaluate/MODEL--METHOD``): two parts are compared whatever they
    are called. The overall figure is the mean over families; intervals are 95 %, paired by problem. Raises UserError
    where there is nothing to compare, naming what each side holds.
    """
    ours, theirs = _parts(Path(a)), _parts(Path(b))
    if len(ours) == len(theirs) == 1:
        pairs = [(next(iter(ours.values())), next(iter(theirs.values())))]
    else:
        pairs = [(ours[key], theirs[key]) for key in ours if key in theirs]
    if not pairs:
        raise UserError(
            f"{a} and {b} have no part in common; the first has {', '.join(ours)}, the second {', '.join(theirs)}"
        )
    compared = [c for x, y in pairs if (c := _compare(x, y)) is not None]
    if not compared:
        raise UserError(f"{a} and {b} share no scored problem; were they run on the same problems?")
    return {"a": str(a), "b": str(b), "parts": compared}


def _parts(path: Path) -> dict[str, Part]:
    if (path / "traces.jsonl").is_file():
        part = read_part(path)
        return {part.key: part}
    return {p.key: p for p in read_run(path).traced}


def _compare(a: Part, b: Part) -> dict[str, Any] | None:
    ours, theirs = values_by_problem(a.traces), values_by_problem(b.traces)
    families = sorted(f for f in ours if set(ours[f]) & set(theirs.get(f, {})))
    if not families:
        return None
    by_family = {f: _facts(paired_difference({f: theirs[f]}, {f: ours[f]})) for f in families}
    overall = _facts(paired_difference(theirs, ours))
    return {"a": a.key, "b": b.key, "overall": overall, "families": by_family}


def _facts(paired: Paired) -> dict[str, Any]:
    d = paired.difference
    return {
        "a": round(paired.b, 6),
        "b": round(paired.a, 6),
        "difference": round(d.estimate, 6),
        "low": round(d.low, 6),
        "high": round(d.high, 6),
        "n": d.n,
        "n_better": paired.n_better,
        "n_worse": paired.n_worse,
    }


def compare_runs(a: Path | str, b: Path | str, console: Console | None = None) -> None:
    """Print :func:`compare` as tables, in points of accuracy; a difference that excludes zero is coloured."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    for part in compare(a, b)["parts"]:
        name = part["a"] if part["a"] == part["b"] else f"{part['a']} → {part['b']}"
        table = Table(title=Text(one_line(name), "bold"), title_justify="left", box=None, header_style="dim")
        table.add_column("family")
        for heading in ("before", "after", "difference", "95 % interval", "better", "worse", "n"):
            table.add_column(heading, justify="right")
        for family, f in [*part["families"].items(), ("average", part["overall"])]:
            style = "green" if f["low"] > 0 else "red" if f["high"] < 0 else ""
            limits = f"{points(f['low'])} to {points(f['high'])}"
            before_after = [f"{f['a']:.1%}", f"{f['b']:.1%}"]
            rest = [limits, *(str(f[key]) for key in ("n_better", "n_worse", "n"))]
            difference = Text(points(f["difference"]), style)
            bold = "bold" if family == "average" else None
            table.add_row(Text(one_line(family)), *before_after, difference, *rest, style=bold)
        console.print(table)
        console.print()
