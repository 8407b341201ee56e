"""The stages in order, their independent parts side by side in worker processes where the recipe asks for that."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any

from markupsafe import Markup

from agentdistill import __version__, report
from agentdistill.batching import RaySettings
from agentdistill.errors import DataError, InfrastructureError, RecipeError, named_by
from agentdistill.models.chat import read_template
from agentdistill.models.weights import check_base
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.run import CONTAMINATION, Run, trainings
from agentdistill.problems.contamination import told
from agentdistill.progress import Progress, ProgressEvent, Relay, Silent, Task, replay
from agentdistill.recipe import Recipe, StudentSettings
from agentdistill.recipe.methods import Method, method
from agentdistill.store import digest, file_digest, locked, sweep, write_atomic

STAGES = ("collect", "filter", "train", "evaluate", "verify", "report")
_WITHOUT_STUDENTS = ("collect", "filter")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class StagePart:
    """An independent part of a stage: the name of a function of this module, and its arguments besides the run."""

    work: str
    arguments: tuple[Any, ...]


def run_recipe(recipe: Recipe, folder: Path, progress: Progress | None = None, until: str = "report") -> Path:
    """Run the stages up to ``until`` and return the run's folder. What is done already is not done again.

    Raises UserError for what the user can fix, another process at work in the folder included, and
    InfrastructureError where the world failed; what was done is kept and the same call goes on from there.
    """
    progress = progress or Silent()
    if not recipe.students and (recipe.verify is not None or until not in _WITHOUT_STUDENTS):
        way_out = 'add one, for example with base = "owner/model", or collect only: agentdistill collect RECIPE'
        if recipe.verify is not None:
            way_out = "to verify only: agentdistill verify run RECIPE"
        raise RecipeError(f"{recipe.name}: no [student] to train; {way_out}")
    run = Run(recipe, folder)
    _check(run, progress)  # bad input is found before anything is spent
    with locked(folder / ".lock", folder):
        _tidy(folder)
        run.save_recipe()
        run.save_screening()
        n_done = 0
        for stage in STAGES[: STAGES.index(until) + 1]:
            for step in steps(run, stage):
                n_done += _do(run, step, progress)
        if not n_done and until != "report":
            learns = run.collections or until == "evaluate"
            why = "all of it is there already" if learns else "no method of its students learns from trajectories"
            progress.say(f"{folder}: nothing to {until}: {why}")
    return folder


def _check(run: Run, progress: Progress) -> None:
    run.problems("train")
    for line in run.skipped[:_SHOWN]:
        progress.say(f"{line}; row skipped (strict = true stops instead)")
    if len(run.skipped) > _SHOWN:
        progress.say(f"and {len(run.skipped) - _SHOWN} more rows skipped")
    for line in (*(f"warning: {w}" for w in run.warnings), *run.left_out_tools):
        progress.say(line)
    if run.recipe.examples is not None:
        for m in _prompted(run):
            run.check_examples(m)
    if run.screening is not None and run.screening.found:
        progress.say(f"contamination: {told(run.screening.facts())}")
    has_own = read_template(run.recipe.train.chat_template) is not None
    for student in run.recipe.students:
        with named_by("base of a student"):
            check_base(student.base, has_own, progress.say)


def _prompted(run: Run) -> list[Method]:
    """How models that were not trained are asked."""
    from agentdistill.pipeline.collect import asked_of_teacher

    evaluated = [*run.recipe.evaluate.teacher, *(m for s in run.recipe.students for m in s.methods)]
    methods = [method(name) for name in (*asked_of_teacher(run), *evaluated)]
    return [m for m in methods if not m.distilled]


def _tidy(folder: Path) -> None:
    """Remove what a killed run left half written; nobody else is at work here."""
    sweep(folder)
    for half in (folder / "index").glob(".*"):
        shutil.rmtree(half, ignore_errors=True)


def steps(run: Run, stage: str) -> Iterator[list[StagePart]]:
    """What a stage consists of, step by step; the parts of one step do not wait for each other.

    Where the recipe has rounds, sampling and filtering of all but the first belong to training.
    """
    from agentdistill.pipeline.evaluating import jobs

    if stage in ("collect", "filter"):
        yield [StagePart(stage, (name,)) for name in run.collections]
    elif stage == "train":
        found = trainings(run.recipe)
        for number in range(1, run.recipe.n_rounds):
            yield [StagePart("train", (*t, number)) for t in found]
            yield [StagePart("sample", (*t, number + 1)) for t in found]
            yield [StagePart("filter_round", (*t, number + 1)) for t in found]
        yield [StagePart("train", (*t, None)) for t in found]
    elif stage == "evaluate":
        yield [StagePart("evaluate", (job,)) for job in jobs(run)] if run.problems("test") else []
    elif stage == "verify":
        yield [] if run.recipe.verify is None else [StagePart("verify", ())]
    else:
        yield [StagePart("report", ())]


def _collect(run: Run, progress: Progress, name: str) -> None:
    from agentdistill.pipeline.collect import collect

    collect(run, name, progress)


def _filter(run: Run, progress: Progress, name: str) -> None:
    from agentdistill.pipeline.filtering import filter_collection

    filter_collection(run, name, progress)


def _train(run: Run, progress: Progress, student: StudentSettings, method: str, number: int | None) -> None:
    from agentdistill.pipeline.training import train_student

    train_student(run, student, method, progress, number)


def _sample(run: Run, progress: Progress, student: StudentSettings, method: str, number: int) -> None:
    from agentdistill.pipeline.collect import sample

    sample(run, student, method, number, progress)


def _filter_round(run: Run, progress: Progress, student: StudentSettings, method: str, number: int) -> None:
    from agentdistill.pipeline.filtering import filter_round

    filter_round(run, student, method, number, progress)


def _evaluate(run: Run, progress: Progress, job: Any) -> None:
    from agentdistill.pipeline.evaluating import evaluate

    evaluate(run, job, progress)


def _verify(run: Run, progress: Progress) -> None:
    from agentdistill.pipeline.verifying import verify

    verify(run, progress)


def _report(run: Run, progress: Progress) -> None:
    write_report(run.folder, progress)


_WORK: dict[str, Callable[..., None]] = {
    "collect": _collect,
    "filter": _filter,
    "train": _train,
    "sample": _sample,
    "filter_round": _filter_round,
    "evaluate": _evaluate,
    "verify": _verify,
    "report": _report,
}


def _is_done(run: Run, part: StagePart) -> bool:
    from agentdistill.pipeline import collect, evaluating, filtering, training

    if part.work == "verify":
        return False  # its parts see for themselves what is missing
    if part.work == "report":
        return is_reported(run.folder)
    folder_of: dict[str, Callable[..., StageFolder]] = {
        "collect": collect.folder_of,
        "filter": filtering.folder_of,
        "train": training.folder_of,
        "sample": collect.sample_folder,
        "filter_round": filtering.round_folder,
        "evaluate": evaluating.folder_of,
    }
    return folder_of[part.work](run, *part.arguments).is_done


def _do(run: Run, stage_parts: Sequence[StagePart], progress: Progress) -> int:
    """Do what is missing of these parts; how many that were."""
    missing = [part for part in stage_parts if not _is_done(run, part)]
    n_jobs = min(run.recipe.jobs, len(missing))
    ray = run.recipe.on_ray if missing and missing[0].work in ("collect", "sample", "evaluate") else None
    if n_jobs <= 1 or missing[0].work in ("filter", "filter_round") or ray is not None:
        with _cluster(ray):
            for part in missing:
                _WORK[part.work](run, progress, *part.arguments)
    else:
        _side_by_side(run, missing, progress, n_jobs)
    return len(missing)


@contextmanager
def _cluster(settings: RaySettings | None) -> Iterator[None]:
    """One connection for all parts of a stage, where its episodes run on Ray."""
    if settings is None:
        yield
        return
    from agentdistill.batching.ray import connected

    with connected(settings):
        yield


def _side_by_side(run: Run, stage_parts: Sequence[StagePart], progress: Progress, n_jobs: int) -> None:
    """Every part in one of ``n_jobs`` worker processes. The first error ends the others and is raised."""
    context = get_context("spawn")
    events = context.Queue()
    tasks: dict[int, Task] = {}
    pool = ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_start_worker, initargs=(events, os.getpid()))
    futures: set[Future[None]] = set()
    try:
        with _without_interrupts():
            futures = {pool.submit(_in_worker, run.recipe, run.folder, part, i) for i, part in enumerate(stage_parts)}
        pending = futures
        while pending:
            finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            _drain(events, progress, tasks)
            for future in finished:
                future.result()
        pool.shutdown(wait=True)  # a worker that ends sends what it still had to say
        _drain(events, progress, tasks)
    except BrokenProcessPool as e:
        raise InfrastructureError(
            f"{run.folder}: a worker process was killed (is there enough memory for jobs = {n_jobs}?); what was done "
            "is kept, run the same command to go on"
        ) from e
    except BaseException:
        for future in futures:
            future.cancel()
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C, for processes started here too: it is for this process, which ends its workers itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _drain(events: Any, progress: Progress, tasks: dict[int, Task]) -> None:
    while True:
        try:
            event: ProgressEvent = events.get_nowait()
        except Empty:
            return
        replay(event, progress, tasks)


_events: Any = None


def _start_worker(events: Any, parent: int) -> None:
    """A worker ends with its parent, even one that was killed, and uses one thread: more stall each other."""
    global _events
    _events = events
    _end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    import torch

    torch.set_num_threads(1)


def _end_with_parent(parent: int) -> None:
    import ctypes

    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _in_worker(recipe: Recipe, folder: Path, part: StagePart, number: int) -> None:
    _WORK[part.work](Run(recipe, folder), Relay(_events.put, number), *part.arguments)


# --- report: everything that a run measured, as JSON for scripts and as one HTML page for people ---


VERIFICATION = "verify.json"
"""What ``verify run`` and ``verify curve`` leave in a run's folder."""
_FACTS = ("manifest.json", "training.json", "timing.json")
_SOURCES = (
    "recipe.json",
    CONTAMINATION,
    VERIFICATION,
    *(f"*/*/{name}" for name in _FACTS),
    *(f"rounds/*/*/*/{name}" for name in _FACTS),
)


