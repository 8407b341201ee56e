"""The command line. Heavy libraries are imported by the verbs that need them, so that ``--help`` stays fast."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyrig import __version__
from anyrig.errors import AnyrigError, FileWarning, SettingsError

if TYPE_CHECKING:
    from anyrig.diffusion import Sampling
    from anyrig.model import MotionModel
    from anyrig.skeleton import Clip
    from anyrig.starts import Starter

VERBS = {
    "generate": ("motion", "generate motion of a rig from text"),
    "retarget": ("transfer", "move clips from one skeleton to another"),
    "studio": ("motion", "generate motion in the browser"),
    "mmcp": ("motion", "serve motion to other programs by the Motion Model Context Protocol"),
    "inspect": ("rigs", "show the content of a GLB, BVH or NPZ file"),
    "creature": ("rigs", "write a procedural creature with its motions"),
    "augment": ("rigs", "write variations of a rig with its motion"),
    "train": ("models", "train a model; the same command resumes an interrupted run"),
    "evaluate": ("models", "evaluate models and baselines on held-out creatures"),
    "demo": ("motion", "generate motion for three held-out rigs: GLB files and a contact sheet"),
}
"""Verb -> the module here with ``add_VERB(parser)`` and ``VERB(args) -> int``, and the verb's help."""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser; with ``only``, it has the arguments of that verb alone, which is faster to build."""
    parser = _Parser(prog="anyrig", description="Text-to-motion for any skeleton.")
    parser.add_argument("--version", action="version", version=f"anyrig {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (module, about) in VERBS.items():
        sub = verbs.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if only in (None, name):
            getattr(importlib.import_module(f"{__name__}.{module}"), f"add_{name}")(sub)
    return parser


class _Parser(argparse.ArgumentParser):
    """Names the nearest verb, value or option where one is misspelt."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as e:
            e.message += _near(str(value), map(str, action.choices or ()))
            raise

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, left = super().parse_known_args(args, namespace)
        if left:
            option = next((arg.partition("=")[0] for arg in left if arg.startswith("--")), "")
            self.error(f"unrecognized arguments: {' '.join(left)}{_near(option, self._option_string_actions)}")
        return found, left


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Exit status: 0 done, 1 a fault of the system, 2 a mistake of the user, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    verb = next((a for a in argv if a in VERBS), None)
    args = build_parser(only=verb or "").parse_args(argv)
    shown = warnings.showwarning
    warnings.showwarning = partial(_warn, shown)
    try:
        run = getattr(importlib.import_module(f"{__name__}.{VERBS[args.verb][0]}"), args.verb)
        return int(run(args))
    except AnyrigError as e:
        print(f"anyrig: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "; the same command resumes the run" if args.verb == "train" else ""
        print(f"\nanyrig: interrupted{kept}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        print(f"anyrig: {where}{e.strerror or e}", file=sys.stderr)
        return 1
    finally:
        warnings.showwarning = shown


def _warn(shown: Callable[..., None], message: Warning | str, category: type[Warning], *where: object) -> None:
    """Prints a warning about a file as one line, without the place in the code where it was raised."""
    if issubclass(category, FileWarning):
        print(f"anyrig: note: {message}", file=sys.stderr)
    else:
        shown(message, category, *where)


def say(line: str) -> None:
    """Prints a line of progress."""
    print(line, file=sys.stderr, flush=True)


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for reading a rig's file."""
    parser.add_argument("--up", choices=("x", "y", "z"), help="the file's up axis (default: y)")
    parser.add_argument("--unit", help="the file's unit: m, cm, mm, in, ft, or how many metres it has (default: m)")
    parser.add_argument("--skin", metavar="NAME", help="which of several characters in a glTF file, by skin or number")


def add_compute_options(parser: argparse.ArgumentParser) -> None:
    """Adds the device and threads."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps, or auto (default)")
    # Models of this size gain little from a second thread, and on a busy machine threads wait for each other.
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1; 0: one per core)")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the weights and the sampling."""
    parser.add_argument("--weights", type=Path, help="a model.safetensors (default: those of the package)")
    parser.add_argument("--steps", type=int, default=15, help="denoising steps (default: 15)")
    parser.add_argument("--guidance", type=float, default=2.0, help="weight of the text; 1 is no guidance (default: 2)")
    parser.add_argument("--eta", type=float, default=0.0, help="fresh noise in each step, 0 to 1 (default: 0)")
    add_compute_options(parser)


def add_start_options(parser: argparse.ArgumentParser) -> None:
    """Adds what sampling starts from."""
    parser.add_argument(
        "--start", default="auto", metavar="auto|none|FILE[#CLIP]",
        help="where sampling starts: motion of a procedural creature like the rig where the words are known, noise, or "
        "a clip, of this rig or of another (default: auto)",
    )  # fmt: skip
    parser.add_argument("--start-level", type=float, default=0.0, metavar="0..1",
                        help="noise on the start: 0 keeps it as it is, 1 nothing of it (default: 0)")  # fmt: skip


def open_start(args: argparse.Namespace, kinds: tuple[str, ...] = ()) -> Starter | None:
    """What the options start from; procedural creatures are of ``kinds``, of all where empty."""
    from anyrig.starts import Procedural, from_clip

    if args.start == "none":
        return None
    return Procedural(kinds) if args.start == "auto" else from_clip(open_clip(args.start, args))


def open_clip(text: str, args: argparse.Namespace) -> Clip:
    """The clip FILE#CLIP, or the first of FILE. Raises FileError for a file without clips."""
    from anyrig.io import load

    path, _, name = text.partition("#")
    asset = load(path, skin=getattr(args, "skin", None), up=getattr(args, "up", None), unit=getattr(args, "unit", None))
    if not asset.clips:
        raise SettingsError(f"{path} has no clip")
    return asset.clip(name) if name else asset.clips[0]


def device(args: argparse.Namespace) -> str:
    """Sets the number of threads and returns the device. Raises SettingsError for an unavailable device."""
    import os

    import torch

    torch.set_num_threads(args.threads if args.threads > 0 else os.cpu_count() or 1)
    if args.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(f"device {args.device!r} is not available: {str(error).splitlines()[0]}") from None
    return str(args.device)


def open_model(args: argparse.Namespace, path: Path | None = None) -> tuple[MotionModel, Sampling]:
    """The model in ``path``, or that the options name, and its sampling."""
    from anyrig.diffusion import Sampling
    from anyrig.generation import default_weights
    from anyrig.model import load_model

    where = device(args)
    model, about = load_model(path or args.weights or default_weights(), where)
    return model, Sampling(args.steps, args.guidance, args.eta, str(about.get("schedule", "flow")))


def parse_prompt(text: str, seconds: float) -> tuple[str, float]:
    """Text and seconds of a prompt such as ``"it walks@3"``; ``seconds`` where it has none."""
    words, mark, number = text.rpartition("@")
    try:
        return (words.strip(), float(number)) if mark else (text.strip(), seconds)
    except ValueError:
        return text.strip(), seconds
