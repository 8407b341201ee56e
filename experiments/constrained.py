"""What holding steps to their form changes: the agents of a run, evaluated on its test questions with and without.

Reads the run's own evaluations, adds ``RUN/constrained/NAME--METHOD`` (resumable), and prints a Markdown table of both,
paired by question. Run the recipe first:

    agentdistill run recipes/tinyworld-table.toml
    python experiments/constrained.py runs/tinyworld-table
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from agentdistill.pipeline.evaluating import Job, answering, folder_of, jobs
from agentdistill.pipeline.folder import TRACES, run_rollouts
from agentdistill.pipeline.run import Run, evaluated, load_student, open_run, trained
from agentdistill.progress import Silent
from agentdistill.recipe.methods import method
from agentdistill.report.stats import paired_difference, points
from agentdistill.store import read_traces
from agentdistill.types import EXECUTION_ERRORS, PARSE_ERRORS, StepStatus, Trace

Measure = Callable[[Trace], float]


def shows(statuses: frozenset[StepStatus]) -> Measure:
    """Whether an episode has a step of one of the statuses."""
    return lambda trace: float(any(s.status in statuses for s in trace.steps))


MEASURES: dict[str, Measure] = {
    "right, %": lambda trace: float(bool(trace.correct)),
    "no or broken code, %": shows(PARSE_ERRORS),
    "code failed, %": shows(EXECUTION_ERRORS),
}


def constrained(run: Run, job: Job) -> list[Trace]:
    """The traces of an evaluation whose steps are held to their form, from disk where they are there."""
    assert job.student is not None
    folder = folder_of(run, job)
    folder = replace(folder, path=run.folder / "constrained" / folder.path.name)
    load = partial(load_student, run, trained(run.folder, job.student, job.method))
    problems = run.problems("test")
    work = partial(answering, run, job.method, problems, load)
    return run_rollouts(folder, [(p, p.id) for p in problems], work, Silent(), f"{job.model} {job.method}")


def row(name: str, without: Sequence[Trace], with_it: Sequence[Trace]) -> str:
    """A line of the table: without, with, and the interval of the difference in points."""
    cells = []
    for measure in MEASURES.values():
        a, b = (by_family(traces, measure) for traces in (with_it, without))
        found = paired_difference(a, b)
        low, high = found.difference.low, found.difference.high
        cells.append(f"{100 * found.b:.1f} → {100 * found.a:.1f} ({points(low)} to {points(high)})")
    for count in (lambda t: t.usage.n_truncated, lambda t: t.usage.n_new_tokens / len(without)):
        before, after = (sum(map(count, traces)) for traces in (without, with_it))
        cells.append(f"{before:.0f} → {after:.0f}")
    return f"| {name} | {len(without)} | {' | '.join(cells)} |"


def by_family(traces: Sequence[Trace], measure: Measure) -> dict[str, dict[str, float]]:
    """A measure of every trace, by family and problem."""
    found: dict[str, dict[str, float]] = {}
    for trace in traces:
        found.setdefault(trace.problem.family, {})[trace.problem.id] = measure(trace)
    return found


def main() -> None:
    """Evaluate what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run's folder, evaluated without the constraint")
    parser.add_argument("--method", default="agent-distill", help="which agents (agent-distill)")
    options = parser.parse_args()
    plain = open_run(options.run)
    held = Run(replace(plain.recipe, evaluate=replace(plain.recipe.evaluate, constrain="step")), plain.folder)
    print(f"| {options.method} | n | {' | '.join(MEASURES)} | cut off | tokens written |")
    print("|---|---:|" + "---|" * len(MEASURES) + "---|---|")
    for job in jobs(plain):
        if job.student is not None and job.method == options.method and job.number is None and method(job.method).agent:
            without = read_traces(evaluated(plain.folder, job.model, job.method) / TRACES)
            print(row(job.model, without, constrained(held, job)), flush=True)


if __name__ == "__main__":
    main()
