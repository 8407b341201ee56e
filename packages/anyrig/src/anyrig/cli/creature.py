"""``anyrig creature``."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from anyrig.cli._options import say


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("kind", help="quadruped, biped, bird, dragon, fish, hexapod, octopod or serpent")
    parser.add_argument("--out", type=Path, required=True, help="GLB, glTF, BVH or NPZ file to write")
    parser.add_argument("--seed", type=int, default=0, help="which body (default: 0)")
    parser.add_argument("--action", action="append", help="what it does, any number of times (default: all it can)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each motion (default: 2)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second (default: 30)")


def main(args: argparse.Namespace) -> int:
    """Writes a creature."""
    from anyrig import creatures
    from anyrig.cli.generate import write
    from anyrig.io import Asset

    plan = creatures.plan(args.kind, random.Random(args.seed))
    clips = [
        creatures.clip(plan, action, random.Random(args.seed), args.seconds, args.fps)
        for action in args.action or creatures.actions(plan)
    ]
    for path in write(Asset(clips[0].skeleton), clips, args.out):
        say(f"wrote {path}: {plan.noun}, {clips[0].skeleton.n_joints} joints")
    return 0
