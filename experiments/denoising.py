"""What does a motion model in training know of motion, and what of text?

``python experiments/denoising.py runs/motion`` takes the averaged weights of the run's checkpoint and fresh clips of
bodies that it is not taught on. At each level of noise it prints the squared error of the joints' features over their
own variance in time (1 is a still pose at the right place), the energy of the estimate's changes from frame to frame
over that of the data, and by how much the error grows when captions change places; then how alike captions of different
actions look to the model (cosines of their vectors; 1 is a text encoder that says the same of all).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from anyrig.corpus import Batch, BatchConfig, Selection, batches, build, load_examples
from anyrig.diffusion import noise, schedule
from anyrig.model import MotionModel
from anyrig.training import TrainSettings

LEVELS = (1.0, 0.9, 0.8, 0.5, 0.3, 0.1)


def checkpoint(run: Path) -> tuple[MotionModel, TrainSettings, int]:
    """The averaged weights of a run that may still be going on, its settings, and the steps taken."""
    settings = TrainSettings.from_dict(json.loads((run / "manifest.json").read_text())["settings"])
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = MotionModel(settings.model)
    model.load_state_dict(state["mean"])
    return model.eval(), settings, state["step"]


def unseen(settings: TrainSettings, n_clips: int) -> list[Batch]:
    """Batches of the valid split, all with captions."""
    how = BatchConfig(settings.tokens, settings.model.patch, uncond=0.0, unnamed=settings.unnamed)
    with tempfile.TemporaryDirectory() as folder:
        paths = build(Path(folder), Selection("valid", settings.kinds, settings.seed), n_clips)
        return [b for b in batches(load_examples(paths), how, settings.seed, 0) if len(b.texts) > 1]


@torch.no_grad()
def shares(model: MotionModel, settings: TrainSettings, batches: list[Batch], level: float) -> tuple[float, ...]:
    """(error over variance in time, energy of changes over the data's, error with others' captions over the error)."""
    how, generator = schedule(settings.schedule), torch.Generator().manual_seed(settings.seed)
    sums = torch.zeros(5)
    for batch in batches:
        levels = torch.full((len(batch.texts),), level)
        x = how.mix(batch.clean, noise(batch.clean.shape, generator), levels)
        others = (*batch.texts[1:], batch.texts[0])
        own, wrong = (
            how.predict_x0(*model(x, levels, batch.rig, t).chunk(2, dim=-1), levels) for t in (batch.texts, others)
        )
        still = batch.clean.mean(dim=1, keepdim=True)
        sums += torch.stack([_energy(d, batch) for d in (own - batch.clean, batch.clean - still, own.diff(dim=1),
                                                         batch.clean.diff(dim=1), wrong - batch.clean)])  # fmt: skip
    error, variance, moves, real, misled = sums.tolist()
    return error / variance, moves / real, misled / error


def _energy(x: Tensor, batch: Batch) -> Tensor:
    return (x[:, :, 1:].square() * batch.rig.mask[:, None, :, None]).sum()


@torch.no_grad()
def cosines(model: MotionModel, batches: list[Batch]) -> Tensor:
    """Of all pairs of captions of different kinds or actions."""
    found = []
    for batch in batches:
        texts = F.normalize(model.read(batch.texts).tokens[:, 0], dim=-1)
        found.append((texts @ texts.T)[~batch.alike])
    return torch.cat(found)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of `anyrig train`")
    parser.add_argument("--clips", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, settings, step = checkpoint(args.run)
    batches = unseen(settings, args.clips)
    print(f"step {step}, {sum(len(b.texts) for b in batches)} clips, seed {settings.seed}")
    print("noise  error/variance  energy  wrong caption")
    for level in LEVELS:
        error, energy, misled = shares(model, settings, batches, level)
        print(f"{level:5.1f}  {error:14.2f}  {energy:6.2f}  {misled - 1:+13.1%}", flush=True)
    alike = cosines(model, batches)
    low, middle, high = alike.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    print(f"cosines of captions of different actions: {middle:.2f} (5 to 95 %: {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
