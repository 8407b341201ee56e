"""A run on many machines, on paper: hours, cost and the bottleneck of every stage, from speeds that you give.

    python -m agentdistill.rehearsal.cluster nodes=100 problems=1000000

Nothing is measured here. The speeds of models are those that a rehearsal on one of the machines prints, or a server's
own log; the defaults are round numbers for H100 nodes, to be replaced. Every stage takes as long as the slowest of what
it needs, since they work at the same time; loading comes before.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from agentdistill.errors import UserError
from agentdistill.methods import METHODS
from agentdistill.registry import unknown
from agentdistill.rehearsal.plan import Assumptions

_COPIES = 3  # of a trace's text in a driver's memory: its objects, and the file's text twice while it is written
_TOKEN_BYTES = 21  # of a training's memory, a token: an id and a mark here, an id and a label twice in its data set


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is planned with. Speeds are in tokens a second, of one replica of a model; prices of one GPU's hour.

    ``drivers`` are commands that run side by side, each with its share of the problems and its own run folder.
    ``cached`` is the share of prompt tokens that a server's prefix cache spares. ``step_s`` are core seconds that a
    step of code takes, ``trace_ms`` what a driver needs to take in a trace, ``append_ms`` to write a chunk of them.
    ``train_nodes`` is how many nodes one training uses, ``test_nodes`` evaluation; ``mfu`` is the share of ``tflops``
    that training reaches.
    """

    nodes: int = 100
    gpus: int = 8
    cores: int = 96
    drivers: int = 20
    problems: int = 1_000_000
    samples: int = 4
    tests: int = 3415
    methods: int = 4
    teacher_gpus: int = 2
    teacher_gb: float = 65.0
    write: float = 2500.0
    read: float = 20_000.0
    cached: float = 0.8
    student_write: float = 5000.0
    step_s: float = 0.1
    chunk: int = 16
    trace_kb: float = 16.0
    trace_ms: float = 2.5
    append_ms: float = 5.0
    storage_gb_s: float = 20.0
    students_b: tuple[float, ...] = (0.5, 1.5, 3.0, 7.0)
    epochs: int = 2
    train_nodes: int = 1
    test_nodes: int = 4
    tflops: float = 990.0
    mfu: float = 0.3
    price_hour: float = 2.5


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's hours, what sets them, the GPU hours it holds, and the hours of everything else that it needs."""

    name: str
    hours: float
    bottleneck: str
    gpu_hours: float
    needs: dict[str, float]


def plan(paper: Paper, episode: Assumptions | None = None) -> tuple[Stage, ...]:
    """Collection, one training a student, and evaluation. ``episode`` says what an episode is like, in tokens."""
    episode = episode or Assumptions()
    trainings = [_train(paper, episode, billions) for billions in paper.students_b]
    return (_collect(paper, episode), *trainings, _evaluate(paper, episode))


def driver_memory_gb(paper: Paper) -> float:
    """What one driver holds at the end of a collection, when it puts the traces of its share in order."""
    return paper.problems * paper.samples / paper.drivers * paper.trace_kb * _COPIES / 1e6


def training_memory_gb(paper: Paper, episode: Assumptions | None = None) -> float:
    """What one process of a training holds before its first step: the trajectories, and their tokens."""
    e = episode or Assumptions()
    tokens = e.trajectory_tokens(METHODS["agent"])
    return paper.problems * paper.samples * e.kept * (paper.trace_kb * _COPIES / 1e6 + tokens * _TOKEN_BYTES / 1e9)


def _collect(p: Paper, e: Assumptions) -> Stage:
    n, m = p.problems * p.samples, METHODS["agent"]
    replicas = p.nodes * p.gpus // p.teacher_gpus
    needs = {
        "teacher": n * (e.written(m) / p.write + e.read(m) * (1 - p.cached) / p.read) / replicas / 3600,
        "sandboxes": n * e.steps * p.step_s / (p.nodes * p.cores) / 3600,
        "drivers": n / p.drivers * (p.trace_ms + p.append_ms / p.chunk) / 1000 / 3600,
    }
    return _stage("collect", needs, p.nodes * p.gpus, p.teacher_gb * p.nodes / p.storage_gb_s / 3600)


