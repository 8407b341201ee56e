"""The train stage: traces and a base model in, a loadable model out, the same after any number of kills."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError, InfrastructureError, RecipeError
from agentdistill.models.chat import ChatFormat, Example, read_template
from agentdistill.models.weights import load_tokenizer, locate, quiet, resolve
from agentdistill.store import digest, file_digest, write_atomic, write_json, write_jsonl
from agentdistill.training.lessons import CLASSES, LESSONS, Lesson, read_lessons
from agentdistill.training.settings import (
    Divergence,
    ProgressCallback,
    TrainResult,
    TrainSettings,
    is_first,
    is_launched,
    read_result,
    wait,
)
from agentdistill.types import Message, Source, Trace

CONFIGS = Path(__file__).parent / "accelerate"
PROGRESS = "progress "  # begins the lines by which the first process tells how far it is
_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
_NOT_RECORDED = ("save_every_s", "threads", "distributed", "reasoning")  # they change how, or only the data
_TIMING = ("seconds", "tokens_per_s", "resumed_from")
_FILES = {"lessons": LESSONS, "classes": CLASSES}
_WINDOW = 50  # batches among which sequences of like length are sought


def train(
    traces: Sequence[Trace],
    base: str,
    out: str | Path,
    settings: TrainSettings | None = None,
    *,
    on_progress: ProgressCallback | None = None,
    divergence: Divergence | None = None,
) -> TrainResult:
    """Fine-tune ``base`` on what the models of ``traces`` wrote: -sum_t log p(r_t, a_t | x, tau_<t) (paper, eq. 3).

    ``out`` becomes a folder to load: full weights, or a LoRA adapter that names its base; with it ``training.json``
    (settings, versions, hashes, counts, losses) and ``timing.json``. The same call after a kill goes on from the last
    checkpoint to the same weights; after the end it returns at once; with other data or settings it starts anew.
    ``on_progress(step, n_steps, loss, tokens_per_s)`` is called every ``log_every`` updates. With ``divergence`` the
    loss is that from a teacher's distributions at the same tokens instead, which then are the student's own; where it
    has lessons, they are read in place of ``traces``. Raises ModelError, DataError or RecipeError for what cannot be
    trained, InfrastructureError where the disk fails.
    """
    settings = settings or TrainSettings()
    out = Path(out)
    if divergence is not None and settings.distributed is not None:
        raise RecipeError("train.distributed: distillation from a teacher's distributions runs in one process")
    if settings.distributed is not None and not is_launched():
        return launch(traces, base, out, settings, on_progress)
    tokenizer = load_tokenizer(resolve(base)[0])
    template = read_template(settings.chat_template)
    if template is not None:
        tokenizer.chat_template = template
    if divergence is not None and divergence.lessons is not None:
        data = prepare_lessons(read_lessons(divergence.lessons / LESSONS), settings.max_length)
    else:
        data = prepare(traces, ChatFormat(tokenizer), settings.max_length, reasoning=settings.reasoning)
    manifest = _manifest(data, base, settings, divergence)
    done = read_result(out)
    if done is not None and _key_of(out) == manifest["key"]:
        return done
    try:
        return _run(data, tokenizer, base, out, settings, manifest, on_progress, divergence)
    except OSError as e:
        raise InfrastructureError(f"{e.filename or out}: {e.strerror or e}; the last checkpoint is kept") from e


def _key_of(out: Path) -> str:
    key: str = json.loads((out / "training.json").read_text(encoding="utf-8"))["key"]
    return key


def _manifest(data: TrainingData, base: str, settings: TrainSettings, divergence: Divergence | None) -> dict[str, Any]:
    from importlib.metadata import version

    from agentdistill import __version__

    manifest: dict[str, Any] = {
        "base": base,
        "base_hash": _hash_of(base),
        "data_hash": data.digest(),
        "seed": settings.seed,
        "settings": {k: v for k, v in asdict(settings).items() if k not in _NOT_RECORDED},
        "versions": {"agentdistill": __version__, **{name: version(name) for name in _PACKAGES}},
    }
    if divergence is not None:
        if divergence.lessons is not None:
            told = {f"{name}_hash": file_digest(divergence.lessons / f) for name, f in _FILES.items()}
        else:
            told = {"teacher_hash": _hash_of(divergence.teacher or "")}
        manifest["divergence"] = {**told, "beta": divergence.beta}
    # Paths are not content: the hashes speak for the base, the data's ids for the template.
    content = {**manifest, "base": None, "settings": {**manifest["settings"], "chat_template": None}}
    return {"key": digest(content), **manifest}


def _hash_of(weights: str) -> str:
    place = Path(locate(weights))
    return file_digest(place) if place.is_dir() else weights


def _run(
    data: TrainingData,
    tokenizer: Any,
    base: str,
    out: Path,
    settings: TrainSettings,
    manifest: dict[str, Any],
    on_progress: ProgressCallback | None,
    divergence: Divergence | None,
) -> TrainResult:
    from agentdistill.training._sft import build, last_checkpoint, save

    checkpoints = out / "checkpoints"
    _claim(checkpoints, manifest["key"])
    with quiet():
        lengths = [len(e.input_ids) for e in data.examples]
        order = reading_order(lengths, settings.epochs, settings.batch_size, settings.seed)
        trainer, keeper = build(data, order, tokenizer, base, checkpoints, settings, on_progress, divergence)
        resumed = last_checkpoint(checkpoints)
        started = time.monotonic()
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        seconds = time.monotonic() - started
        save(trainer, tokenizer, out, base)
    curve = tuple((int(h["step"]), h["loss"]) for h in trainer.state.log_history if "loss" in h)
    result = TrainResult(
        out=out,
        n_traces=data.n_traces,
        n_examples=len(data.examples),
        n_tokens=data.n_tokens,
        n_trained_tokens=data.n_trained_tokens,
        n_too_long=len(data.too_long),
        n_steps=trainer.state.global_step,
        final_loss=curve[-1][1],
        loss_curve=curve,
        seconds=seconds,
        tokens_per_s=keeper.tokens_per_s(trainer.state.global_step),
        resumed_from=keeper.first_step or None,
    )
    if is_first():
        _write(result, manifest, data.too_long)
        shutil.rmtree(checkpoints)
    return result


def _claim(checkpoints: Path, key: str) -> None:
    """Make the checkpoint folder this run's: what a run with other data or settings left there is dropped."""
    if is_first():
        note = checkpoints / "key"
        if checkpoints.exists() and (not note.is_file() or note.read_text(encoding="utf-8") != key):
            shutil.rmtree(checkpoints)
        write_atomic(note, key)
        (checkpoints.parent / "training.json").unlink(missing_ok=True)
    wait()


