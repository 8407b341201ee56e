"""Filter: keep the collected trajectories that are worth learning from, and count why the others are not."""

from __future__ import annotations

from pathlib import Path

from agentdistill.filters import filter_traces
from agentdistill.layout import collected, filtered
from agentdistill.progress import Progress
from agentdistill.run import Run
from agentdistill.stages.folder import StageFolder
from agentdistill.store import file_digest, read_traces, write_jsonl


def filter_collection(run: Run, name: str, progress: Progress) -> Path:
    """Filter one collection and return the kept traces' file. Does nothing where it is there already."""
    source = collected(run.folder, name)
    names = run.recipe.filter.keep
    out = filtered(run.folder, name)
    folder = StageFolder(out.parent, "filter", {"keep": list(names)}, {"traces": file_digest(source)})
    if folder.is_done:
        return out
    folder.begin()
    traces = read_traces(source)
    task = progress.task("filter", name, len(traces))
    kept, counts = filter_traces(traces, names)
    write_jsonl(out, kept)
    folder.finish({"counts": counts})
    folder.release()
    rejected = " · ".join(f"{n} {why.replace('_', ' ')}" for why, n in counts.items() if why != "kept" and n)
    task.done(f"{counts['kept']} kept" + (f" · failed: {rejected}" if rejected else ""))
    return out
