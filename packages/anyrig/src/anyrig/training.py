"""Training: settings, losses, optimisers and the loop, first on poses, then on motion.

A run is a folder; the same command resumes it.

| file | |
|---|---|
| ``manifest.json`` | settings, versions, steps and training time |
| ``data/``, ``real/`` | the examples of procedural and of real creatures |
| ``log.jsonl`` | a line every few steps: stage, step, terms of the loss, rate |
| ``checkpoint.pt`` | weights and optimisers of an unfinished run |
| ``model.safetensors`` | the averaged weights of a finished run |
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyrig import __version__
from anyrig.corpus import (
    Batch,
    BatchConfig,
    Example,
    RealSelection,
    Selection,
    batches,
    build,
    load_examples,
    n_batches,
    seed_of,
)
from anyrig.diffusion import noise, schedule
from anyrig.errors import FileError, SettingsError
from anyrig.features import CONTACT, FORWARD, HEIGHT, LEFT, N_PATH, POSITION, TURNING
from anyrig.io.files import write_bytes
from anyrig.model import (
    ModelConfig,
    MotionModel,
    RigBatch,
    Text,
    check_settings,
    contrast,
    joint_units,
    path_units,
    positions,
    save_model,
)

Say = Callable[[str], None]
_SAY_EVERY_S = 15.0
_LOG_EVERY = 20


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """``pose_steps`` steps on single frames of ``n_clips`` examples, then ``steps`` steps on motion.

    ``tokens`` is the size of a step (a token is a joint); a token costs about ``72 * layers * width ** 2``
    operations. ``kinds`` are the creatures trained on (empty: all that are not held out); ``varied``
    augments rigs. ``real`` is a folder of real creatures, of which ``real_share`` of the examples are. ``lr`` is
    reached after ``warmup`` steps and decays to 0 by a cosine. ``schedule`` is ``"flow"`` or ``"cosine"``. ``ema`` is
    the decay of the averaged weights, which are the ones saved. ``uncond`` and ``unnamed`` are
    :class:`~anyrig.corpus.BatchConfig`'s. ``half`` multiplies matrices in bfloat16, which some processors do several
    times as fast.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    seed: int = 0
    n_clips: int = 8000
    pose_steps: int = 600
    steps: int = 3400
    tokens: int = 4000
    lr: float = 2e-3
    warmup: int = 100
    ema: float = 0.998
    schedule: str = "flow"
    uncond: float = 0.1
    unnamed: float = 0.3
    varied: bool = True
    kinds: tuple[str, ...] = ()
    real: str = ""
    real_share: float = 0.5
    save_every: int = 200
    half: bool = False

    def __post_init__(self) -> None:
        schedule(self.schedule)
        self.selection()
        if min(self.n_clips, self.tokens, self.save_every) < 1 or min(self.pose_steps, self.steps, self.warmup) < 0:
            raise SettingsError("n_clips, tokens and save_every are at least 1, steps not below 0")
        if not 0 < self.lr < 1 or not 0 <= self.ema < 1 or not 0 <= self.uncond <= 1 or not 0 <= self.unnamed <= 1:
            raise SettingsError("lr and ema are between 0 and 1, uncond and unnamed shares")
        if not 0 <= self.real_share <= 1:
            raise SettingsError("real_share is between 0 and 1")

    def selection(self) -> Selection:
        """The creatures to train on."""
        return Selection("train", self.kinds, self.seed)

    def sources(self) -> dict[str, tuple[Selection | RealSelection, int]]:
        """Folder of examples -> what they are drawn from, and how many."""
        n_real = round(self.n_clips * self.real_share) if self.real else 0
        every: dict[str, tuple[Selection | RealSelection, int]] = {
            "data": (self.selection(), self.n_clips - n_real),
            "real": (RealSelection(self.real, seed=self.seed), n_real),
        }
        return {name: source for name, source in every.items() if source[1]}

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return {**asdict(self), "kinds": list(self.kinds)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> TrainSettings:
        """The settings in ``values``, as TOML or JSON has them. Raises SettingsError for unknown names and wrong types.

        ``untitled`` is the former name of ``uncond``.
        """
        values = {"uncond" if name == "untitled" else name: value for name, value in values.items()}
        check_settings(values, TrainSettings(), "training")
        made: dict[str, Any] = dict(values)
        made["model"] = ModelConfig.from_dict(values.get("model", {}))
        made["kinds"] = tuple(values.get("kinds", ()))
        return TrainSettings(**made)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the terms of the loss (see :func:`losses`)."""

    joints: float = 1.0
    path: float = 1.5
    positions: float = 3.0
    velocities: float = 30.0
    skate: float = 0.3
    texts: float = 0.2


def losses(
    out: Tensor, clean: Tensor, rig: RigBatch, fps: float, weights: Weights, spread: Tensor
) -> dict[str, Tensor]:
    """The weighted terms of the loss, each a mean over joints and frames; both motions are (B, T, J + 1, 10), packed.

    ``joints`` and ``path``: squared errors of the scaled features over ``spread`` (B,), the deviation that the noise
    leaves, so that all levels have equal weight. ``positions``: squared errors of the positions that follow from the
    rotations, in sizes; ``velocities``: of their changes from frame to frame. ``skate``: squared speed over the ground,
    in sizes a second, of joints in contact.
    """
    mask = rig.mask[:, None, :, None].to(out.dtype)
    n_frames = out.shape[1]
    count = mask.sum() * n_frames
    there = joint_units(clean)
    where = positions(out, rig)
    lift = (path_units(out)[..., HEIGHT] - path_units(clean)[..., HEIGHT])[..., None, None]
    up = torch.tensor([0.0, 1.0, 0.0], device=out.device)
    wrong = (where - rig.rest[:, None] - there[..., POSITION]) * mask
    error = (out - clean) / spread[:, None, None, None]
    terms = {
        "joints": (error[:, :, 1:].square() * mask).mean(dim=-1).sum() / count,
        "path": error[:, :, 0, :N_PATH].square().mean(),
        "positions": (wrong + lift * up * mask).square().sum() / count,
    }
    if n_frames > 1:
        pairs = mask.sum() * (n_frames - 1)
        terms["velocities"] = wrong.diff(dim=1).square().sum() / pairs
        standing = there[..., CONTACT, None] * mask
        speed = ground_speed(where, path_units(out), fps) * standing[:, 1:]
        terms["skate"] = speed.square().sum() / standing.sum().clamp(min=1.0)
    return {name: getattr(weights, name) * value for name, value in terms.items()}


def text_loss(texts: Tensor, others: Tensor, alike: Tensor, sharpness: float = 10.0) -> Tensor:
    """The contrastive loss of captions (B, E) against the others (B, E) of the same motions, by cosines.

    Pairs of motions that are ``alike`` (B, B) are no negatives. The motion's losses depend little on the text early in
    training; without this loss the text encoder collapses to one vector for all texts.
    """
    return contrast(sharpness * F.normalize(texts, dim=-1) @ F.normalize(others, dim=-1).T, alike)


def ground_speed(where: Tensor, path: Tensor, fps: float) -> Tensor:
    """The velocity (B, T - 1, J, 3) of joints over the ground along the heading's axes, in sizes a second.

    ``where`` (B, T, J, 3) is relative to the main root and the heading, ``path`` (B, T, 4) in its own units. Exact to
    first order in a frame's turn.
    """
    moved = where.diff(dim=1) * fps
    middle = (where[:, 1:] + where[:, :-1]) / 2
    turning = path[:, 1:, TURNING, None]
    x = path[:, 1:, LEFT, None] + turning * middle[..., 2]
    z = path[:, 1:, FORWARD, None] - turning * middle[..., 0]
    y = (path[:, 1:, HEIGHT] - path[:, :-1, HEIGHT])[..., None].expand_as(x) * fps
    return moved + torch.stack([x, y, z], dim=-1)


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates (Jordan et al., 2024), scaled to AdamW's step size (Liu et al., arXiv
    2502.16982). PyTorch's Muon computes in bfloat16, which is several times slower on CPUs without bfloat16 support.
    """

    def __init__(self, params: list[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; all parameters are matrices."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(state["momentum"], group["momentum"]))  # Nesterov's
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-0.2 * group["lr"] * max(p.shape) ** 0.5)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """Approximately the nearest orthogonal matrix, by Newton-Schulz iterations with Jordan's quintic."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Optimizers:
    """Muon for the matrices of the blocks and AdamW for all else, as one optimiser."""

    def __init__(self, model: nn.Module, lr: float) -> None:
        inner: list[nn.Parameter] = []
        outer: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim == 2 and name.startswith("blocks.") and "modulate" not in name
            (inner if matrix else outer).append(parameter)
        self._all: list[torch.optim.Optimizer] = [
            Muon(inner, lr=lr, weight_decay=0.01),
            torch.optim.AdamW(outer, lr=lr, weight_decay=0.0, betas=(0.9, 0.98)),
        ]

    def step(self, lr: float) -> None:
        """One step at a learning rate; then clears the gradients."""
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        return [o.state_dict() for o in self._all]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for optimizer, state in zip(self._all, states, strict=True):
            optimizer.load_state_dict(state)


def train(
    settings: TrainSettings,
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    stop_after: int | None = None,
    say: Say = lambda line: None,
) -> Path | None:
    """Trains in ``folder`` and returns the model's path; None where it stopped after ``stop_after`` steps, unfinished.

    ``workers`` processes make the examples. Raises FileError where the folder holds a run of other settings.
    """
    run = _Run(settings, folder, device, say)
    run.open()
    examples: list[Example] = []
    for name, (selection, n) in settings.sources().items():
        what = "real examples" if isinstance(selection, RealSelection) else "examples"
        examples += load_examples(
            build(folder / name, selection, n, varied=settings.varied, workers=workers, progress=_counter(what, n, say))
        )
    run.restore()
    for poses in (True, False):
        if not run.stage(examples, poses, stop_after):
            return None
    return run.finish()


class _Run:
    """One run: the model in training, and its folder."""

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
        return self.settings.pose_steps + self.settings.steps

    def open(self) -> None:
        """Makes the folder, or checks that it holds this run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        manifest = self.folder / "manifest.json"
        if manifest.exists():
            there = json.loads(manifest.read_text()).get("settings")
            if not isinstance(there, dict) or TrainSettings.from_dict(there) != self.settings:
                raise FileError(f"{self.folder} holds a run of other settings; take another folder, or remove it")
        else:
            self.write_manifest()

    def write_manifest(self, **more: Any) -> None:
        """Writes what is needed to identify and repeat the run."""
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
        """Resumes from the checkpoint if there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.mean = state["mean"]
        self.optimizers.load_state_dict(state["optimizers"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.say(f"resumed at step {self.step} of {self.total}")

    def save(self) -> None:
        """Writes the checkpoint atomically."""
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
        """Takes the remaining steps of a stage; False where ``stop_after`` was reached first."""
        s = self.settings
        first, last = (0, s.pose_steps) if poses else (s.pose_steps, self.total)
        config = BatchConfig(s.tokens, poses, s.uncond, s.unnamed, s.model.max_frames)
        name = "poses" if poses else "motion"
        said, since, since_step = time.monotonic(), time.monotonic(), self.step
        for batch in _endless(examples, config, s.seed, self.step - first):
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
        """One step. The noise depends on seed and step alone, so that a resumed run gives the same weights."""
        s = self.settings
        generator = torch.Generator().manual_seed(seed_of("noise", s.seed, self.step) % 2**63)
        level = torch.rand(len(batch.texts), generator=generator).sqrt().clamp(min=1e-3)  # biased to high levels
        clean, rig = batch.clean.to(self.device), batch.rig.to(self.device)
        how, level = schedule(s.schedule), level.to(self.device)
        x = how.mix(clean, noise(clean.shape, generator).to(self.device), level)
        text, contrast_loss = self.texts(batch)
        with torch.autocast(clean.device.type, torch.bfloat16, enabled=s.half):
            both = self.model(x, level, rig, text)
        kept, added = both.float().chunk(2, dim=-1)
        out = how.predict_x0(kept, added, level)
        weights = Weights()
        terms = losses(out, clean, rig, s.model.fps, weights, how.spread(level)) | {
            "texts": weights.texts * contrast_loss
        }
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
        """The encoded texts of a batch, and their contrastive loss."""
        n = len(batch.texts)
        both = self.model.read([*batch.texts, *batch.others])
        first, second = both.tokens[:n, 0], both.tokens[n:, 0]
        cond = torch.tensor([bool(text) for text in batch.texts], device=self.device)
        alike = batch.alike.to(self.device)[cond][:, cond]
        contrast_loss = text_loss(first[cond], second[cond], alike) if cond.any() else first.new_zeros(())
        return Text(both.tokens[:n], both.mask[:n]), contrast_loss

    def rate(self) -> float:
        """The learning rate of the next step: warm-up and cosine decay in each stage."""
        s = self.settings
        first, n = (0, s.pose_steps) if self.step < s.pose_steps else (s.pose_steps, s.steps)
        done = self.step - first
        rise = min(1.0, (done + 1) / max(s.warmup, 1))
        return s.lr * rise * 0.5 * (1 + math.cos(math.pi * done / max(n, 1)))

    def log(self, stage: str, terms: dict[str, float], n: int) -> None:
        line = {"stage": stage, "step": self.step, "lr": round(self.rate(), 6), "batch": n,
                **{k: round(v, 5) for k, v in terms.items()}, "time": round(time.time(), 1)}  # fmt: skip
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def finish(self) -> Path:
        """Writes the model and completes the manifest."""
        self.model.load_state_dict(self.mean)
        path = self.folder / "model.safetensors"
        about = {"seed": self.settings.seed, "steps": self.step, "schedule": self.settings.schedule,
                 "n_clips": self.settings.n_clips, "varied": self.settings.varied,
                 "kinds": list(self.settings.kinds),
                 "real_share": self.settings.real_share if self.settings.real else 0.0}  # fmt: skip
        save_model(self.model, path, about=about)
        self.write_manifest(steps=self.step, training_s=round(self.seconds, 1))
        self.say(f"done: {path}")
        return path


def _endless(examples: list[Example], config: BatchConfig, seed: int, skip: int) -> Iterator[Batch]:
    """Batches of one epoch after another, without the first ``skip``."""
    epoch = 0
    while skip > 0 and skip >= (n := n_batches(examples, config, seed, epoch)):
        skip, epoch = skip - n, epoch + 1
    while True:
        for k, batch in enumerate(batches(examples, config, seed, epoch)):
            if k >= skip:
                yield batch
        skip, epoch = 0, epoch + 1


def _counter(what: str, n: int, say: Say) -> Callable[[int], None]:
    calls: list[tuple[float, int]] = []

    def progress(done: int) -> None:
        calls.append((time.monotonic(), done))
        since, before = calls[0]
        rate = (done - before) / max(calls[-1][0] - since, 1e-9)
        say(f"{what}  {done}/{n}" + (f"  {rate:.1f}/s" if done > before else ""))

    return progress


def quick(settings: TrainSettings) -> TrainSettings:
    """The settings at a scale that trains within minutes."""
    small = replace(settings.model, width=64, layers=3, heads=2)
    return replace(settings, model=small, n_clips=600, pose_steps=100, steps=300, tokens=3000, save_every=100)