def write_report(folder: Path, progress: Progress) -> Path:
    """Write ``report.json`` and ``report.html`` of a run and return the page."""
    task = progress.task("report", str(folder / "report.html"), 1)
    page = report.write_report(folder, _sections(folder))
    write_atomic(_note(folder), _key(folder))
    task.done("")
    return page


def _sections(folder: Path) -> dict[str, Markup]:
    """What stands in the report beside the run itself, by the name of its section."""
    path = folder / VERIFICATION
    if not path.exists():
        return {}
    from agentdistill.verify.page import section

    try:
        return {"Verification": section(json.loads(path.read_text(encoding="utf-8"))["curves"])}
    except (ValueError, KeyError, TypeError) as e:
        raise DataError(f"{path}: no curves of verification ({e}); delete it and make it again") from e


def is_reported(folder: Path) -> bool:
    """Whether the report that is there tells of the run as it is now."""
    if not (folder / "report.html").exists() or not (folder / "report.json").exists():
        return False
    note = _note(folder)
    return note.exists() and note.read_text(encoding="utf-8") == _key(folder)


def _note(folder: Path) -> Path:
    return folder / ".report.key"


def _key(folder: Path) -> str:
    found = sorted(p for pattern in _SOURCES for p in folder.glob(pattern))
    return digest([__version__, [[str(p.relative_to(folder)), file_digest(p)] for p in found]])
