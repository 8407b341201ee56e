"""A space that texts and motions share, for evaluation only: trained by contrast on bodies that no model is trained on.

It sees rotations, positions, contacts and the path, rest poses and trees, but no joint names, so that a rig cannot tell
it what is asked.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyrig import creatures
from anyrig.corpus import Batch, BatchConfig, Example, Selection, batches, build, load_examples, seed_of
from anyrig.errors import FileError, SettingsError
from anyrig.features import N_BUCKETS, encode, rig_code
from anyrig.io.files import write_bytes
from anyrig.model import ModelConfig, MotionModel, RigBatch, collate_rigs, contrast, pack
from anyrig.model.text import TextTower
from anyrig.rotations import Array
from anyrig.skeleton import Clip

CONFIG = ModelConfig(width=64, layers=2, heads=2, patch=4, joint_names=False, text_layers=1)


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """``n_clips`` of the valid split, all kinds and actions; ``steps`` of ``tokens``."""

    seed: int = 0
    n_clips: int = 3000
    steps: int = 1500
    tokens: int = 4500
    lr: float = 2e-3


class Evaluator(nn.Module):
    """Two towers; both give vectors of length 1 and of 64 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.motion = MotionModel(CONFIG)
        self.buckets = nn.Embedding(N_BUCKETS, CONFIG.text_width)
        self.words = TextTower(CONFIG, self.buckets)
        self.motion_out = nn.Linear(6 * CONFIG.width, 64)
        self.text_out = nn.Linear(CONFIG.width, 64)
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        for block in self.motion.blocks:  # gates open: there is no condition to open them
            with torch.no_grad():
                block.get_parameter("modulate.bias").view(9, -1)[2::3] = 0.5

    def motions(self, x: Tensor, rig: RigBatch) -> Tensor:
        """(B, 64) of packed motion."""
        none = self.motion.read([""] * len(x))
        h = self.motion.vectors(x, torch.zeros(len(x), device=x.device), rig, none)
        there = rig.tokens[:, None, :, None]
        mean = (h * there).sum(dim=2) / there.sum(dim=2)
        most = h.masked_fill(~there, -torch.inf).amax(dim=2)
        moments = torch.cat([h[:, :, 0], mean, most], dim=-1)  # the path, and what all joints and any joint does
        return F.normalize(self.motion_out(torch.cat([moments.mean(dim=1), moments.amax(dim=1)], dim=-1)), dim=-1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """(B, 64) of texts."""
        return F.normalize(self.text_out(self.words(texts).tokens[:, 0]), dim=-1)

    def loss(self, batch: Batch) -> Tensor:
        """How badly motions tell their texts; those with one and the same text are no contrast."""
        scores = self.motions(batch.clean, batch.rig) @ self.texts(batch.texts).T
        same = torch.tensor([[a == b for b in batch.texts] for a in batch.texts])
        return contrast(scores * self.sharpness.exp().clamp(max=60.0), same)

    @torch.no_grad()
    def embed(self, clips: Sequence[Clip], texts: Sequence[str]) -> tuple[Array, Array]:
        """(motions (N, 64), texts (N, 64)) of clips at the frame rate of the corpus, and of texts."""
        rows = []
        for clip in clips:
            features = encode(clip)
            n = features.n_frames // CONFIG.patch * CONFIG.patch
            rows.append(self.motions(pack([features.cut(0, n)]), collate_rigs([rig_code(clip.skeleton)])))
        return torch.cat(rows).double().numpy(), self.texts(list(texts)).double().numpy()


def train_evaluator(
    settings: EvaluatorSettings, folder: Path, *, workers: int = 1, say: Callable[[str], None] = lambda line: None
) -> Evaluator:
    """An evaluator, the same for the same settings; its examples are kept in ``folder``."""
    selection = Selection("valid", creatures.kinds(), settings.seed)
    paths = build(folder, selection, settings.n_clips, workers=workers)
    examples = load_examples(paths)
    torch.manual_seed(seed_of("evaluator", settings.seed) % 2**31)
    evaluator = Evaluator()
    optimizer = torch.optim.AdamW(evaluator.parameters(), lr=settings.lr, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=settings.steps + 1, pct_start=0.1)
    for step, batch in enumerate(_batches(examples, settings)):
        loss = evaluator.loss(batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(evaluator.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if (step + 1) % 100 == 0:
            say(f"evaluator  {step + 1}/{settings.steps}  loss {float(loss.detach()):.3f}")
        if step + 1 >= settings.steps:
            break
    return evaluator.eval()


def _batches(examples: Sequence[Example], settings: EvaluatorSettings) -> Iterator[Batch]:
    """Of one kind of creature each: what tells kinds apart is told before anything moves."""
    config = BatchConfig(settings.tokens, CONFIG.patch, untitled=0.0, unnamed=1.0)
    kinds = [[e for e in examples if e.kind == kind] for kind in sorted({e.kind for e in examples})]
    epoch = 0
    while True:
        found = [b for some in kinds for b in batches(some, config, settings.seed, epoch) if len(b.texts) > 1]
        if not found:  # one alone is no contrast
            raise SettingsError(f"{len(examples)} examples are too few to tell apart, or tokens are")
        random.Random(seed_of("batches", settings.seed, epoch)).shuffle(found)
        yield from found
        epoch += 1


def save_evaluator(evaluator: Evaluator, path: str | os.PathLike[str]) -> None:
    """Writes it as safetensors."""
    from safetensors.torch import save

    write_bytes(path, save({k: v.contiguous() for k, v in evaluator.state_dict().items()}))


def load_evaluator(path: str | os.PathLike[str]) -> Evaluator:
    """The evaluator in a file. Raises FileError for a file that holds none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    evaluator = Evaluator()
    try:
        evaluator.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise FileError(f"{path} is no evaluator: {str(error).splitlines()[0]}") from None
    return evaluator.eval()
