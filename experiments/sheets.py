"""Draws 12 prompts on 6 rigs of the test split: `python experiments/sheets.py OUT.png`, from procedural starts, seed 0.

With ``--blind`` the rows are numbered and in another order, for a reader who is to name the actions; the key is
printed.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path

from PIL import Image

from anyrig import creatures
from anyrig.corpus import Selection
from anyrig.draw import contact_sheet
from anyrig.generation import Options, default_weights, generate_clips
from anyrig.model import load_model
from anyrig.skeleton import Clip
from anyrig.starts import Procedural

PROMPTS = {
    "biped": ("it walks", "it jumps"),
    "bird": ("it flies", "it falls over and dies"),
    "dragon": ("it flies", "it attacks"),
    "hexapod": ("it walks", "it turns left"),
    "quadruped": ("it runs", "it sits down"),
    "serpent": ("it slithers", "it attacks"),
}


def made() -> list[Clip]:
    """A clip for each prompt, named by its kind of creature."""
    model = load_model(default_weights())[0].eval()
    clips = []
    for kind, texts in PROMPTS.items():
        rig = creatures.skeleton(Selection("test").body(kind, 0))
        for text in texts:
            (clip,) = generate_clips(model, rig, [(text, 2.2)], Options(seed=0), start=Procedural())
            clips.append(replace(clip, name=f"{kind}:"))
    return clips


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--blind", action="store_true", help="hide the words, number and shuffle the rows")
    args = parser.parse_args()
    clips = made()
    if args.blind:
        random.Random(1).shuffle(clips)
        for k, clip in enumerate(clips, 1):
            print(k, clip.name, clip.captions[0])
        clips = [replace(clip, name=str(k), action="", captions=()) for k, clip in enumerate(clips, 1)]
    contact_sheet(clips, args.out, cell=130)
    Image.open(args.out).quantize(64).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
