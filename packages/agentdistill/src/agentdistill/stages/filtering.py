"""Filter: keep the collected trajectories that are worth learning from, and count why the others are not."""

from __future__ import annotations

from pathlib import Path

from agentdistill.filters import filter_traces
from agentdistill.layout import collected, filtered
from agentdistill.progress import Progress
from agentdistill.run import Run
from agentdistill.stages.folder import StageFolder
from agentdistill.store import file_digest, read_traces, write_jsonl


def folder_of(run: Run, name: str) -> StageFolder:
    """The folder of one filtered collection, which has to be collected by now."""
    inputs = {"traces": file_digest(collected(run.folder, name))}
    return StageFolder(filtered(run.folder, name).parent, "filter", {"keep": list(run.recipe.filter.keep)}, inputs)


def filter_collection(run: Run, name: str, progress: Progress) -> Path:
    """Filter one collection and return the kept traces' file. Does nothing where it is there already."""
    out, folder = filtered(run.folder, name), folder_of(run, name)
    if folder.is_done:
        return out
    with folder.claimed():
        traces = read_traces(collected(run.folder, name))
        task = progress.task("filter", name, len(traces))
        kept, counts = filter_traces(traces, run.recipe.filter.keep)
        write_jsonl(out, [run.as_learned(t) for t in kept])
        folder.finish({"counts": counts})
    rejected = " · ".join(f"{n} {why.replace('_', ' ')}" for why, n in counts.items() if why != "kept" and n)
    task.done(f"{counts['kept']} kept" + (f" · failed: {rejected}" if rejected else ""))
    return out