def _write(result: TrainResult, manifest: dict[str, Any], too_long: Sequence[str]) -> None:
    """Both records; ``training.json`` last, as it says that all is there. Times are kept out of it."""
    record = asdict(result)
    timing = {name: record.pop(name) for name in _TIMING}
    del record["out"]
    write_json(result.out / "timing.json", timing)
    write_json(result.out / "training.json", {**manifest, "too_long": list(too_long), "result": record})


# --- training sequences and their order -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Sequences to learn from, and what was left out: traces with a sequence above the length limit. ``lessons`` are
    those that the sequences are, where they are such.

    Ids are 32-bit arrays and marks bytes, so that millions of sequences fit in memory.
    """

    examples: tuple[Example, ...]
    n_traces: int
    too_long: tuple[str, ...]
    lessons: tuple[Lesson, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Tokens of all sequences, read or learned."""
        return sum(len(e.input_ids) for e in self.examples)

    @property
    def n_trained_tokens(self) -> int:
        """Tokens that are learned."""
        return sum(sum(e.trained) for e in self.examples)

    def digest(self) -> str:
        """A content hash of the ids and of which are learned, in order."""
        return digest([[list(e.input_ids), "".join("01"[t] for t in e.trained)] for e in self.examples])


def prepare(traces: Sequence[Trace], chat: ChatFormat, max_length: int, *, reasoning: bool = False) -> TrainingData:
    """Encode every trace as the model would see it. Only what its model wrote is learned, its reasoning where asked.

    A sequence of more than ``max_length`` tokens is dropped whole, with its trace's id noted once. Raises DataError
    where nothing is left.
    """
    examples: list[Example] = []
    too_long: list[str] = []
    for trace in traces:
        made = [e for c in _conversations(trace.messages, reasoning) for e in chat.examples(c)]
        fitting = [Example(array("i", e.input_ids), bytes(e.trained)) for e in made if len(e.input_ids) <= max_length]
        examples += fitting
        if len(fitting) < len(made):
            too_long.append(trace.id)
    if not examples:
        why = f"{len(too_long)} are longer than max_length {max_length}" if too_long else "no model wrote in them"
        raise DataError(f"nothing to train on: of {len(traces)} traces, {why}")
    return TrainingData(tuple(examples), len(traces), tuple(too_long))


