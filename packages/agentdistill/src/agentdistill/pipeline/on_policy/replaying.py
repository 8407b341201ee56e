"""Replayed prefixes (ReOPD, arXiv 2607.04763): the first steps of a stored trajectory of the teacher's are shown, the
student writes the next one, and the teacher says what it makes of every token of that. No code is run.

What a student writes is kept as a trace whose steps are the teacher's, as part of the prompt, and one of its own. What
a served teacher, or one of another vocabulary, makes of it is kept as a lesson.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.batching import Episode, Work
from agentdistill.errors import InfrastructureError, RefusedError
from agentdistill.loop import Policy, RolloutSettings, code_of, faulty, reply_of
from agentdistill.models import Model, is_out_of_context
from agentdistill.models.alignment import Alignment, Vocabulary
from agentdistill.models.endpoint import Endpoint
from agentdistill.models.reading import LocalReader, Reader, ServedReader
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.run import Run, filtered, load_student
from agentdistill.progress import Progress
from agentdistill.prompts import PromptTemplate
from agentdistill.recipe.methods import method
from agentdistill.store import append_jsonl, read_traces, repair_jsonl, seed_of
from agentdistill.training.lessons import CLASSES, LESSONS, Classes, Lesson, read_lessons, write_classes, write_lessons
from agentdistill.types import End, Sampling, Source, Step, StepStatus, Trace, Usage

if TYPE_CHECKING:
    from agentdistill.models.chat import ChatFormat

METHOD = "replay"
_PARTIAL = "lessons.partial.jsonl"


# --- what is replayed, and what the student writes behind it ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replay:
    """The first ``n_steps`` steps of ``trace``, behind which the student writes the next. Its ``id`` is its alone."""

    id: str
    trace: Trace
    n_steps: int


def draw(traces: Sequence[Trace], n: int, decay: float, seed: int) -> list[Replay]:
    """``n`` replays, of every trajectory as often as of any other, within one.

    How many of its L steps are shown is drawn from 0 to L - 1, t of them with a probability in proportion to
    ``decay ** t``.
    """
    rng = random.Random(seed)
    order: list[Trace] = []
    while len(order) < n:
        order += rng.sample(traces, len(traces))
    out = []
    for i, trace in enumerate(order[:n]):
        lengths = range(len(trace.steps))
        [t] = rng.choices(lengths, [decay**t for t in lengths])
        out.append(Replay(f"{trace.id}@{t}#{i}", trace, t))
    return out


def drawn(run: Run, number: int) -> list[Replay]:
    """The replays of round ``number``, out of the trajectories that the recipe's student learned from."""
    settings = run.recipe.on_policy
    traces = [t for t in read_traces(filtered(run.folder, method(settings.method).learns or "")) if t.steps]
    n = settings.per_round or len(traces)
    return draw(traces, n, settings.decay, seed_of(run.recipe.seed, METHOD, number)) if traces else []


@asynccontextmanager
async def replaying(run: Run, weights: Path, number: int) -> AsyncIterator[Work[Trace]]:
    """The student with these weights, and a step of its own behind every prefix of a round."""
    evaluate, settings = run.recipe.evaluate, run.recipe.on_policy
    sampling = Sampling(settings.temperature, 1.0, evaluate.max_new_tokens)
    rollouts = RolloutSettings(1, sampling, seed=seed_of(run.recipe.seed, number))
    model = load_student(run, weights)

    def episode(replay: Replay) -> Episode[Trace]:
        return lambda m: write_next(m, replay, run.template, rollouts)

    try:
        yield Work(model, [episode(r) for r in drawn(run, number)])
    finally:
        await model.aclose()


async def write_next(model: Model, replay: Replay, template: PromptTemplate, settings: RolloutSettings) -> Trace:
    """The step that ``model`` writes behind a prefix, unscored and with its code not run."""
    kept = replay.trace.steps[: replay.n_steps]
    given = tuple(replace(s, reply=replace(s.reply, source=Source.PROMPT)) for s in kept)
    policy = Policy(model, seed_of(settings.seed, replay.id), settings.sampling)
    trace = replace(
        replay.trace, id=replay.id, method=METHOD, model=model.name, steps=given, end=End.NO_ANSWER, answer=None,
        score=None, usage=Usage(), notes=(),
    )  # fmt: skip
    said = [m for s in given for m in (s.reply, s.observation) if m is not None]
    try:
        sample = await policy.ask([*trace.prompt, *said], stop=template.AGENT_STOP)
    except (InfrastructureError, RefusedError) as e:
        return faulty(replace(trace, usage=policy.usage), e)
    if is_out_of_context(sample):
        return replace(trace, end=End.OUT_OF_CONTEXT, usage=policy.usage)
    reply = reply_of(sample)
    code = code_of(reply)
    step = Step(reply, StepStatus.NO_CODE if code is None else StepStatus.OK, code)
    return replace(trace, steps=(*given, step), usage=policy.usage)


# --- what a teacher makes of it ---------------------------------------------------------------------------------------


