"""``anyrig demo``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from anyrig.cli._options import add_model_options, open_model, say

PROMPTS = (
    ("dragon", 3, ("a dragon walks", "a dragon flies", "the dragon attacks")),
    ("quadruped", 5, ("a horse runs fast", "it attacks", "it dies")),
    ("bird", 2, ("a bird flies, beating its wings", "it walks slowly", "it attacks with its beak")),
)
"""Kind, number of a body of the test split, and what it is asked to do."""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--out", type=Path, default=Path("runs/motion-demo"), help="folder (default: runs/motion-demo)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each motion (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="the noise's seed (default: 0)")
    add_model_options(parser)


def main(args: argparse.Namespace) -> int:
    """Makes the demo."""
    import time

    from anyrig import creatures
    from anyrig.cli.generate import write
    from anyrig.corpus import Selection
    from anyrig.draw import contact_sheet
    from anyrig.generate import Options, generate
    from anyrig.io import Asset, load

    model, sampling = open_model(args)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind, number, texts in PROMPTS:
        skeleton = creatures.skeleton(Selection("test").body(kind, number))
        clips = []
        for text in texts:
            started = time.monotonic()
            options = Options(seed=args.seed, sampling=sampling)
            clips += generate(model, skeleton, [(text, args.seconds)], options)
            say(f"{kind}: {text!r}, {skeleton.n_joints} joints, {time.monotonic() - started:.1f} s")
        path = args.out / f"{kind}.glb"
        write(Asset(skeleton), clips, path)
        back = load(path)
        say(f"wrote {path}: {len(back.clips)} clips")
        rows += [replace(c, name=kind) for c in clips]
    contact_sheet(rows, args.out / "sheet.png", cell=150)
    say(f"wrote {args.out / 'sheet.png'}")
    return 0
