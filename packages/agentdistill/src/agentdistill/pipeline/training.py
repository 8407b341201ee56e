"""Train: a student learns from the filtered trajectories of one collection; and an estimate of what a recipe takes."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from agentdistill.errors import AgentDistillError, DataError, InfrastructureError
from agentdistill.models.weights import locate
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.run import Run, collected, elsewhere, trained, training_traces, trainings
from agentdistill.progress import Progress, Task
from agentdistill.recipe import Recipe, StudentSettings, student_name
from agentdistill.recipe.methods import method
from agentdistill.store import file_digest, read_traces
from agentdistill.training.settings import Divergence, TrainResult, TrainSettings
from agentdistill.types import Trace

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_HOW_ONLY = ("save_every_s", "threads", "distributed", "chat_template")
"""Settings that change how training goes on, not what comes of it; the template's text is an input of its own."""


def folder_of(run: Run, student: StudentSettings, method_name: str, number: int | None = None) -> StageFolder:
    """The folder of the student trained in round ``number``, None being the last; its lessons are there by now."""
    traces = file_digest(_training_traces(run, student, method_name, number))
    folder = folder_at(trained(run.folder, student, method_name, number), run, student, method_name, traces)
    return dataclasses.replace(folder, settings={**folder.settings, **run.round_key(number)})


def _training_traces(run: Run, student: StudentSettings, method_name: str, number: int | None) -> Path:
    return training_traces(run.folder, student, method_name, number or run.recipe.n_rounds)


def folder_at(path: Path, run: Run, student: StudentSettings, method_name: str, traces: str) -> StageFolder:
    """A folder for the student trained on the traces with this hash."""
    settings = dataclasses.asdict(_settings(run, student, method_name))
    base = Path(locate(student.base))
    inputs = {
        "traces": traces,
        "base": file_digest(base) if base.is_dir() else student.base,
    }
    if settings["chat_template"] is not None:
        inputs["chat_template"] = file_digest(Path(settings["chat_template"]))
    key = {k: v for k, v in settings.items() if k not in _HOW_ONLY}
    if not key["reasoning"]:
        del key["reasoning"]  # as before there was such a setting
    return StageFolder(path, "train", key, inputs)


def train_student(
    run: Run, student: StudentSettings, method_name: str, progress: Progress, number: int | None = None
) -> Path:
    """Train one student for one method and return its folder. Does nothing where it is there already.

    The student of another number of rounds that learned the very same is moved, not trained again.
    """
    folder = folder_of(run, student, method_name, number)
    if folder.is_done or (run.recipe.rounds is not None and folder.adopt(elsewhere(run.folder, folder.path))):
        return folder.path
    with folder.claimed(progress.say):
        if not folder.is_done:
            _train(run, student, method_name, number, folder, progress)
    return folder.path


def _settings(run: Run, student: StudentSettings, method_name: str) -> TrainSettings:
    whose = run.recipe if student.train is None else student
    settings = whose.train
    if not method(method_name).agent and whose.train_cot is not None:
        settings = whose.train_cot
    assert settings is not None
    return dataclasses.replace(settings, seed=run.recipe.seed)


def _train(
    run: Run,
    student: StudentSettings,
    method_name: str,
    number: int | None,
    folder: StageFolder,
    progress: Progress,
) -> None:
    learns, path = method(method_name).learns or "", _training_traces(run, student, method_name, number)
    traces = read_traces(path)
    if not traces:
        raise DataError(
            f"nothing to train on: no trajectory of {collected(run.folder, learns)} passed the filter; look at them "
            f"with: agentdistill show {run.folder}"
        )
    fit(run, student, method_name, traces, folder, progress)
    folder.finish({"trained_on": str(path.parent.relative_to(run.folder))})


def fit(
    run: Run,
    student: StudentSettings,
    method_name: str,
    traces: Sequence[Trace],
    folder: StageFolder,
    progress: Progress,
    *,
    weights: str | None = None,
    divergence: Divergence | None = None,
    learning_rate: float | None = None,
) -> TrainResult:
    """Train a student on these traces, with the method's settings, into a folder that the caller has claimed.

    It begins at its base, or at other ``weights``. With ``divergence`` it learns from a teacher's distributions at its
    own words, which it reads once: after that they are no longer what it would write.
    """
    from agentdistill.training import train

    settings = _settings(run, student, method_name)
    if divergence is not None:
        settings = dataclasses.replace(settings, epochs=1)
    if learning_rate is not None:
        settings = dataclasses.replace(settings, learning_rate=learning_rate)
    epochs = "1 epoch" if settings.epochs == 1 else f"{settings.epochs} epochs"
    what = f"{student_name(student)} · {method_name} · {len(traces)} trajectories · {epochs}"
    line = _Line(progress, what)
    try:
        base = weights or student.base
        result = train(traces, base, folder.path, settings, on_progress=line, divergence=divergence)
    except Exception as e:
        if not isinstance(e, AgentDistillError) and _DISK.search(str(e)):
            why = str(e).strip().splitlines()[0]
            raise InfrastructureError(f"{folder.path}: cannot be written: {why}; the last checkpoint is kept") from e
        raise
    dropped = f"  {result.n_too_long} too long" if result.n_too_long else ""
    task = line.task or progress.task("train", what, result.n_steps)
    task.done(f"loss {result.final_loss:.3f}  {result.tokens_per_s / 1000:.1f}k tok/s{dropped}")
    return result


