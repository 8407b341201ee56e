"""Options that several verbs share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from anyrig.errors import SettingsError

if TYPE_CHECKING:
    from anyrig.diffusion import Sampling
    from anyrig.model import MotionModel


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """How the rig's file is to be read."""
    parser.add_argument("--up", choices=("x", "y", "z"), help="the file's up axis (default: y)")
    parser.add_argument("--unit", help="the file's unit: m, cm, mm, in, ft, or how many metres it has (default: m)")
    parser.add_argument("--skin", metavar="NAME", help="which of several characters in a glTF file, by skin or number")


def add_compute_options(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps, or auto (default)")
    # Models of this size gain little from a second thread, and on a machine that is busy threads wait for each other.
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1; 0: one a core)")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which weights, and how to sample from them."""
    parser.add_argument("--weights", type=Path, help="a model.safetensors (default: those of the package)")
    parser.add_argument("--steps", type=int, default=15, help="denoising steps (default: 15)")
    parser.add_argument("--guidance", type=float, default=2.0, help="weight of the text; 1 is as learned (default: 2)")
    parser.add_argument("--eta", type=float, default=0.0, help="fresh noise in each step, 0 to 1 (default: 0)")
    add_compute_options(parser)


def device(args: argparse.Namespace) -> str:
    """The device to use, and the number of threads set. Raises SettingsError for a device that there is not."""
    import os

    import torch

    torch.set_num_threads(args.threads if args.threads > 0 else os.cpu_count() or 1)
    if args.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(f"no device {args.device!r} here: {str(error).splitlines()[0]}") from None
    return str(args.device)


def open_model(args: argparse.Namespace, path: Path | None = None) -> tuple[MotionModel, Sampling]:
    """The model in ``path``, or that the options name, and how to sample from it."""
    from anyrig.diffusion import Sampling
    from anyrig.generate import default_weights
    from anyrig.model import load_model

    where = device(args)
    model, about = load_model(path or args.weights or default_weights(), where)
    return model, Sampling(args.steps, args.guidance, args.eta, str(about.get("schedule", "flow")))


def parse_prompt(text: str, seconds: float) -> tuple[str, float]:
    """``"it walks@3"`` is a prompt of three seconds; without the number it takes ``seconds``."""
    words, mark, number = text.rpartition("@")
    try:
        return (words.strip(), float(number)) if mark else (text.strip(), seconds)
    except ValueError:
        return text.strip(), seconds
