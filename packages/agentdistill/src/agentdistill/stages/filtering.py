"""Filter: keep the collected trajectories that are worth learning from, and count why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill.filters import filter_traces
from agentdistill.layout import collected, filtered, lessons, sampled, trained_name
from agentdistill.lessons import RoundCounts, add_distinct
from agentdistill.methods import method
from agentdistill.progress import Progress
from agentdistill.recipe import StudentSettings
from agentdistill.run import Run
from agentdistill.stages.folder import StageFolder
from agentdistill.store import file_digest, read_traces, write_jsonl
from agentdistill.types import Trace


def folder_of(run: Run, name: str) -> StageFolder:
    """The folder of one filtered collection, which has to be collected by now."""
    inputs = {"traces": file_digest(collected(run.folder, name))}
    return StageFolder(filtered(run.folder, name).parent, "filter", _settings(run, _is_sampled(run, name)), inputs)


def round_folder(run: Run, student: StudentSettings, method_name: str, number: int) -> StageFolder:
    """The folder of what a student learns in a later round, whose samples and earlier lessons are there by now."""
    inputs = {
        "traces": file_digest(sampled(run.folder, student, method_name, number)),
        "earlier": file_digest(lessons(run.folder, student, method_name, number - 1)),
    }
    path = lessons(run.folder, student, method_name, number).parent
    return StageFolder(path, "filter", _settings(run, True), inputs)


def _settings(run: Run, distinct: bool) -> dict[str, Any]:
    rounds = run.recipe.rounds
    own = {"per_question": rounds.per_question} if distinct and rounds is not None else {}
    return {"keep": list(run.recipe.filter.keep), **own}


def _is_sampled(run: Run, name: str) -> bool:
    """Whether a collection is the first of several rounds of sampling; published trajectories are kept as they are."""
    return run.recipe.rounds is not None and name not in run.recipe.collect.trajectories


def filter_collection(run: Run, name: str, progress: Progress) -> Path:
    """Filter one collection and return the kept traces' file. Does nothing where it is there already."""
    folder, source = folder_of(run, name), collected(run.folder, name)
    return _filter(run, folder, source, [], 0 if _is_sampled(run, name) else None, progress, name)


def filter_round(run: Run, student: StudentSettings, method_name: str, number: int, progress: Progress) -> Path:
    """Join what a student got right in a later round to what it learned before. Does nothing where that is done."""
    name = method(method_name).learns or ""
    folder = round_folder(run, student, method_name, number)
    earlier = read_traces(lessons(run.folder, student, method_name, number - 1))
    n_given = 0 if _is_sampled(run, name) else len(read_traces(filtered(run.folder, name)))
    source = sampled(run.folder, student, method_name, number)
    what = f"{trained_name(student, method_name)} · round {number}"
    return _filter(run, folder, source, earlier, n_given, progress, what)


def _filter(
    run: Run,
    folder: StageFolder,
    source: Path,
    earlier: Sequence[Trace],
    n_given: int | None,
    progress: Progress,
    what: str,
) -> Path:
    """Filter a file. With ``n_given``, the number of published ones among the ``earlier``, only distinct ones join."""
    out = folder.path / source.name
    if folder.is_done:
        return out
    with folder.claimed():
        traces = read_traces(source)
        task = progress.task("filter", what, len(traces))
        passed, counts = filter_traces(traces, run.recipe.filter.keep)
        kept = [run.as_learned(t) for t in passed]
        if n_given is not None and run.recipe.rounds is not None:
            kept, left_out = add_distinct(earlier, kept, run.recipe.rounds.per_question, n_given)
            counts |= {"kept": len(kept), **left_out}
        write_jsonl(out, [*earlier, *kept])
        folder.finish({"counts": counts, "n": len(earlier) + len(kept)})
    rejected = " · ".join(f"{n} {why.replace('_', ' ')}" for why, n in counts.items() if why != "kept" and n)
    task.done(f"{counts['kept']} kept" + (f" · failed: {rejected}" if rejected else ""))
    if run.recipe.rounds is not None:
        progress.say(f"{what}: {RoundCounts.of(traces)}; {len(earlier) + len(kept):,} to learn from")
    return out
