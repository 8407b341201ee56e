"""Rounds against accuracy, beside plain collection at the same number of teacher tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.on_policy.correcting import n_given
from agentdistill.recipe import OnPolicySettings
from agentdistill.report.run import values_by_problem
from agentdistill.stats import mean_interval, paired_difference
from agentdistill.store import write_json
from agentdistill.types import Trace

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Arm:
    """A student after a round: the teacher tokens spent since the recipe's own collection, the trajectories it learned
    from, and its traces on the test problems."""

    n_tokens: int
    n_examples: int
    test: Sequence[Trace]


@dataclass(frozen=True, slots=True)
class Round:
    """A round by both ways; round 0 is the recipe's own student. ``plain`` is None where nothing is compared."""

    number: int
    on_policy: Arm
    plain: Arm | None
    acted: Sequence[Trace] = ()
    corrected: Sequence[Trace] = ()
    n_accepted: int = 0


def table(rounds: Sequence[Round], settings: OnPolicySettings) -> dict[str, Any]:
    """Accuracies (means over families) with 95 % intervals, and differences paired by problem, as JSON values."""
    return {"settings": asdict(settings), "rounds": [_row(r) for r in rounds]}


def write_table(path: Path, rounds: Sequence[Round], settings: OnPolicySettings) -> Path:
    """Write :func:`table` and return its path."""
    write_json(path, table(rounds, settings))
    return path


def _row(r: Round) -> dict[str, Any]:
    given = [n_given(t) for t in r.corrected if t.correct]
    row: dict[str, Any] = {
        "round": r.number,
        "n_acted": len(r.acted),
        "n_failed": sum(t.correct is False for t in r.acted),
        "n_corrected": r.n_accepted,
        "steps_kept": round(sum(given) / len(given), 3) if given else None,
        "on_policy": _arm(r.on_policy),
    }
    if r.plain is not None:
        row["plain"] = _arm(r.plain)
        if r.number:
            paired = paired_difference(values_by_problem(r.on_policy.test), values_by_problem(r.plain.test))
            counts = {"n_better": paired.n_better, "n_worse": paired.n_worse}
            row["difference"] = {**_rounded(asdict(paired.difference)), **counts}
    return row


def _arm(arm: Arm) -> dict[str, Any]:
    values = values_by_problem(arm.test)
    interval = mean_interval({f: list(of.values()) for f, of in values.items()})
    return {"n_tokens": arm.n_tokens, "n_examples": arm.n_examples, **_rounded(asdict(interval))}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}


def print_table(facts: dict[str, Any], console: Console | None = None) -> None:
    """Print :func:`table` for people: accuracies in percent, differences in points."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    shown = Table(title="on-policy rounds", title_justify="left", box=None, header_style="dim")
    headings = ["round", "failed", "corrected", "teacher tokens", "accuracy"]
    compared = any("plain" in r for r in facts["rounds"])
    if compared:
        headings += ["plain: tokens", "plain: accuracy", "difference", "95 % interval"]
    for heading in headings:
        shown.add_column(heading, justify="right")
    for r in facts["rounds"]:
        mine = r["on_policy"]
        failed = f"{r['n_failed']} of {r['n_acted']}" if r["round"] else ""
        cells = [str(r["round"]), failed, str(r["n_corrected"] or ""), f"{mine['n_tokens']:,}", _share(mine)]
        if compared:
            cells += [*_plain(r.get("plain")), *_difference(r.get("difference"))]
        shown.add_row(*cells)
    console.print(shown)


def _share(arm: dict[str, Any]) -> str:
    return f"{arm['estimate']:.1%} ({arm['low']:.1%} to {arm['high']:.1%})"


def _plain(arm: dict[str, Any] | None) -> list[str]:
    return ["", ""] if arm is None else [f"{arm['n_tokens']:,}", _share(arm)]


def _difference(d: dict[str, Any] | None) -> list[str]:
    if d is None:
        return ["", ""]
    points = [f"{d[k] * 100:+.1f}".replace("-", "−") for k in ("estimate", "low", "high")]
    return [points[0], f"{points[1]} to {points[2]}"]