def prepare_lessons(lessons: Sequence[Lesson], max_length: int) -> TrainingData:
    """The same of lessons that were told before. Those without a unit teach nothing and are left out too."""
    told = [lesson for lesson in lessons if lesson.units]
    kept = tuple(lesson for lesson in told if len(lesson.ids) <= max_length)
    if not kept:
        raise DataError(f"nothing to train on: of {len(lessons)} lessons, {len(told)} hold anything, all too long")
    learned = [bytes([*[0] * e.n_prompt, *[1] * e.n_written]) for e in kept]
    examples = tuple(Example(array("i", e.ids), t) for e, t in zip(kept, learned, strict=True))
    return TrainingData(examples, len(lessons), tuple(e.id for e in told if len(e.ids) > max_length), kept)


def _conversations(messages: tuple[Message, ...], reasoning: bool) -> Iterator[Sequence[Message]]:
    """The conversations to learn from: the whole one, or, with reasoning to learn, one for each turn, since a model is
    not sent the reasoning of its earlier turns."""
    if not reasoning or not any(m.reasoning for m in messages):
        yield messages
        return
    for t, m in enumerate(messages):
        if m.role == "assistant" and m.source is Source.MODEL:
            told = [replace(b, source=Source.PROMPT) if b.source is Source.MODEL else b for b in messages[:t]]
            yield [*told, with_reasoning(m)]


def with_reasoning(reply: Message) -> Message:
    """The turn as its model wrote it, its reasoning in the tags that most models use."""
    if not reply.reasoning:
        return reply
    return replace(reply, content=f"<think>\n{reply.reasoning}\n</think>\n\n{reply.content}", token_ids=None)


def reading_order(lengths: Sequence[int], epochs: int, batch_size: int, seed: int) -> list[int]:
    """Indices for all epochs, to be cut into batches of ``batch_size``: shuffled, with like lengths in one batch.

    Every index comes once an epoch. Only the last batch may be short.
    """
    rng = random.Random(seed)
    order: list[int] = []
    for _ in range(epochs):
        epoch = list(range(len(lengths)))
        rng.shuffle(epoch)
        order += epoch
    out: list[int] = []
    for start in range(0, len(order), _WINDOW * batch_size):
        window = sorted(order[start : start + _WINDOW * batch_size], key=lambda i: -lengths[i])
        batches = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
        last = [batches.pop()] if len(batches[-1]) < batch_size else []
        rng.shuffle(batches)
        out += [i for batch in batches + last for i in batch]
    return out


# --- several processes ------------------------------------------------------------------------------------------------


def config_file(distributed: str) -> Path:
    """The accelerate config of that name, or at that path. Raises RecipeError."""
    shipped = sorted(p.stem for p in CONFIGS.glob("*.yaml"))
    path = CONFIGS / f"{distributed}.yaml" if distributed in shipped else Path(distributed)
    if not path.is_file():
        raise RecipeError(f"train.distributed: {distributed!r} is neither a file nor one of {', '.join(shipped)}")
    return path


def launch(
    traces: Sequence[Trace], base: str, out: Path, settings: TrainSettings, on_progress: ProgressCallback | None
) -> TrainResult:
    """Run :func:`agentdistill.training.train` in the processes that the accelerate config asks for."""
    config = config_file(settings.distributed or "ddp")
    folder = out / "launch"
    write_jsonl(folder / "traces.jsonl", traces)
    inner = asdict(replace(settings, distributed=None))
    arguments = {"traces": str(folder / "traces.jsonl"), "base": base, "out": str(out), "settings": inner}
    write_json(folder / "arguments.json", arguments)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    process = subprocess.Popen(
        [*command, "-m", "agentdistill.training", str(folder / "arguments.json")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            if line.startswith(PROGRESS) and on_progress is not None:
                on_progress(*json.loads(line[len(PROGRESS) :]))
    result = read_result(out) if process.wait() == 0 else None
    if result is None:
        raise InfrastructureError(f"training of {out} ended with status {process.returncode}; the same call goes on")
    shutil.rmtree(folder)
    return result
