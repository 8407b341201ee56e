"""``anyrig inspect``, ``anyrig creature`` and ``anyrig augment``."""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyrig.cli import add_file_options, say
from anyrig.errors import SettingsError

if TYPE_CHECKING:
    from anyrig.io import Asset


def add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="GLB, glTF, BVH or NPZ file, or a folder of real animation to train on")
    parser.add_argument("--workers", type=int, default=0, help="processes that read a folder (default: one per core)")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw a folder's clips, one of each species")
    parser.add_argument("--tree", action="store_true", help="show the joints")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_file_options(parser)


def inspect(args: argparse.Namespace) -> int:
    from anyrig.io import load

    if args.file.is_dir():
        return _inspect_folder(args)
    asset = load(args.file, skin=args.skin, up=args.up, unit=args.unit)
    found = summary(asset)
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{args.file}: {found['joints']} joints, {found['roots']} root{'s' * (found['roots'] != 1)}, "
          f"{found['depth']} deep, {found['height']:.3g} m high, {found['reach']:.3g} m along its bones, "
          f"faces {found['faces']}{', with a mesh' * found['mesh']}")  # fmt: skip
    if not found["faces_sure"]:
        print(f"  the facing is uncertain, assumed by {found['faces_by']}: --facing overrides it")
    if found["carried"]:
        print(f"  carried by other joints: {', '.join(f'{a} with {b}' for a, b in found['carried'].items())}")
    for clip in found["clips"]:
        print(f"  {clip['name'] or 'unnamed'}: {clip['frames']} frames, {clip['fps']:g} fps, {clip['seconds']:.2f} s, "
              f"travels {clip['travel']:.3g} m, stretches {clip['stretch']:.2g}")  # fmt: skip
    if not found["clips"]:
        print("  no clips")
    if args.tree:
        for name, depth in zip(asset.skeleton.names, asset.skeleton.depths, strict=True):
            print(f"  {'  ' * depth}{name}")
    return 0


def _inspect_folder(args: argparse.Namespace) -> int:
    """Prints what a folder of real animation gives to train on, and what was left out."""
    import os
    import time

    from anyrig.datasets import real

    said = [time.monotonic()]

    def progress(done: int, total: int) -> None:
        if time.monotonic() - said[0] > 5:
            said[0] = time.monotonic()
            say(f"read {done} of {total} files")

    found = real.load(args.file, workers=args.workers or os.cpu_count() or 1, progress=progress)
    if args.json:
        print(json.dumps(real.record(found), indent=1))
    else:
        print("\n".join(real.summary(found)))
    if args.sheet is not None:
        from anyrig.draw import contact_sheet

        first = {c.noun: c.takes[-1].clip for c in found.creatures}
        contact_sheet(list(first.values()), args.sheet)
        say(f"wrote {args.sheet}")
    return 0


def summary(asset: Asset) -> dict[str, Any]:
    """What ``anyrig inspect`` prints, as values for JSON."""
    import numpy as np

    from anyrig.augmentation import stretch
    from anyrig.facing import detect_facing
    from anyrig.features import size_of

    s = asset.skeleton
    facing = detect_facing(s)
    return {
        "joints": s.n_joints,
        "roots": len(s.roots),
        "depth": max(s.depths) + 1,
        "height": float(np.ptp(s.rest_positions()[:, 1])),
        "reach": size_of(s),
        "faces": facing.axis,
        "faces_by": facing.by,
        "faces_sure": facing.sure,
        "carried": {s.names[j]: s.names[k] for j, k in enumerate(s.carriers) if k >= 0 and k != s.parents[j]},
        "mesh": asset.source is not None,
        "names": list(s.names),
        "clips": [
            {
                "name": c.name,
                "action": c.action,
                "captions": list(c.captions),
                "frames": c.n_frames,
                "fps": c.fps,
                "seconds": c.seconds,
                "travel": float(np.linalg.norm(c.travel()[-1])),
                "stretch": float(stretch(c).max()),
            }
            for c in asset.clips
        ],
    }


def add_creature(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", help="quadruped, biped, bird, dragon, fish, hexapod, octopod or serpent")
    parser.add_argument("--out", type=Path, required=True, help="GLB, glTF, BVH or NPZ file to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the body (default: 0)")
    parser.add_argument("--action", action="append", help="an action; may be repeated (default: all)")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each motion (default: 2)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second (default: 30)")


def creature(args: argparse.Namespace) -> int:
    from anyrig import creatures
    from anyrig.cli.motion import write
    from anyrig.io import Asset

    plan = creatures.plan(args.kind, random.Random(args.seed))
    clips = [
        creatures.clip(plan, action, random.Random(args.seed), args.seconds, args.fps)
        for action in args.action or creatures.actions(plan)
    ]
    for path in write(Asset(clips[0].skeleton), clips, args.out):
        say(f"wrote {path}: {plan.noun}, {clips[0].skeleton.n_joints} joints")
    return 0


def add_augment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="GLB, glTF, BVH or NPZ file with a clip")
    parser.add_argument("--out", type=Path, required=True, help="file to write; several are numbered")
    parser.add_argument("--n", type=int, default=1, help="number of variations (default: 1)")
    parser.add_argument("--clip", help="which clip (default: the first)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--lengths", type=float, nargs=2, default=(0.8, 1.2), metavar=("LOW", "HIGH"),
                        help="factors of bone lengths (default: 0.8 1.2)")  # fmt: skip
    parser.add_argument("--splits", type=int, default=3, help="joints added, at most (default: 3)")
    parser.add_argument("--removals", type=int, default=3, help="joints removed, at most (default: 3)")
    parser.add_argument(
        "--rest-degrees", type=float, default=10.0, help="turn of the rest pose in degrees (default: 10)"
    )
    add_file_options(parser)


def augment(args: argparse.Namespace) -> int:
    import numpy as np

    from anyrig.augmentation import Augmentation
    from anyrig.augmentation import augment as augmented
    from anyrig.io import load, save

    low, high = args.lengths
    if not 0 < low <= high or args.n < 1 or min(args.splits, args.removals, args.rest_degrees) < 0:
        raise SettingsError("lengths are LOW <= HIGH above 0, n is at least 1, and nothing else is below 0")
    asset = load(args.file, skin=args.skin, up=args.up, unit=args.unit)
    if not asset.clips:
        raise SettingsError(f"{args.file} has no clip")
    clip = asset.clip(args.clip) if args.clip else asset.clips[0]
    how = Augmentation((low, high), (1.0, 1.0), args.splits, args.removals, rest_rad=math.radians(args.rest_degrees))
    for k in range(args.n):
        path = args.out if args.n == 1 else args.out.with_stem(f"{args.out.stem}-{k + 1}")
        varied = augmented(clip, np.random.default_rng(args.seed + k), how)
        save(varied, path, up=args.up, unit=args.unit)
        say(f"wrote {path}: {varied.skeleton.n_joints} joints")
    return 0
