"""Running episodes into a folder: what collection and evaluation share. Resumable at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from agentdistill.errors import InfrastructureError
from agentdistill.executors import OpenWork, RaySettings, hire
from agentdistill.progress import Progress, Task
from agentdistill.stages.folder import StageFolder
from agentdistill.store import append_jsonl, read_traces, repair_jsonl, write_jsonl
from agentdistill.types import End, Trace, Usage

TRACES = "traces.jsonl"
PARTIAL = "traces.partial.jsonl"


def run_rollouts(
    folder: StageFolder,
    ids: Sequence[str],
    open_work: OpenWork[Trace],
    progress: Progress,
    what: str,
    about: dict[str, object] | None = None,
    ray: RaySettings | None = None,
) -> list[Trace]:
    """The traces of these ids, in order, from disk where they are there already.

    ``open_work`` gives the model and one episode an id, in the same order; it is called only if a trace is missing, in
    this process or, with ``ray``, in its workers. ``about`` goes into the manifest as it is. Traces are appended to a
    partial file as they end and put in order when all are there, so that a run that was killed and taken up again
    leaves the same file as one that was not. Raises InfrastructureError when the world has failed so often that going
    on is useless; what was collected stays.
    """
    if folder.is_done:
        return read_traces(folder.path / TRACES)
    with folder.claimed():
        if folder.is_done:  # by the process that was waited for
            return read_traces(folder.path / TRACES)
        partial = folder.path / PARTIAL
        _reopen(folder.path, partial)
        done = {t.id: t for t in read_traces(partial)} if partial.exists() else {}
        started = time.monotonic()
        task = progress.task(folder.stage, what, len(ids))
        tally = Tally(done.values())
        task.advance(len(done), str(tally))
        if len(done) < len(ids):
            asyncio.run(_run_missing(ids, done, partial, open_work, ray, task, tally))
        traces = [done[i] for i in ids]
        write_jsonl(folder.path / TRACES, traces)
        partial.unlink(missing_ok=True)
        folder.finish({**(about or {}), **facts(traces)}, time.monotonic() - started)
    task.done(f"{len(traces)}/{len(ids)}  {Tally(traces)}")
    return traces


def _reopen(path: Path, partial: Path) -> None:
    """Mend a torn line, and take up a finished file whose faults are to be tried again."""
    if not partial.exists() and (path / TRACES).exists():
        write_jsonl(partial, read_traces(path / TRACES))
    if repair_jsonl(partial) or partial.exists():
        kept = {t.id: t for t in read_traces(partial) if t.end is not End.FAULT}
        write_jsonl(partial, kept.values())


async def _run_missing(
    ids: Sequence[str],
    done: dict[str, Trace],
    partial: Path,
    open_work: OpenWork[Trace],
    ray: RaySettings | None,
    task: Task,
    tally: Tally,
) -> None:
    async with hire(open_work, ray) as crew:
        for _ in range(2):  # faults get one more try before the stage ends
            breaker = _Breaker(limit=max(8, crew.batch_size), n_planned=len(ids))
            missing = {at for at, i in enumerate(ids) if i not in done or done[i].end is End.FAULT}

            def keep(
                results: Sequence[tuple[int, Trace]], missing: set[int] = missing, breaker: _Breaker = breaker
            ) -> None:
                new = [t for at, t in results if at in missing]  # others ran again only to keep their batch the same
                append_jsonl(partial, [t for t in new if t.end is not End.FAULT])
                for trace in new:
                    before = done.get(trace.id)
                    done[trace.id] = trace
                    tally.count(trace, before)
                    task.advance(int(before is None), str(tally))
                    breaker.saw(trace, tally)

            if missing:
                await crew.run(missing, keep)
        breaker.check_any(done.values(), tally)


class _Breaker:
    """Gives up when nothing but faults comes back."""

    def __init__(self, limit: int, n_planned: int) -> None:
        self._limit, self._n_planned, self._in_a_row = limit, n_planned, 0

    def saw(self, trace: Trace, tally: Tally) -> None:
        """Raise InfrastructureError where this is one fault in a row too many."""
        self._in_a_row = self._in_a_row + 1 if trace.end is End.FAULT else 0
        if self._in_a_row >= self._limit:
            raise self._error(trace, tally)

    def check_any(self, traces: Iterable[Trace], tally: Tally) -> None:
        """Raise InfrastructureError where every trace is a fault."""
        last = next(iter(traces), None)
        if last is not None and tally.n == tally.n_faults:
            raise self._error(last, tally)

    def _error(self, trace: Trace, tally: Tally) -> InfrastructureError:
        saved = f"{tally.n - tally.n_faults} of {self._n_planned} trajectories are saved"
        return InfrastructureError(f"{trace.fault}; {saved}, run the same command to go on")


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
