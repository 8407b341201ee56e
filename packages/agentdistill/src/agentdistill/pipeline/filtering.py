"""Filter: keep the collected trajectories that are worth learning from, and count why the others are not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill.filters import RoundCounts, add_distinct, filter_traces
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.run import Run, collected, filtered, sampled, trained_name, training_traces
from agentdistill.problems.contamination import told
from agentdistill.progress import Progress
from agentdistill.recipe import StudentSettings, asks_teacher, sources_of
from agentdistill.recipe.methods import method
from agentdistill.registry import fingerprint
from agentdistill.store import digest, file_digest, read_traces, write_jsonl
from agentdistill.types import Trace


def folder_of(run: Run, name: str) -> StageFolder:
    """The folder of one filtered collection, which has to be collected by now; with ``paired``, all have to be."""
    settings: dict[str, Any] = {"keep": _keep(run)}
    inputs = {"traces": file_digest(collected(run.folder, name))}
    settings |= _distinct(run, _is_sampled(run, name))
    if run.recipe.filter.questions is not None:
        settings |= {"questions": run.recipe.filter.questions, "seed": run.recipe.seed}
    if run.recipe.filter.paired:
        inputs |= {other: file_digest(collected(run.folder, other)) for other in run.collections}
    if _is_screened(run, name):
        settings["contamination"] = run.recipe.problems.contamination
        inputs["test"] = digest([p.question for p in run.problems("test")])
    return StageFolder(filtered(run.folder, name).parent, "filter", settings, inputs)


def round_folder(run: Run, student: StudentSettings, method_name: str, number: int) -> StageFolder:
    """The folder of what a student learns in a later round, whose samples and earlier lessons are there by now."""
    inputs = {
        "traces": file_digest(sampled(run.folder, student, method_name, number)),
        "earlier": file_digest(training_traces(run.folder, student, method_name, number - 1)),
    }
    path = training_traces(run.folder, student, method_name, number).parent
    return StageFolder(path, "filter", {"keep": _keep(run), **_distinct(run, True)}, inputs)


def _keep(run: Run) -> list[str]:
    return [fingerprint("filters", name) for name in run.recipe.filter.keep]


def _distinct(run: Run, distinct: bool) -> dict[str, Any]:
    """The setting by which only so many different successes of a question are kept."""
    rounds = run.recipe.rounds
    return {"per_question": rounds.per_question} if distinct and rounds is not None else {}


def _is_sampled(run: Run, name: str) -> bool:
    """Whether a collection is the first of several rounds of sampling; published ones alone are kept as they are."""
    return run.recipe.rounds is not None and asks_teacher(run.recipe.collect, name)


def _is_screened(run: Run, name: str) -> bool:
    """Whether test questions are looked for here: what a teacher was asked went through that before."""
    return bool(sources_of(run.recipe.collect, name)) and bool(run.problems("test"))


def filter_collection(run: Run, name: str, progress: Progress) -> Path:
    """Filter one collection and return the kept traces' file. Does nothing where it is there already."""
    folder, source = folder_of(run, name), collected(run.folder, name)
    return _filter(run, folder, source, [], 0 if _is_sampled(run, name) else None, progress, name, name)


def filter_round(run: Run, student: StudentSettings, method_name: str, number: int, progress: Progress) -> Path:
    """Join what a student got right in a later round to what it learned before. Does nothing where that is done."""
    name = method(method_name).learns or ""
    folder = round_folder(run, student, method_name, number)
    earlier = read_traces(training_traces(run.folder, student, method_name, number - 1))
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
    given: str | None = None,
) -> Path:
    """Filter a file. With ``n_given``, the number of published ones among the ``earlier``, only distinct ones join.

    ``given`` names the collection that the file is, where it is one.
    """
    out = folder.path / source.name
    if folder.is_done:
        return out
    with folder.claimed(progress.say):
        traces = read_traces(source)
        task = progress.task("filter", what, len(traces))
        screening = run.screen([t.problem for t in traces]) if given is not None and _is_screened(run, given) else None
        clean = traces if screening is None else screening.kept(traces)
        passed, counts = filter_traces(clean, run.recipe.filter.keep)
        facts: dict[str, Any] = {"counts": counts}
        if screening is not None:
            counts["contaminated"] = len(traces) - len(clean)
            facts["contamination"] = screening.facts()
        if given is not None and run.recipe.filter.paired:
            passed, counts["unpaired"] = _paired(run, passed)
            counts["kept"] = len(passed)
        if given is not None and run.recipe.filter.questions is not None:
            passed, counts["beyond_limit"] = _drawn(passed, run.recipe.filter.questions, run.recipe.seed)
            counts["kept"] = len(passed)
        kept = [run.as_learned(t) for t in passed]
        if n_given is not None and run.recipe.rounds is not None:
            kept, left_out = add_distinct(earlier, kept, run.recipe.rounds.per_question, n_given)
            counts |= {"kept": len(kept), **left_out}
        write_jsonl(out, [*earlier, *kept])
        folder.finish({**facts, "n": len(earlier) + len(kept)})
    if screening is not None and screening.found:
        progress.say(f"contamination: {what}: {told(screening.facts())}")
    rejected = " · ".join(f"{n} {why.replace('_', ' ')}" for why, n in counts.items() if why != "kept" and n)
    task.done(f"{counts['kept']} kept" + (f" · failed: {rejected}" if rejected else ""))
    if run.recipe.rounds is not None:
        progress.say(f"{what}: {RoundCounts.of(traces)}; {len(earlier) + len(kept):,} to learn from")
    return out


def _paired(run: Run, kept: Sequence[Trace]) -> tuple[list[Trace], int]:
    """The traces on problems that every collection of the run has a passing trace of, and how many are not."""
    everywhere = {t.problem.id for t in kept}
    for other in run.collections:
        passing, _ = filter_traces(read_traces(collected(run.folder, other)), run.recipe.filter.keep)
        everywhere &= {t.problem.id for t in passing}
    paired = [t for t in kept if t.problem.id in everywhere]
    return paired, len(kept) - len(paired)


def _drawn(passed: Sequence[Trace], n: int, seed: int) -> tuple[list[Trace], int]:
    """The traces of ``n`` questions, in their order, and how many are left out; of every family as many as it has, up
    to an even share. A question's place in its family's draw depends on the seed and its own id, so collections of the
    same questions give the same ones, and more contain fewer."""
    families: dict[str, list[str]] = {}
    for i, family in sorted({(t.problem.id, t.problem.family) for t in passed}, key=lambda p: digest([seed, p[0]])):
        families.setdefault(family, []).append(i)
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*(families[f] for f in sorted(families))))
    chosen = set(itertools.islice((i for i in in_turn if i is not None), n))
    drawn = [t for t in passed if t.problem.id in chosen]
    return drawn, len(passed) - len(drawn)
