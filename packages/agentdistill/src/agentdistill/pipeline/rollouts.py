"""Running episodes into a folder: what collection and evaluation share. Resumable at any moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from agentdistill.executors import OpenWork, RaySettings
from agentdistill.executors.resume import fault_of, run_missing
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.reuse import Asked, taken_over
from agentdistill.progress import Progress
from agentdistill.store import append_jsonl, read_traces, repair_jsonl, write_jsonl
from agentdistill.types import End, Trace, Usage

TRACES = "traces.jsonl"
PARTIAL = "traces.partial.jsonl"


def run_rollouts(
    folder: StageFolder,
    asked: Sequence[Asked],
    open_work: OpenWork[Trace],
    progress: Progress,
    what: str,
    about: dict[str, object] | None = None,
    ray: RaySettings | None = None,
    others: Sequence[Path] = (),
) -> list[Trace]:
    """The traces of what is asked, in order, from disk where they are there already.

    ``open_work`` gives the model and one episode for each that is asked, in the same order; it is called only if a
    trace is missing, in this process or, with ``ray``, in its workers. ``about`` goes into the manifest as it is.
    Traces are appended to a partial file as they end and put in order when all are there, so that a run that was killed
    and resumed leaves the same file as one that was not. What was answered before another set of questions was asked is
    taken over, from ``others`` too. Raises InfrastructureError when the world has failed so often that going on is
    useless, ModelError where every conversation is refused; what was collected stays.
    """
    if folder.is_done:
        return read_traces(folder.path / TRACES)
    with folder.claimed(progress.say):
        if folder.is_done:  # by the process that was waited for
            return read_traces(folder.path / TRACES)
        partial = folder.path / PARTIAL
        ids = [i for _, i in asked]
        done = _reopen(folder, partial, asked, others, progress)
        started = time.monotonic()
        task = progress.task(folder.stage, what, len(ids))
        tally = Tally(done.values())
        task.advance(len(done), str(tally))

        def tell(trace: Trace, before: Trace | None) -> None:
            tally.count(trace, before)
            task.advance(int(before is None), str(tally))

        faults = run_missing(ids, done, partial, open_work, fault_of, tell, ray=ray)
        traces = [done[i] if i in done else faults[i] for i in ids]
        write_jsonl(folder.path / TRACES, traces)
        partial.unlink(missing_ok=True)
        folder.finish({**(about or {}), **facts(traces)}, time.monotonic() - started)
    task.done(f"{len(traces)}/{len(ids)}  {Tally(traces)}")
    refused = [t for t in traces if t.refused]
    if refused:
        first = f"{refused[0].id}: {refused[0].fault}"
        progress.say(f"{folder.path}: {len(refused)} of {len(traces)} questions were refused; {first}")
    return traces


def _reopen(
    folder: StageFolder, partial: Path, asked: Sequence[Asked], others: Sequence[Path], progress: Progress
) -> dict[str, Trace]:
    """What is there: a torn line is mended, faults are left out to be tried again, what lies aside is taken over."""
    path = folder.path
    if not partial.exists() and (path / TRACES).exists():
        write_jsonl(partial, read_traces(path / TRACES))
    done: dict[str, Trace] = {}
    if repair_jsonl(partial) or partial.exists():
        done = {t.id: t for t in read_traces(partial) if t.end is not End.FAULT}
        write_jsonl(partial, done.values())
    if len(done) < len(asked) and (over := taken_over(folder, asked, done, (TRACES, PARTIAL), others)):
        append_jsonl(partial, over)
        done |= {t.id: t for t in over}
        progress.say(f"{path}: {len(over)} of {len(asked)} trajectories were collected before and are taken over")
    return done


def usage_of(traces: Sequence[Trace]) -> Usage:
    """What the traces cost together."""
    return sum((t.usage for t in traces), Usage())


def facts(traces: Sequence[Trace]) -> dict[str, object]:
    """Counts for a manifest."""
    usage = usage_of(traces)
    return {
        "n": len(traces),
        "n_correct": sum(bool(t.correct) for t in traces),
        "n_faults": sum(t.end is End.FAULT for t in traces),
        "n_refused": sum(t.refused for t in traces),
        "n_truncated": usage.n_truncated,
        "ends": {e.value: n for e in End if (n := sum(t.end is e for t in traces))},
        "usage": {
            "n_requests": usage.n_requests,
            "n_prompt_tokens": usage.n_prompt_tokens,
            "n_new_tokens": usage.n_new_tokens,
        },
    }


class Tally:
    """Running counts of traces, as one line: what share is right, mean steps, faults, truncations."""

    def __init__(self, traces: Iterable[Trace] = ()) -> None:
        self.n = self.n_faults = 0
        self._n_right = self._n_steps = self._n_truncated = 0
        for trace in traces:
            self.count(trace)

    def count(self, trace: Trace, instead_of: Trace | None = None) -> None:
        """Add a trace; ``instead_of`` is an earlier try of the same episode, which no longer counts."""
        self._add(trace, 1)
        if instead_of is not None:
            self._add(instead_of, -1)

    def _add(self, trace: Trace, sign: int) -> None:
        self.n += sign
        self.n_faults += sign * (trace.end is End.FAULT)
        self._n_truncated += sign * trace.usage.n_truncated
        if trace.end is not End.FAULT:
            self._n_right += sign * bool(trace.correct)
            self._n_steps += sign * len(trace.steps)

    def __str__(self) -> str:
        n_scored = self.n - self.n_faults
        extra = f"  {self.n_faults} faults" if self.n_faults else ""
        extra += f"  {self._n_truncated} cut off" if self._n_truncated else ""
        if not n_scored:
            return extra.strip()
        return f"{self._n_right / n_scored:.1%} right  {self._n_steps / n_scored:.1f} steps{extra}"
