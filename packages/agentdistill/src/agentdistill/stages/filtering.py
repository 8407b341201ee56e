"""Filter: keep the collected trajectories that are worth learning from, and count why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentdistill.filters import filter_traces
from agentdistill.layout import collected, filtered
from agentdistill.progress import Progress
from agentdistill.run import Run
from agentdistill.stages.folder import StageFolder
from agentdistill.store import file_digest, read_traces, write_jsonl
from agentdistill.types import Trace


def folder_of(run: Run, name: str) -> StageFolder:
    """The folder of one filtered collection, which has to be collected by now; with ``paired``, all have to be."""
    settings, inputs = {"keep": list(run.recipe.filter.keep)}, {"traces": file_digest(collected(run.folder, name))}
    if run.recipe.filter.paired:
        inputs |= {other: file_digest(collected(run.folder, other)) for other in run.collections}
    return StageFolder(filtered(run.folder, name).parent, "filter", settings, inputs)


def filter_collection(run: Run, name: str, progress: Progress) -> Path:
    """Filter one collection and return the kept traces' file. Does nothing where it is there already."""
    out, folder = filtered(run.folder, name), folder_of(run, name)
    if folder.is_done:
        return out
    with folder.claimed():
        traces = read_traces(collected(run.folder, name))
        task = progress.task("filter", name, len(traces))
        kept, counts = filter_traces(traces, run.recipe.filter.keep)
        if run.recipe.filter.paired:
            kept, counts["unpaired"] = _paired(run, kept)
            counts["kept"] = len(kept)
        write_jsonl(out, kept)
        folder.finish({"counts": counts})
    rejected = " · ".join(f"{n} {why.replace('_', ' ')}" for why, n in counts.items() if why != "kept" and n)
    task.done(f"{counts['kept']} kept" + (f" · failed: {rejected}" if rejected else ""))
    return out


def _paired(run: Run, kept: Sequence[Trace]) -> tuple[list[Trace], int]:
    """The traces on problems that every collection of the run has a passing trace of, and how many are not."""
    everywhere = {t.problem.id for t in kept}
    for other in run.collections:
        passing, _ = filter_traces(read_traces(collected(run.folder, other)), run.recipe.filter.keep)
        everywhere &= {t.problem.id for t in passing}
    paired = [t for t in kept if t.problem.id in everywhere]
    return paired, len(kept) - len(paired)
