"""Rounds against accuracy, beside plain collection at the same number of teacher tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def together(seeds: Sequence[Sequence[Round]]) -> list[Round]:
    """The rounds of several seeds as one: what they counted is added up, what they answered is taken together."""
    return [_joined(same) for same in zip(*seeds, strict=True)]


def _joined(same: Sequence[Round]) -> Round:
    return Round(
        same[0].number,
        _arms([r.on_policy for r in same]),
        None if same[0].plain is None else _arms([r.plain for r in same if r.plain is not None]),
        [t for r in same for t in r.acted],
        [t for r in same for t in r.corrected],
        sum(r.n_accepted for r in same),
    )


def _arms(of: Sequence[Arm]) -> Arm:
    return Arm(sum(a.n_tokens for a in of), sum(a.n_examples for a in of), [t for a in of for t in a.test])


def table(seeds: Mapping[int, Sequence[Round]], settings: OnPolicySettings) -> dict[str, Any]:
    """Accuracies (means over families) with 95 % intervals, and differences paired by problem, as JSON values.

    A problem counts once, with the mean of its seeds; tokens and trajectories are those of all seeds. Where there are
    several, the rounds of each alone follow.
    """
    facts: dict[str, Any] = {"settings": asdict(settings), "rounds": [_row(r) for r in together(list(seeds.values()))]}
    if len(seeds) > 1:
        facts["seeds"] = [{"seed": s, "rounds": [_row(r) for r in rounds]} for s, rounds in seeds.items()]
    return facts


def write_table(path: Path, seeds: Mapping[int, Sequence[Round]], settings: OnPolicySettings) -> Path:
    """Write :func:`table` and return its path."""
    write_json(path, table(seeds, settings))
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
    """Print :func:`table` for people: accuracies in percent, differences in points. It fits 80 columns."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    n_seeds = len(facts.get("seeds", [])) or 1
    title = "on-policy rounds" if n_seeds == 1 else f"on-policy rounds, {n_seeds} seeds together"
    shown = Table(title=title, title_justify="left", box=None, header_style="dim", padding=(0, 1, 0, 0))
    headings = ["round", "corrected", "tokens", "accuracy"]
    compared = any("plain" in r for r in facts["rounds"])
    if compared:
        headings += ["plain: tokens", "accuracy", "difference (95 %)"]
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for r in facts["rounds"]:
        mine = r["on_policy"]
        corrected = f"{r['n_corrected']} of {r['n_failed']}" if r["round"] else ""
        cells = [str(r["round"]), corrected, f"{mine['n_tokens']:,}", f"{mine['estimate']:.1%}"]
        if compared:
            cells += [*_plain(r.get("plain")), _difference(r.get("difference"))]
        shown.add_row(*cells)
    console.print(shown)


def _plain(arm: dict[str, Any] | None) -> list[str]:
    return ["", ""] if arm is None else [f"{arm['n_tokens']:,}", f"{arm['estimate']:.1%}"]


def _difference(d: dict[str, Any] | None) -> str:
    if d is None:
        return ""
    middle, low, high = (f"{d[k] * 100:+.1f}".replace("-", "−") for k in ("estimate", "low", "high"))
    return f"{middle} ({low} to {high})"
