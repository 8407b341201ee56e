"""The training loop: shards, poses, motion. A run's folder holds all of it, and the same command goes on from there.

| file | |
|---|---|
| ``manifest.json`` | settings, versions, when and how long |
| ``data/`` | the examples |
| ``log.jsonl`` | a line every few steps: stage, step, terms of the loss, rate |
| ``checkpoint.pt`` | weights and optimisers in the middle of it |
| ``model.safetensors`` | the averaged weights, when done |
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anyrig import __version__
from anyrig.corpus import Batch, Deal, build, deal, load_examples, seed_of
from anyrig.corpus.batches import n_batches
from anyrig.corpus.examples import Example
from anyrig.diffusion import noise, schedule
from anyrig.errors import FileError
from anyrig.io.files import write_bytes
from anyrig.model import MotionModel, save_model
from anyrig.model.text import Text
from anyrig.training.losses import Weights, losses, text_loss
from anyrig.training.optimizers import Optimizers
from anyrig.training.settings import TrainSettings

Say = Callable[[str], None]
_SAY_EVERY_S = 15.0
_LOG_EVERY = 20


def train(
    settings: TrainSettings,
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    stop_after: int | None = None,
    say: Say = lambda line: None,
) -> Path | None:
    """Trains in ``folder`` and returns the model's path; None where ``stop_after`` steps were not enough to finish.

    ``workers`` processes make the examples. Raises FileError where the folder holds a run of other settings.
    """
    run = _Run(settings, folder, device, say)
    run.open()
    paths = build(
        folder / "data", settings.selection(), settings.n_clips, varied=settings.varied, workers=workers,
        told=_counter("examples", settings.n_clips, say),
    )  # fmt: skip
    examples = load_examples(paths)
    run.restore()
    for poses in (True, False):
        if not run.stage(examples, poses, stop_after):
            return None
    return run.finish()


class _Run:
    """One run: the model being taught, and where it is kept."""

    def __init__(self, settings: TrainSettings, folder: Path, device: str, say: Say) -> None:
        torch.manual_seed(seed_of("weights", settings.seed) % 2**31)
        self.settings, self.folder, self.device, self.say = settings, folder, device, say
        self.model = MotionModel(settings.model).to(device)
        self.mean = {name: p.detach().clone() for name, p in self.model.state_dict().items()}
        self.optimizers = Optimizers(self.model, settings.lr)
        self.step = 0  # over both stages
        self.seconds = 0.0

    @property
    def total(self) -> int:
        """Steps of both stages."""
        return self.settings.pose_steps + self.settings.steps

    def open(self) -> None:
        """Makes the folder, or sees that it is of the same run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        manifest = self.folder / "manifest.json"
        if manifest.exists():
            there = json.loads(manifest.read_text()).get("settings")
            if there != json.loads(json.dumps(self.settings.to_dict())):
                raise FileError(f"{self.folder} holds a run of other settings; take another folder, or remove it")
        else:
            self.write_manifest()

    def write_manifest(self, **more: Any) -> None:
        """Settings, versions and numbers, so that the run can be told and repeated."""
        about = {
            "settings": self.settings.to_dict(),
            "versions": {"anyrig": __version__, "torch": torch.__version__, "numpy": np.__version__,
                         "python": platform.python_version()},
            "device": self.device,
            "threads": torch.get_num_threads(),
            "n_parameters": sum(p.numel() for p in self.model.parameters()),
            **more,
        }  # fmt: skip
        write_bytes(self.folder / "manifest.json", (json.dumps(about, indent=1) + "\n").encode())

    def restore(self) -> None:
        """Goes on from the checkpoint where there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.mean = state["mean"]
        self.optimizers.load_state_dict(state["optimizers"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.say(f"goes on from step {self.step} of {self.total}")

    def save(self) -> None:
        """Writes the checkpoint, whole or not at all."""
        part = self.folder / "checkpoint.pt.part"
        state = {
            "model": self.model.state_dict(),
            "mean": self.mean,
            "optimizers": self.optimizers.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, part)
        part.replace(self.folder / "checkpoint.pt")

    def stage(self, examples: list[Example], poses: bool, stop_after: int | None) -> bool:
        """Takes the stage's steps that are left; False where ``stop_after`` came first."""
        s = self.settings
        first, last = (0, s.pose_steps) if poses else (s.pose_steps, self.total)
        how = Deal(s.tokens, s.model.patch, poses, s.untitled, s.unnamed, s.model.max_frames)
        name = "poses" if poses else "motion"
        said, since, since_step = time.monotonic(), time.monotonic(), self.step
        for batch in _endless(examples, how, s.seed, self.step - first):
            if self.step >= last:
                break
            terms = self.learn(batch)
            now = time.monotonic()
            if self.step % _LOG_EVERY == 0 or self.step == last:
                self.log(name, terms, len(batch.texts))
            if now - said > _SAY_EVERY_S or self.step == last:
                rate = (self.step - since_step) / max(now - since, 1e-9)
                left = (self.total - self.step) / max(rate, 1e-9) / 60
                total = sum(terms.values())
                self.say(f"{name}  {self.step}/{self.total}  loss {total:.3f}  {rate:.2f} steps/s  {left:.0f} min left")
                said = now
            if self.step % s.save_every == 0 or self.step == last:
                self.seconds += now - since
                since, since_step = now, self.step
                self.save()
            if stop_after is not None and self.step >= stop_after:
                self.save()
                return False
        return True

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step. The noise follows from the seed and the step alone, so that a resumed run goes the same way."""
        s = self.settings
        generator = torch.Generator().manual_seed(seed_of("noise", s.seed, self.step) % 2**63)
        level = torch.rand(len(batch.texts), generator=generator).sqrt().clamp(min=1e-3)  # more noise than not
        clean, rig = batch.clean.to(self.device), batch.rig.to(self.device)
        how, level = schedule(s.schedule), level.to(self.device)
        x = how.mix(clean, noise(clean.shape, generator).to(self.device), level)
        text, told = self.texts(batch)
        kept, added = self.model(x, level, rig, text).chunk(2, dim=-1)
        out = how.clean(kept, added, level)
        weights = Weights()
        terms = losses(out, clean, rig, s.model.fps, weights, how.spread(level)) | {"texts": weights.texts * told}
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizers.step(self.rate())
        self.step += 1
        memory = min(s.ema, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.mean[name].lerp_(value, 1 - memory)
        return {name: float(value.detach()) for name, value in terms.items()}

    def texts(self, batch: Batch) -> tuple[Text, Tensor]:
        """The texts of a batch, read, and how badly they are told apart."""
        n = len(batch.texts)
        both = self.model.read([*batch.texts, *batch.others])
        first, second = both.tokens[:n, 0], both.tokens[n:, 0]
        titled = torch.tensor([bool(text) for text in batch.texts], device=self.device)
        alike = batch.alike.to(self.device)[titled][:, titled]
        told = text_loss(first[titled], second[titled], alike) if titled.any() else first.new_zeros(())
        return Text(both.tokens[:n], both.mask[:n]), told

    def rate(self) -> float:
        """The learning rate of the next step: a rise and a cosine over each stage."""
        s = self.settings
        first, n = (0, s.pose_steps) if self.step < s.pose_steps else (s.pose_steps, s.steps)
        done = self.step - first
        rise = min(1.0, (done + 1) / max(s.warmup, 1))
        return s.lr * rise * 0.5 * (1 + math.cos(math.pi * done / max(n, 1)))

    def log(self, stage: str, terms: dict[str, float], n: int) -> None:
        """A line of the log."""
        line = {"stage": stage, "step": self.step, "lr": round(self.rate(), 6), "batch": n,
                **{k: round(v, 5) for k, v in terms.items()}, "time": round(time.time(), 1)}  # fmt: skip
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def finish(self) -> Path:
        """Writes the model."""
        self.model.load_state_dict(self.mean)
        path = self.folder / "model.safetensors"
        about = {"seed": self.settings.seed, "steps": self.step, "schedule": self.settings.schedule,
                 "n_clips": self.settings.n_clips, "varied": self.settings.varied,
                 "kinds": list(self.settings.kinds)}  # fmt: skip
        save_model(self.model, path, about=about)
        self.write_manifest(steps=self.step, training_s=round(self.seconds, 1))
        self.say(f"done: {path}")
        return path


def _endless(examples: list[Example], how: Deal, seed: int, skip: int) -> Iterator[Batch]:
    """Batches of epoch after epoch, the first ``skip`` left out."""
    epoch = 0
    while skip > 0 and skip >= (n := n_batches(examples, how, seed, epoch)):
        skip, epoch = skip - n, epoch + 1
    while True:
        for k, batch in enumerate(deal(examples, how, seed, epoch)):
            if k >= skip:
                yield batch
        skip, epoch = 0, epoch + 1


def _counter(what: str, n: int, say: Say) -> Callable[[int], None]:
    started: list[float] = []
    first: list[int] = []

    def told(done: int) -> None:
        started.append(time.monotonic())
        first.append(done)
        rate = (done - first[0]) / max(started[-1] - started[0], 1e-9)
        say(f"{what}  {done}/{n}" + (f"  {rate:.1f}/s" if done > first[0] else ""))

    return told


def quick(settings: TrainSettings) -> TrainSettings:
    """The same on a scale that shows within minutes whether anything is learned."""
    small = replace(settings.model, width=64, layers=3, heads=2)
    return replace(settings, model=small, n_clips=600, pose_steps=100, steps=300, tokens=3000, save_every=100)