_DISK = re.compile(r"I/O error|No space left|file too large|quota exceeded|write failed", re.IGNORECASE)
"""What the libraries that write weights say of a disk that refuses: they raise no OSError."""


class _Line:
    """Training's own reports as a line of progress, opened when the first one comes."""

    def __init__(self, progress: Progress, what: str) -> None:
        self.task: Task | None = None
        self._progress, self._what, self._told = progress, what, 0

    def __call__(self, step: int, n_steps: int, loss: float, tokens_per_s: float) -> None:
        if self.task is None:
            self.task = self._progress.task("train", self._what, n_steps)
        self.task.advance(step - self._told, f"loss {loss:.3f}  {tokens_per_s / 1000:.1f}k tok/s")
        self._told = step


# --- what a whole recipe takes, projected from the few problems of a dry run ---


_CHARS = 4  # of a token, in English and code
_FIXED_BYTES = 1 << 30  # of the libraries and the device's own


def estimate(folder: Path, recipe: Recipe, n_problems: int) -> list[str]:
    """A line for each collection and each training of the whole recipe, with ``n_problems`` training problems.

    ``folder`` is a run of ``recipe`` in which a part of the problems was collected. Trainings are those of the first
    round, with every trajectory kept; their memory is missing where the base's shape cannot be read.
    """
    names = sorted(p.parent.name for p in folder.glob("collect/*/manifest.json") if ".old-" not in p.parent.name)
    n = n_problems * recipe.collect.samples
    lines = [_collection(collected(folder, name).parent, n) for name in names]
    for student, method_name in trainings(recipe):
        learns = method(method_name).learns or ""
        if learns not in names:
            continue
        cot = recipe.train_cot if not method(method_name).agent else None
        settings = cot or recipe.train
        lengths = _lengths(collected(folder, learns), settings.max_length)
        if not lengths:
            continue
        n_tokens = mean(lengths) * n * settings.epochs
        line = f"train/{trained(folder, student, method_name).name}: about {n_tokens:,.0f} tokens if all are kept"
        config = _config(student.base)
        n_rows = settings.micro_batch_size or settings.batch_size
        memory = "" if config is None else f", {training_gb(config, settings, n_rows * max(lengths)):.1f} GB of memory"
        lines.append(line + memory)
    return lines


def _collection(folder: Path, whole: int) -> str:
    facts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    timing = json.loads((folder / "timing.json").read_text(encoding="utf-8"))
    factor = whole / max(facts["n"], 1)
    n_read, n_written = (facts["usage"][name] * factor for name in ("n_prompt_tokens", "n_new_tokens"))
    return (
        f"collect/{folder.name}: all {whole} would read about {n_read:,.0f} and write {n_written:,.0f} "
        f"tokens, in about {timing['seconds'] * factor / 60:.0f} min at this pace (more at once go faster)"
    )


def _lengths(traces: Path, max_length: int) -> list[int]:
    """About how many tokens the conversations have; none longer than ``max_length`` is trained on."""
    chars = (sum(len(m.content) for m in t.messages) for t in read_traces(traces))
    return [n for c in chars if (n := c // _CHARS + 1) <= max_length]


def _config(base: str) -> PretrainedConfig | None:
    from transformers import AutoConfig

    try:
        found: PretrainedConfig = AutoConfig.from_pretrained(locate(base))
    except (OSError, ValueError):
        return None
    return found


def training_gb(config: PretrainedConfig, settings: TrainSettings, n_tokens: int) -> float:
    """About how much memory training takes here, in GB (2^30 bytes), with ``n_tokens`` in a forward pass.

    Weights, gradients and AdamW's moments in float32 (a LoRA's base as it is held), and the pass's activations.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    n_parameters = sum(p.numel() for p in model.parameters())
    on_gpu = torch.cuda.is_available() and settings.device != "cpu"
    size, text = 2 if on_gpu else 4, config.get_text_config()
    weights = 16 * n_parameters
    if settings.method == "lora":  # two factors for each of seven matrices a layer: about eleven widths
        widths = 8 * text.hidden_size + 3 * text.intermediate_size
        weights = size * n_parameters + 16 * settings.lora_rank * text.num_hidden_layers * widths
    stored = 2 if on_gpu and settings.gradient_checkpointing is not False else 34  # values a width and layer
    activations = n_tokens * text.hidden_size * text.num_hidden_layers * stored * size
    logits = n_tokens * text.vocab_size * 6
    return float(weights + activations + logits + _FIXED_BYTES) / 2**30