def _train(p: Paper, e: Assumptions, billions: float) -> Stage:
    tokens = p.problems * p.samples * e.kept * e.trajectory_tokens(METHODS["agent"]) * p.epochs
    gpus = p.train_nodes * p.gpus
    needs = {"GPUs of one training": 6 * billions * 1e9 * tokens / (p.tflops * 1e12 * p.mfu * gpus) / 3600}
    return _stage(f"train {billions:g}B", needs, gpus, 0.0)


def _evaluate(p: Paper, e: Assumptions) -> Stage:
    n = p.tests * p.methods * len(p.students_b)
    needs = {
        "students": n * e.written(METHODS["agent"]) / p.student_write / (p.test_nodes * p.gpus) / 3600,
        "sandboxes": n * e.steps * p.step_s / (p.test_nodes * p.cores) / 3600,
    }
    load = sum(2 * b * p.methods for b in p.students_b) * p.test_nodes / p.storage_gb_s / 3600
    return _stage("evaluate", needs, p.test_nodes * p.gpus, load)


def _stage(name: str, needs: dict[str, float], gpus: int, load: float) -> Stage:
    slowest = max(needs, key=lambda what: needs[what])
    needs = {**needs, "loading": load}
    hours = needs[slowest] + load
    return Stage(name, hours, slowest if needs[slowest] >= load else "loading", hours * gpus, needs)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan as a table. Returns 0, or 2 for figures that make no sense."""
    try:
        paper = _read(sys.argv[1:] if argv is None else argv)
    except UserError as e:
        print(e, file=sys.stderr)
        return 2
    stages = plan(paper)
    print(f"{'stage':<12}{'hours':>9}{'GPU hours':>12}{'cost':>12}  set by")
    for s in stages:
        rest = ", ".join(f"{what} {hours:.2f}" for what, hours in s.needs.items() if what != s.bottleneck)
        cost = s.gpu_hours * paper.price_hour
        print(f"{s.name:<12}{s.hours:>9.2f}{s.gpu_hours:>12,.0f}{cost:>12,.0f}  {s.bottleneck} ({rest})")
    print(f"{'all':<12}{'':>9}{sum(s.gpu_hours for s in stages):>12,.0f}"
          f"{sum(s.gpu_hours for s in stages) * paper.price_hour:>12,.0f}")  # fmt: skip
    print(f"memory of a driver at the end of its collection: {driver_memory_gb(paper):,.0f} GB")
    print(f"memory of each process of a training before its first step: {training_memory_gb(paper):,.0f} GB")
    return 0


def _read(pairs: Sequence[str]) -> Paper:
    fields = {f.name: getattr(Paper(), f.name) for f in dataclasses.fields(Paper)}
    values: dict[str, float | int | tuple[float, ...]] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in fields:
            raise UserError(unknown("figure", name, fields))
        try:
            values[name] = _number(fields[name], text)
        except ValueError:
            raise UserError(f"{name} takes {'numbers' if name == 'students_b' else 'a number'}, got {text!r}") from None
    paper = dataclasses.replace(Paper(), **values)  # type: ignore[arg-type]
    _check(paper)
    return paper


def _number(default: object, text: str) -> float | int | tuple[float, ...]:
    if isinstance(default, tuple):
        return tuple(float(t) for t in text.split(","))
    return int(text) if isinstance(default, int) else float(text)


def _check(paper: Paper) -> None:
    for name, value in dataclasses.asdict(paper).items():
        numbers = value if isinstance(value, tuple) else (value,)
        free = name in ("cached", "step_s", "trace_ms", "append_ms", "price_hour", "trace_kb")
        if any(v < 0 or (v == 0 and not free) for v in numbers) or (name in ("cached", "mfu") and value > 1):
            raise UserError(f"{name} = {value}: out of range")


if __name__ == "__main__":
    sys.exit(main())
