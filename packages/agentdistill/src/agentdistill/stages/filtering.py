"""Filter: keep the collected trajectories that are worth learning from, and count why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill.contamination import told
from agentdistill.filters import filter_traces
from agentdistill.layout import collected, filtered
from agentdistill.progress import Progress
from agentdistill.recipe import sources_of
from agentdistill.run import Run
from agentdistill.stages.folder import StageFolder
from agentdistill.store import digest, file_digest, read_traces, write_jsonl
from agentdistill.types import Trace


def folder_of(run: Run, name: str) -> StageFolder:
    """The folder of one filtered collection, which has to be collected by now; with ``paired``, all have to be."""
    settings: dict[str, Any] = {"keep": list(run.recipe.filter.keep)}
    inputs = {"traces": file_digest(collected(run.folder, name))}
    if run.recipe.filter.paired:
        inputs |= {other: file_digest(collected(run.folder, other)) for other in run.collections}
    if _is_screened(run, name):
        settings["contamination"] = run.recipe.problems.contamination
        inputs["test"] = digest([p.question for p in run.problems("test")])
    return StageFolder(filtered(run.folder, name).parent, "filter", settings, inputs)


def _is_screened(run: Run, name: str) -> bool:
    """Whether test questions are looked for here: what a teacher was asked went through that before."""
    return bool(sources_of(run.recipe.collect, name)) and bool(run.problems("test"))


def filter_collection(run: Run, name: str, progress: Progress) -> Path:
    """Filter one collection and return the kept traces' file. Does nothing where it is there already."""
    out, folder = filtered(run.folder, name), folder_of(run, name)
    if folder.is_done:
        return out
    with folder.claimed():
        traces = read_traces(collected(run.folder, name))
        task = progress.task("filter", name, len(traces))
        screening = run.screen([t.problem for t in traces]) if _is_screened(run, name) else None
        clean = traces if screening is None else screening.kept(traces)
        kept, counts = filter_traces(clean, run.recipe.filter.keep)
        facts: dict[str, Any] = {"counts": counts}
        if screening is not None:
            counts["contaminated"] = len(traces) - len(clean)
            facts["contamination"] = screening.facts()
        if run.recipe.filter.paired:
            kept, counts["unpaired"] = _paired(run, kept)
            counts["kept"] = len(kept)
        write_jsonl(out, [run.as_learned(t) for t in kept])
        folder.finish(facts)
    if screening is not None and screening.found:
        progress.say(f"contamination: {name}: {told(screening.facts())}")
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
