"""``anyrig inspect``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from anyrig.cli._options import add_file_options


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("file", type=Path, help="GLB, glTF, BVH or NPZ file")
    parser.add_argument("--tree", action="store_true", help="show the joints")
    parser.add_argument("--json", action="store_true", help="for scripts")
    add_file_options(parser)


def main(args: argparse.Namespace) -> int:
    """Prints what is in the file."""
    from anyrig.io import load

    asset = load(args.file, skin=args.skin, up=args.up, unit=args.unit)
    found = summary(asset)
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{args.file}: {found['joints']} joints, {found['roots']} root{'s' * (found['roots'] != 1)}, "
          f"{found['depth']} deep, {found['height']:.3g} m high, {found['reach']:.3g} m along its bones, "
          f"faces {found['faces']}{', with a mesh' * found['mesh']}")  # fmt: skip
    if not found["faces_sure"]:
        print(f"  where it faces is told by {found['faces_by']}: --facing says otherwise")
    if found["carried"]:
        print(f"  moved along with limbs: {', '.join(f'{a} with {b}' for a, b in found['carried'].items())}")
    for clip in found["clips"]:
        print(f"  {clip['name'] or 'unnamed'}: {clip['frames']} frames, {clip['fps']:g} fps, {clip['seconds']:.2f} s, "
              f"travels {clip['travel']:.3g} m, stretches {clip['stretch']:.2g}")  # fmt: skip
    if not found["clips"]:
        print("  no clips")
    if args.tree:
        for name, depth in zip(asset.skeleton.names, asset.skeleton.depths, strict=True):
            print(f"  {'  ' * depth}{name}")
    return 0


def summary(asset: Any) -> dict[str, Any]:
    """The file in numbers."""
    import numpy as np

    from anyrig.augment import stretch
    from anyrig.features import size_of
    from anyrig.generate.facing import told_facing

    s = asset.skeleton
    facing = told_facing(s)
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
