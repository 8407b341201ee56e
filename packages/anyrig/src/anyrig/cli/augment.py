"""``anyrig augment``."""

from __future__ import annotations

import argparse
from pathlib import Path

from anyrig.cli._options import add_file_options, say
from anyrig.errors import SettingsError


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("file", type=Path, help="GLB, glTF, BVH or NPZ file with a clip")
    parser.add_argument("--out", type=Path, required=True, help="file to write; numbered where there are several")
    parser.add_argument("--n", type=int, default=1, help="how many varied rigs (default: 1)")
    parser.add_argument("--clip", help="which clip (default: the first)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--lengths", type=float, nargs=2, default=(0.8, 1.2), metavar=("LOW", "HIGH"),
                        help="factors of bone lengths (default: 0.8 1.2)")  # fmt: skip
    parser.add_argument("--splits", type=int, default=3, help="joints added, at most (default: 3)")
    parser.add_argument("--removals", type=int, default=3, help="joints removed, at most (default: 3)")
    parser.add_argument("--rest-degrees", type=float, default=10.0, help="turn of the rest pose (default: 10)")
    add_file_options(parser)


def main(args: argparse.Namespace) -> int:
    """Writes varied rigs."""
    import math

    import numpy as np

    from anyrig.augment import Augmentation, augment
    from anyrig.io import load, save

    low, high = args.lengths
    if not 0 < low <= high or args.n < 1 or min(args.splits, args.removals, args.rest_degrees) < 0:
        raise SettingsError("lengths are LOW <= HIGH above 0, n is at least 1, and nothing else is below 0")
    asset = load(args.file, skin=args.skin, up=args.up, unit=args.unit)
    if not asset.clips:
        raise SettingsError(f"{args.file} has no clip to keep the motion of")
    clip = asset.clip(args.clip) if args.clip else asset.clips[0]
    how = Augmentation((low, high), (1.0, 1.0), args.splits, args.removals, rest_rad=math.radians(args.rest_degrees))
    for k in range(args.n):
        path = args.out if args.n == 1 else args.out.with_stem(f"{args.out.stem}-{k + 1}")
        varied = augment(clip, np.random.default_rng(args.seed + k), how)
        save(varied, path, up=args.up, unit=args.unit)
        say(f"wrote {path}: {varied.skeleton.n_joints} joints")
    return 0
