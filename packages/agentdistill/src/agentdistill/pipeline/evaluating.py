"""Evaluate: the students, and the teacher where it is asked for, answer the test problems."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agentdistill.batching import Work
from agentdistill.models import Model, load_model
from agentdistill.models.weights import is_gguf, locate, runnable
from agentdistill.pipeline.folder import StageFolder, run_rollouts
from agentdistill.pipeline.run import Run, elsewhere, episode, evaluated, trained, training_traces, trainings
from agentdistill.progress import Progress
from agentdistill.recipe import StudentSettings, student_name
from agentdistill.recipe.methods import method
from agentdistill.store import digest, file_digest
from agentdistill.types import Problem, Trace


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation: a student or, with None, the teacher, by one method. ``order`` is its place in the report.

    ``number`` is the round of a student that is not the last.
    """

    student: StudentSettings | None
    method: str
    order: int
    number: int | None = None

    @property
    def model(self) -> str:
        """The name it goes by."""
        return student_name(self.student) if self.student else "teacher"


def jobs(run: Run) -> list[Job]:
    """Every evaluation that the recipe asks for, the teacher's first."""
    pairs: list[tuple[StudentSettings | None, str]] = [(None, m) for m in run.recipe.evaluate.teacher]
    pairs += [(s, m) for s in run.recipe.students for m in s.methods]
    return [*_of_rounds(run), *(Job(s, m, i) for i, (s, m) in enumerate(pairs))]


def _of_rounds(run: Run) -> list[Job]:
    """The students of all rounds but the last, where the recipe has them evaluated too."""
    recipe = run.recipe
    if recipe.rounds is None or not recipe.rounds.each:
        return []
    found = trainings(recipe)
    return [Job(s, m, i, number) for number in range(1, recipe.rounds.n) for i, (s, m) in enumerate(found)]


def folder_of(run: Run, job: Job) -> StageFolder:
    """The folder of one evaluation. A student that is evaluated has to be trained by now."""
    m = method(job.method)
    inputs = {**run.rollout_inputs("test", m.distilled), "weights": _weights_digest(run, job)}
    template = run.recipe.train.chat_template
    if job.student is not None and template is not None:
        inputs["chat_template"] = file_digest(Path(template))
    key = {"model": job.model, "method": job.method, **run.rollout_key(run.recipe.evaluate, m)}
    if job.student is None:
        for students in ("device", "batch_size"):
            key["rollout"].pop(students)
    if m.distilled:
        key |= run.round_key(job.number)
    path = evaluated(run.folder, job.model, job.method, job.number)
    return StageFolder(path, "evaluate", key, inputs, m.ignores)


def evaluate(run: Run, job: Job, progress: Progress) -> Path:
    """Run one evaluation and return its folder. Does nothing where it is there already."""
    folder = folder_of(run, job)
    if folder.is_done or (run.recipe.rounds is not None and folder.adopt(elsewhere(run.folder, folder.path))):
        return folder.path
    problems = run.problems("test")
    which = f"{job.method} · round {job.number}" if job.number else job.method
    what = f"{job.model} · {which} · {len(problems)} questions"
    work = partial(answering, run, job.method, problems, partial(_model, run, job))
    run_rollouts(folder, [(p, p.id) for p in problems], work, progress, what, _facts(run, job), run.recipe.on_ray)
    return folder.path


@asynccontextmanager
async def answering(
    run: Run, method_name: str, problems: Sequence[Problem], load: Callable[[], Model]
) -> AsyncIterator[Work[Trace]]:
    """The model that ``load`` gives, and an episode by a method for every problem, as evaluation runs them."""
    settings, m = run.recipe.evaluate, method(method_name)
    rollouts = run.rollout_settings(settings, m)
    with run.environment(settings) as environment:
        model = load()
        try:
            yield Work(model, [episode(run, m, environment, rollouts, p, p.id, m.distilled) for p in problems])
        finally:
            await model.aclose()


def _source(run: Run, job: Job) -> Path | str:
    """Where the student's weights lie: what was trained, or the base as it came."""
    assert job.student is not None
    if method(job.method).distilled:
        return trained(run.folder, job.student, job.method, job.number)
    return locate(job.student.base)


def _model(run: Run, job: Job) -> Model:
    if job.student is None:
        return run.teacher()
    settings = run.recipe.evaluate
    return load_model(
        "local",
        path=str(_source(run, job)),
        name=f"{job.model} {job.method}",
        device=settings.device,
        batch_size=settings.batch_size,
        chat_template=run.recipe.train.chat_template,
    )


def _weights_digest(run: Run, job: Job) -> str:
    if job.student is None:
        return digest(run.teacher_key)
    source = Path(_source(run, job))
    weights = sorted(source.glob("*.safetensors"))
    return digest([str(source.name), [file_digest(w) for w in weights]]) if weights else str(source)


def _facts(run: Run, job: Job) -> dict[str, Any]:
    """What the report says of the model."""
    return {
        "student": job.model,
        "method": job.method,
        "order": job.order,
        "role": "student" if job.student else "teacher",
        "trained_on": _trained_on(run, job),
        "corpus": run.corpus_facts(),
        "n_parameters": _n_parameters(_source(run, job)) if job.student else _teacher_parameters(run),
    }


def _trained_on(run: Run, job: Job) -> str | None:
    if job.student is None or not method(job.method).distilled:
        return None
    path = training_traces(run.folder, job.student, job.method, job.number or run.recipe.n_rounds)
    return str(path.parent.relative_to(run.folder))


def _teacher_parameters(run: Run) -> int | None:
    path = run.recipe.teacher.settings.get("path")
    return _n_parameters(runnable(path)) if isinstance(path, str) else None


def _n_parameters(source: Path | str) -> int | None:
    """Parameters of a folder's weights, its base's included, or of a GGUF file; None where that is not to be seen
    without loading."""
    from agentdistill.models.gguf_file import n_parameters
    from agentdistill.models.weights import resolve

    if is_gguf(str(source)):
        return n_parameters(Path(source))
    base, adapter = resolve(str(source))
    if adapter is not None:
        return _n_parameters(base)
    folder = Path(source)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    from safetensors import safe_open

    total = 0
    for file in files:
        with safe_open(file, "pt") as f:
            for name in f.keys():  # noqa: SIM118  a safetensors handle is no dict
                n = 1
                for size in f.get_slice(name).get_shape():
                    n *= size
                total += n
    return total