def shares_tokens(run: Run, tokenizer: Any) -> bool:
    """Whether the teacher's weights are in this process and know the tokens of this tokenizer and no others."""
    from agentdistill.models.weights import load_tokenizer, resolve

    teacher = run.recipe.teacher
    if teacher.model != "local" or teacher.settings.get("adapter"):
        return False
    path, adapter = resolve(str(teacher.settings["path"]))
    return adapter is None and bool(load_tokenizer(path).get_vocab() == tokenizer.get_vocab())


def reader_of(run: Run) -> Reader:
    """The teacher, to read with. Raises ModelError where it is of no kind that tells log-probabilities."""
    teacher, k = run.recipe.teacher, run.recipe.on_policy.top_k
    if teacher.model == "endpoint":
        model = run.teacher()
        assert isinstance(model, Endpoint)
        return ServedReader(model, teacher.settings.get("tokenizer"), k)
    known = ("adapter", "device", "dtype", "chat_template")
    return LocalReader(str(teacher.settings["path"]), k, **{n: v for n, v in teacher.settings.items() if n in known})


def read_all(
    folder: StageFolder,
    traces: Sequence[Trace],
    student: ChatFormat,
    open_reader: Callable[[], Reader],
    progress: Progress,
    what: str,
) -> list[Lesson]:
    """A lesson of every trace whose last step is the student's, in order, from disk where it is there already.

    Lessons are appended to a partial file as they come, so that a run that was killed goes on and leaves the same file.
    Raises InfrastructureError where the teacher fails and ModelError where it cannot tell; what was read stays.
    """
    if folder.is_done:
        return read_lessons(folder.path / LESSONS)
    with folder.claimed(progress.say):
        partial_file = folder.path / _PARTIAL
        repair_jsonl(partial_file)
        done = {lesson.id: lesson for lesson in (read_lessons(partial_file) if partial_file.exists() else ())}
        task = progress.task(folder.stage, what, len(traces))
        task.advance(len(done))
        asyncio.run(_read_missing(folder, traces, done, student, open_reader, task.advance))
        lessons = [done[t.id] for t in traces]
        write_lessons(folder.path, lessons)
        partial_file.unlink(missing_ok=True)
        facts = told(lessons)
        folder.finish(facts)
    task.done(f"{facts['n_read']:,} tokens read")
    if facts["n_merged"] or facts["n_left_out"]:
        of = f"of {facts['n_written']:,} tokens that the student wrote, the teacher's tokenizer cuts"
        progress.say(f"{folder.path}: {of} {facts['n_merged']:,} otherwise; {facts['n_left_out']:,} are left out")
    return lessons


async def _read_missing(
    folder: StageFolder,
    traces: Sequence[Trace],
    done: dict[str, Lesson],
    student: ChatFormat,
    open_reader: Callable[[], Reader],
    advance: Callable[[int], None],
) -> None:
    missing = [t for t in traces if t.id not in done]
    if not missing and (folder.path / CLASSES).exists():
        return
    reader = open_reader()
    try:
        alignment = await asyncio.to_thread(_aligned, student, reader.chat)
        write_classes(folder.path, Classes(alignment.n, tuple(alignment.student)))
        for at in range(0, len(missing), reader.n_at_once):
            some = missing[at : at + reader.n_at_once]
            lessons = await asyncio.gather(*(lesson_of(t, student, reader, alignment) for t in some))
            append_jsonl(folder.path / _PARTIAL, lessons)
            done |= {lesson.id: lesson for lesson in lessons}
            advance(len(lessons))
    finally:
        await reader.aclose()


def _aligned(student: ChatFormat, teacher: ChatFormat) -> Alignment:
    mine, its = (Vocabulary(chat.tokenizer, chat.end_ids) for chat in (student, teacher))
    return Alignment(mine, its)


async def lesson_of(trace: Trace, student: ChatFormat, reader: Reader, alignment: Alignment) -> Lesson:
    """What the teacher makes of the last turn of a trace. A conversation that it refuses teaches nothing."""
    ids, n_prompt = _last_turn(student, trace)
    its_ids, its_n_prompt = _last_turn(reader.chat, trace)
    try:
        read = await reader.read(its_ids, len(its_ids) - its_n_prompt)
    except RefusedError:
        return Lesson(trace.id, ids, n_prompt, ())
    units = alignment.units(ids[n_prompt:], its_ids[its_n_prompt:], read)
    return Lesson(trace.id, ids, n_prompt, tuple(units), len(its_ids))


def _last_turn(chat: ChatFormat, trace: Trace) -> tuple[tuple[int, ...], int]:
    """The ids of a conversation that ends with what its model wrote, and how many come before that."""
    [example] = chat.examples(trace.messages)
    n_prompt = list(example.trained).index(1)
    return tuple(example.input_ids), n_prompt


def told(lessons: Sequence[Lesson]) -> dict[str, int]:
    """Counts for a manifest: tokens of the student's, and those that the teacher read."""
    return {
        "n": len(lessons),
        "n_written": sum(lesson.n_written for lesson in lessons),
        "n_merged": sum(lesson.n_merged for lesson in lessons),
        "n_left_out": sum(lesson.n_left_out for lesson in lessons),
        "n_read": sum(lesson.n_read for lesson in lessons),
    }
