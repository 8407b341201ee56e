"""The train stage: traces and a base model in, a loadable model out, the same after any number of kills."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import InfrastructureError, RecipeError
from agentdistill.models.chat import ChatFormat, read_template
from agentdistill.models.weights import load_tokenizer, locate, quiet, resolve
from agentdistill.store import digest, file_digest, write_atomic, write_json
from agentdistill.training._launch import is_first, is_launched, launch, wait
from agentdistill.training.dataset import TrainingData, prepare
from agentdistill.training.result import TrainResult, read_result
from agentdistill.training.settings import Divergence, TrainSettings
from agentdistill.types import Trace

if TYPE_CHECKING:
    from agentdistill.training._keeper import Progress

_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
_NOT_RECORDED = ("save_every_s", "threads", "distributed", "reasoning")  # they change how, or only the data
_TIMING = ("seconds", "tokens_per_s", "resumed_from")


def train(
    traces: Sequence[Trace],
    base: str,
    out: str | Path,
    settings: TrainSettings | None = None,
    *,
    on_progress: Progress | None = None,
    divergence: Divergence | None = None,
) -> TrainResult:
    """Fine-tune ``base`` on what the models of ``traces`` wrote: -sum_t log p(r_t, a_t | x, tau_<t) (paper, eq. 3).

    ``out`` becomes a folder to load: full weights, or a LoRA adapter that names its base; with it ``training.json``
    (settings, versions, hashes, counts, losses) and ``timing.json``. The same call after a kill goes on from the last
    checkpoint to the same weights; after the end it returns at once; with other data or settings it starts anew.
    ``on_progress(step, n_steps, loss, tokens_per_s)`` is called every ``log_every`` updates. With ``divergence`` the
    loss is that from a teacher's distributions at the same tokens instead, which then are the student's own. Raises
    ModelError, DataError or RecipeError for what cannot be trained, InfrastructureError where the disk fails.
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
        manifest["divergence"] = {"teacher_hash": _hash_of(divergence.teacher), "beta": divergence.beta}
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
    on_progress: Progress | None,
    divergence: Divergence | None,
) -> TrainResult:
    from agentdistill.training._build import build, save
    from agentdistill.training._keeper import last_checkpoint

    checkpoints = out / "checkpoints"
    _claim(checkpoints, manifest["key"])
    with quiet():
        trainer, keeper = build(data, tokenizer, base, checkpoints, settings, on_progress, divergence)
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
    """Both records; ``training.json`` last, as it says that all is there. What hangs on the clock is kept out of it."""
    record = asdict(result)
    timing = {name: record.pop(name) for name in _TIMING}
    del record["out"]
    write_json(result.out / "timing.json", timing)
    write_json(result.out / "training.json", {**manifest, "too_long": list(too_long), "result": record})
